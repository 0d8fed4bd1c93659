//! One cloud: an apiserver, an engine, and controllers that can be started and killed. A user's client beside them.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use apiserver::{ApiServer, Config, Identity, Rbac, TokenTable};
use apiserver_store::memory::MemoryStore;
use apiserver_store::{Storage, StorageOptions};
use controller::orphans::Orphans;
use controller::{Metrics, Options, rights};
use controller_backend::Backend;
use controller_backend::fake::{FakeEngine, Program};
use crds::compute::cluster_image::ClusterImage;
use crds::compute::image::Image;
use crds::compute::instance::Instance;
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::compute::instance_type::InstanceType;
use crds::network::security_group::SecurityGroup;
use crds::network::vpc::Vpc;
use crds::network::vpc_peering::VpcPeering;
use crds::storage::volume::Volume;
use crds::storage::volume_snapshot::VolumeSnapshot;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::crash::{Tripwire, Wired, wired};
use crate::gauge::{comparable, without_hashes};
use crate::objects::Reached;
use crate::record::Recorded;
use crate::schedule::{Lag, Lagging};
use crate::virtual_clock::VirtualClock;

/// The installation of a cloud that isn't told another.
pub const INSTALLATION: Uuid = Uuid::from_u128(0x5150_0000_0000_4000_8000_0000_0000_0001);
/// The namespace in which everything happens.
pub const NAMESPACE: &str = "default";
/// The file that a disk image can be imported from.
pub const DISK_FILE: &str = "debian.qcow2";
/// Where a disk image can be downloaded from.
pub const DISK_URL: &str = "https://images.example/debian.qcow2";
/// What that hashes to.
pub const DISK_CHECKSUM: &str = "sha256:abababababababababababababababababababababababababababababababab";
/// How often the user looks.
const LOOK: Duration = Duration::from_millis(100);

/// A store with the kinds and all that is shipped, from which every cloud's is copied: to install them anew would be half of what a
/// schedule costs, and thousands are played.
static FURNISHED: OnceLock<MemoryStore> = OnceLock::new();

/// A cloud in memory.
pub struct Cloud {
    /// The engine.
    pub engine: FakeEngine,
    /// The time.
    pub clock: VirtualClock,
    /// A user's client.
    pub client: Client,
    /// What the controllers count.
    pub metrics: Metrics,
    /// Set while a restore of the store is to be confirmed.
    pub restored: Arc<AtomicBool>,
    server: ApiServer,
    storage: Storage,
    installation: Uuid,
    running: Option<Running>,
}

/// An apiserver whose dice fall as the seed says.
async fn serve(storage: Storage, clock: VirtualClock, seed: u64) -> ApiServer {
    let config = Config {
        authorizer: Arc::new(Recorded(Rbac::new(storage.clone()))),
        clock: Arc::new(clock),
        seed: Some(seed),
        ..Config::new(storage, TokenTable::default())
    };
    ApiServer::new(config).await.expect("the apiserver starts")
}

/// The store that all are copied from, made if there is none yet: before a cloud's time begins, so that it goes the same in the first one.
async fn furnished() -> &'static MemoryStore {
    if let Some(store) = FURNISHED.get() {
        return store;
    }
    let store = MemoryStore::new(INSTALLATION);
    let storage =
        Storage::open(Arc::new(store.another()), StorageOptions::default()).await.expect("the memory store opens");
    // Not the seed of a cloud: no two objects have the same uid.
    let server = serve(storage, VirtualClock::begin(), u64::MAX).await;
    let kinds: Vec<Value> =
        crds::all().iter().map(|kind| serde_json::to_value(kind).expect("a definition is JSON")).collect();
    server.install_kinds(&kinds).await.expect("the kinds are installed");
    let shipped = [crds::access::shipped(), rights::shipped()].concat();
    server.install_shipped(&shipped).await.expect("what is shipped is installed");
    // The roles that gather others are gathered.
    tokio::time::sleep(Duration::from_millis(500)).await;
    FURNISHED.get_or_init(|| store.copied(INSTALLATION))
}

fn account(name: &str) -> Identity {
    Identity::service_account(controller::NAMESPACE, name)
}

struct Running {
    _task: AbortOnDropHandle<()>,
}

