//! Decides whether the engine that answers is the one this installation's things are on. The first one is recorded in
//! the ConfigMap `controller` of the namespace `thecloud-system`; another one is refused, because everything that the
//! statuses tell about would seem to have vanished. To accept another engine on purpose, remove the key `host-id`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use controller_backend::{Backend, Error as BackendError, Event, Identity};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::runtime::Failure;
use crate::runtime::failure::{chain, is_already_exists};
use crate::world::World;

/// The namespace of what the controllers keep for themselves.
pub const NAMESPACE: &str = "thecloud-system";
/// The name of what the controllers keep for themselves, and of their Lease.
pub const NAME: &str = "controller";
/// The key of the engine's id.
const HOST_ID: &str = "host-id";
/// The key of the engine's name, for people.
const HOST_NAME: &str = "host-name";

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Whether the engine may be driven.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug, Clone, Default)]
enum State {
    /// It hasn't been reached.
    #[default]
    Unreached,
    /// It is the right one.
    Open(Identity),
    /// It is another one.
    Refused { recorded: String, found: String },
}

impl Gate {
    /// `Ok` if the engine may be driven.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match &*self.state() {
            State::Open(_) => Ok(()),
            State::Unreached => Err(Failure::Backend {
                action: "reach the backend",
                source: BackendError::Unavailable { what: "the backend".to_owned(), source: None },
            }),
            State::Refused { recorded, found } => {
                Err(Failure::WrongHost { recorded: recorded.clone(), found: found.clone() })
            }
        }
    }

    /// The host's name, once it is known.
    pub(crate) fn host(&self) -> Option<String> {
        match &*self.state() {
            State::Open(identity) => Some(identity.name.clone()),
            _ => None,
        }
    }

    fn is_refused(&self) -> bool {
        matches!(&*self.state(), State::Refused { .. })
    }

    fn set(&self, state: State) {
        *self.state() = state;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks once which engine answers, and opens or shuts the gate. `true` if it is open now.
pub(crate) async fn look(world: &World) -> bool {
    let identity = match world.backend().host.identity().await {
        Ok(identity) => identity,
        Err(error) => {
            tracing::debug!(error = chain(&error), "the backend does not answer");
            world.gate.set(State::Unreached);
            return false;
        }
    };
    match record(&world.clients.shared(), &identity).await {
        Ok(None) => {
            world.gate.set(State::Open(identity));
            true
        }
        Ok(Some(recorded)) => {
            if !world.gate.is_refused() {
                tracing::error!(
                    recorded,
                    found = identity.id,
                    "the backend is another one than this installation's: nothing is touched. Connect the right one, \
                     or remove the key `host-id` of ConfigMap `thecloud-system/controller` to start over on this one"
                );
            }
            world.gate.set(State::Refused { recorded, found: identity.id });
            false
        }
        Err(error) => {
            tracing::warn!(error = chain(&error), "the backend's identity could not be recorded");
            world.gate.set(State::Unreached);
            false
        }
    }
}

/// Watches the backend: wakes who is concerned by what happens, and everybody after a time that nothing was told of.
/// Never ends.
pub(crate) async fn follow(world: &World) {
    let mut events = world.backend().events.watch();
    let mut pause = FIRST_PAUSE;
    let mut known = world.gate.host().is_some();
    loop {
        // Only while the backend can't be reached, or is another one, it is asked again and again.
        let event = if known {
            events.next().await
        } else {
            match tokio::time::timeout(pause, events.next()).await {
                Ok(event) => event,
                Err(_) => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    known = look(world).await;
                    if known {
                        pause = FIRST_PAUSE;
                        world.wake_everything();
                    }
                    continue;
                }
            }
        };
        match event {
            Some(Event::Changed { owner, .. }) => world.on_backend(&owner),
            Some(Event::ImageArrived) => world.on_image(),
            Some(Event::Resync) => {
                known = look(world).await;
                world.wake_everything();
            }
            // The port says that this does not happen; without events the resync must do.
            None => std::future::pending().await,
        }
    }
}

/// Watches what runs virtual machines on the same host: wakes who is concerned by what happens. Never ends.
pub(crate) async fn follow_machines(world: &World, backend: &Backend) {
    let mut events = backend.events.watch();
    while let Some(event) = events.next().await {
        match event {
            Event::Changed { owner, .. } => world.on_backend(&owner),
            Event::ImageArrived => world.on_image(),
            Event::Resync => world.wake_everything(),
        }
    }
    // The port says that this does not happen; without events the resync must do.
    std::future::pending().await
}

/// Fails unless the namespace is there, which is made with the rights to it.
pub(crate) async fn find_namespace(client: &Client) -> Result<(), kube::Error> {
    Api::<Namespace>::all(client.clone()).get(NAMESPACE).await.map(|_| ())
}

/// The notebook of the controllers: small facts that outlive every process.
pub(crate) async fn notes(client: &Client) -> Result<BTreeMap<String, String>, kube::Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    Ok(api.get_opt(NAME).await?.and_then(|map| map.data).unwrap_or_default())
}

/// Writes into the notebook.
pub(crate) async fn note(client: &Client, entries: &[(&str, &str)]) -> Result<(), kube::Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let data: BTreeMap<_, _> = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let map = ConfigMap {
        metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
        data: Some(data.clone()),
        ..ConfigMap::default()
    };
    match api.create(&PostParams::default(), &map).await {
        Ok(_) => Ok(()),
        Err(error) if is_already_exists(&error) => {
            api.patch(NAME, &PatchParams::default(), &Patch::Merge(json!({"data": data}))).await.map(|_| ())
        }
        Err(error) => Err(error),
    }
}

/// Records the engine if none is; gives the recorded id if it is another one.
async fn record(client: &Client, identity: &Identity) -> Result<Option<String>, kube::Error> {
    match notes(client).await?.remove(HOST_ID) {
        Some(recorded) if recorded == identity.id => Ok(None),
        Some(recorded) => Ok(Some(recorded)),
        None => {
            note(client, &[(HOST_ID, &identity.id), (HOST_NAME, &identity.name)]).await?;
            Ok(None)
        }
    }
}