impl Cloud {
    /// A new cloud whose controllers don't run yet, on an engine of its own that has the images `web:1`, `web:2` and
    /// `client:1`, and a file and a url to import disk images from.
    pub async fn new() -> Self {
        furnished().await;
        let clock = VirtualClock::begin();
        let engine = FakeEngine::with_clock(Arc::new(move || clock.time()));
        engine.add_disk_file(DISK_FILE, 64 << 20);
        engine.add_disk_url(DISK_URL, DISK_CHECKSUM.parse().expect("it is a checksum"), 64 << 20);
        for image in ["web:1", "web:2", "client:1"] {
            engine.add_image(image, Program::Runs);
        }
        Self::on(engine, clock, INSTALLATION).await
    }

    /// A cloud on an engine that others may use too.
    pub async fn on(engine: FakeEngine, clock: VirtualClock, installation: Uuid) -> Self {
        let store = furnished().await.copied(installation);
        let storage = Storage::open(Arc::new(store), StorageOptions::default()).await.expect("the memory store opens");
        let seed = u64::try_from(installation.as_u128() & 0xffff).unwrap_or_default();
        let server = serve(storage.clone(), clock, seed).await;
        let client = Client::new(server.service_as(Identity::master("user")), NAMESPACE);
        let restored = Arc::default();
        let metrics = Metrics::default();
        Self { engine, clock, client, metrics, restored, server, storage, installation, running: None }
    }

    /// Starts the controllers.
    pub fn start(&mut self) {
        self.start_wired(&Tripwire::default());
    }

    /// Starts the controllers, killed and started again each time that the wire trips.
    pub fn start_wired(&mut self, wire: &Tripwire) {
        self.start_lagging(wire, &Lag::default());
    }

    /// Starts the controllers, whose watches lag behind.
    pub(crate) fn start_lagging(&mut self, wire: &Tripwire, lag: &Lag) {
        let (server, lag, across) = (self.server.clone(), lag.clone(), wire.clone());
        let client_of = move |name: &str| {
            let inner = Lagging { inner: server.service_as(account(name)), lag: lag.clone() };
            Client::new(Wired { inner, wire: across.clone() }, NAMESPACE)
        };
        let restored = self.restored.clone();
        let backend = wired(self.engine.backend(self.installation), wire);
        let options = Options {
            // One engine is both: what differs is whether a machine has a disk of its own.
            virtual_machines: Some(backend.clone()),
            clock: Arc::new(self.clock),
            identity: "simulation".to_owned(),
            metrics: self.metrics.clone(),
            may_sweep: Arc::new(move || !restored.load(Ordering::Relaxed)),
            ..Options::new(self.installation, backend)
        };
        let (wire, engine) = (wire.clone(), self.engine.clone());
        let task = tokio::spawn(async move {
            loop {
                // Everything that a process has is made anew; what it had is dropped where it stands.
                let host_ports = engine.backend(options.installation).host_ports;
                let virtual_machines = options.virtual_machines.clone();
                let options = Options {
                    virtual_machines: virtual_machines.map(|backend| Backend { host_ports, ..backend }),
                    ..options.clone()
                };
                let run = controller::run(client_of.clone(), options, CancellationToken::new());
                tokio::select! {
                    ended = run => panic!("the controllers ended: {ended:?}"),
                    () = wire.tripped() => {}
                }
            }
        });
        self.running = Some(Running { _task: AbortOnDropHandle::new(task) });
    }

    /// Decides about data without an object, with the wire across every change.
    #[must_use]
    pub fn orphans(&self, wire: &Tripwire) -> Orphans {
        let service = Wired { inner: self.server.service_as(account(rights::ORPHANS_ACCOUNT)), wire: wire.clone() };
        let backend = wired(self.engine.backend(self.installation), wire);
        Orphans::new(Client::new(service, NAMESPACE), backend.clone(), Some(backend))
    }

    /// The client of somebody.
    #[must_use]
    pub fn client_of(&self, identity: Identity) -> Client {
        Client::new(self.server.service_as(identity), NAMESPACE)
    }

    /// Waits until a ClusterRole that gathers others has rules.
    ///
    /// # Panics
    /// After a minute of virtual time.
    pub async fn until_gathered(&self, name: &str) {
        let roles: Api<ClusterRole> = Api::all(self.client.clone());
        for _ in 0..600 {
            let role = roles.get(name).await.expect("the role is there");
            if role.rules.is_some_and(|rules| !rules.is_empty()) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("the ClusterRole `{name}` never has rules");
    }

    /// Kills the controllers.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The user's way to a kind.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Reached,
    {
        K::api(self.client.clone())
    }

    /// Makes an object.
    pub async fn create<K>(&self, object: &K) -> K
    where
        K: Reached + Clone + Debug + Serialize + DeserializeOwned,
    {
        self.api().create(&PostParams::default(), object).await.expect("the object is accepted")
    }

    /// Changes an object's fields.
    pub async fn change<K>(&self, name: &str, patch: Value) -> K
    where
        K: Reached + Clone + Debug + DeserializeOwned,
    {
        let patch = Patch::Merge(patch);
        self.api().patch(name, &PatchParams::default(), &patch).await.expect("the change is accepted")
    }

    /// Changes an object's fields, if it is there and that is accepted.
    pub(crate) async fn try_change<K>(&self, name: &str, patch: Value)
    where
        K: Reached + Clone + Debug + DeserializeOwned,
    {
        let _ = self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
    }

    /// Asks for an object to be deleted.
    pub async fn delete<K>(&self, name: &str)
    where
        K: Reached + Clone + Debug + DeserializeOwned,
    {
        self.api::<K>().delete(name, &DeleteParams::default()).await.expect("the deletion is accepted");
    }

    /// An object.
    pub async fn get<K>(&self, name: &str) -> Option<K>
    where
        K: Reached + Clone + Debug + DeserializeOwned,
    {
        self.api().get_opt(name).await.expect("the object can be read")
    }

    /// Waits until an object is so. The last argument says what is awaited.
    ///
    /// # Panics
    /// After ten minutes of virtual time, with the object as it is then.
    pub async fn until<K>(&self, name: &str, awaited: &str, is_so: impl Fn(&K) -> bool) -> K
    where
        K: Reached + Clone + Debug + Serialize + DeserializeOwned,
    {
        let mut last = None;
        for _ in 0..6000 {
            last = self.get::<K>(name).await;
            if let Some(object) = &last
                && is_so(object)
            {
                return last.expect("it was just looked at");
            }
            tokio::time::sleep(LOOK).await;
        }
        let shown = serde_json::to_string_pretty(&last).unwrap_or_default();
        panic!("{} `{name}` is never {awaited}: {shown}\n{}", K::kind(&()), self.engine.state(self.installation));
    }

    /// Waits until an object is gone.
    ///
    /// # Panics
    /// After ten minutes of virtual time.
    pub async fn until_gone<K>(&self, name: &str)
    where
        K: Reached + Clone + Debug + Serialize + DeserializeOwned,
    {
        let mut last = None;
        for _ in 0..6000 {
            last = self.get::<K>(name).await;
            if last.is_none() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        let shown = serde_json::to_string_pretty(&last).unwrap_or_default();
        panic!("{} `{name}` is never gone: {shown}\n{}", K::kind(&()), self.engine.state(self.installation));
    }

    /// Waits until this very spec of the object is Ready.
    pub async fn until_ready<K>(&self, name: &str) -> K
    where
        K: Reached + Clone + Debug + Serialize + DeserializeOwned,
    {
        self.until_condition(name, "Ready", "True", None).await
    }

    /// Waits until a condition of this very spec says this, for this reason if one is given.
    pub async fn until_condition<K>(&self, name: &str, type_: &str, status: &str, reason: Option<&str>) -> K
    where
        K: Reached + Clone + Debug + Serialize + DeserializeOwned,
    {
        let awaited = format!("{type_}={status} {}", reason.unwrap_or_default());
        self.until(name, &awaited, |object: &K| {
            let value = serde_json::to_value(object).unwrap_or_default();
            let conditions = value["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|condition| {
                condition["type"] == type_
                    && condition["status"] == status
                    && condition["observedGeneration"] == value["metadata"]["generation"]
                    && reason.is_none_or(|reason| condition["reason"] == reason)
            })
        })
        .await
    }

    /// Notes every state of the objects of a kind that is told from now on.
    pub async fn watch<K>(&self) -> History<K>
    where
        K: Reached + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (noted, mut events) = (seen.clone(), watcher(self.api::<K>(), watcher::Config::default()).boxed());
        let (ready, begun) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let mut ready = Some(ready);
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        noted.lock().unwrap_or_else(PoisonError::into_inner).push(object);
                    }
                    Ok(watcher::Event::InitDone) => drop(ready.take()),
                    Ok(watcher::Event::Init | watcher::Event::Delete(_)) | Err(_) => {}
                }
            }
        });
        // Its end is the signal.
        let _ = begun.await;
        History { seen, _task: AbortOnDropHandle::new(task) }
    }

    /// The names of the InstanceTypes.
    pub async fn instance_types(&self) -> Vec<String> {
        let api: Api<InstanceType> = Api::all(self.client.clone());
        let list = api.list(&ListParams::default()).await.expect("instance types can be listed");
        list.items.iter().map(ResourceExt::name_any).collect()
    }

    /// Deletes an InstanceType.
    pub async fn delete_instance_type(&self, name: &str) {
        let api: Api<InstanceType> = Api::all(self.client.clone());
        api.delete(name, &DeleteParams::default()).await.expect("the deletion is accepted");
    }

    /// Forgets which engine the installation's things are on, as a user does who moves to another.
    pub async fn forget_host(&self) {
        let notes: Api<ConfigMap> = Api::namespaced(self.client.clone(), controller::NAMESPACE);
        let patch = Patch::Merge(serde_json::json!({"data": {"host-id": null}}));
        notes.patch(controller::NAME, &PatchParams::default(), &patch).await.expect("the notes are there");
    }

    /// The uid of an object.
    pub async fn uid<K>(&self, name: &str) -> Uuid
    where
        K: Reached + Clone + Debug + DeserializeOwned,
    {
        let object = self.get::<K>(name).await.expect("the object is there");
        object.uid().and_then(|uid| uid.parse().ok()).expect("a uid is a UUID")
    }

    /// The Events about an object, as `reason xcount`, oldest first.
    pub async fn events(&self, name: &str) -> Vec<String> {
        // They are written in the background.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let list = self.api::<Event>().list(&ListParams::default()).await.expect("events can be listed");
        let mut events: Vec<_> =
            list.items.into_iter().filter(|event| event.involved_object.name.as_deref() == Some(name)).collect();
        // Times are whole seconds: of one second, that comes first which was written first.
        let written = |event: &Event| event.resource_version().and_then(|version| version.parse::<u64>().ok());
        events.sort_by_key(|event| (event.first_timestamp.clone(), written(event)));
        events
            .iter()
            .map(|event| format!("{} x{}", event.reason.clone().unwrap_or_default(), event.count.unwrap_or_default()))
            .collect()
    }

    /// All that there is, objects and engine, without what differs from run to run.
    pub async fn state(&self) -> String {
        let mut text = without_hashes(&self.engine.state(self.installation));
        self.show::<ClusterImage>(&mut text).await;
        self.show::<Image>(&mut text).await;
        self.show::<Vpc>(&mut text).await;
        self.show::<SecurityGroup>(&mut text).await;
        self.show::<VpcPeering>(&mut text).await;
        self.show::<Volume>(&mut text).await;
        self.show::<VolumeSnapshot>(&mut text).await;
        self.show::<InstanceSnapshot>(&mut text).await;
        self.show::<Instance>(&mut text).await;
        text
    }

    async fn show<K>(&self, text: &mut String)
    where
        K: Reached + Clone + Debug + Serialize + DeserializeOwned,
    {
        let list = self.api::<K>().list(&ListParams::default()).await.expect("objects can be listed");
        for object in list.items {
            let value = comparable(serde_json::to_value(&object).expect("an object is JSON"));
            text.push('\n');
            text.push_str(&serde_json::to_string_pretty(&value).expect("a value is JSON"));
        }
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// How many writes the store has taken.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.storage.revision().0
    }
}

/// The states of objects, in the order in which they were told.
#[derive(Debug)]
pub struct History<K> {
    seen: Arc<Mutex<Vec<K>>>,
    _task: AbortOnDropHandle<()>,
}

impl<K: Clone> History<K> {
    /// All that was told so far.
    #[must_use]
    pub fn so_far(&self) -> Vec<K> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Debug for Cloud {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Cloud").field("installation", &self.installation).finish_non_exhaustive()
    }
}
