//! Finds machines, networks and projected files of this installation whose object is gone, and removes them. Slow to
//! act on purpose: an orphan must be missing from a complete list, then from a most-recent read, in two sweeps.
//! Volumes and snapshots are data: they are only marked as retained, never removed. After a restore of the store nothing is, until somebody confirms.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use controller_backend::{Backend, Error, MachineSummary, Network, Owner};
use crds::compute::instance::Instance;
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::network::vpc::Vpc;
use crds::storage::volume::Volume;
use crds::storage::volume_snapshot::VolumeSnapshot;
use kube::api::ListParams;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::runtime::failure::chain;
use crate::runtime::{Failure, uid_of};
use crate::world::World;

/// The first sweep comes this long after the start.
const FIRST: Duration = Duration::from_secs(30);
/// The pause between two sweeps.
const PAUSE: Duration = Duration::from_secs(600);
/// The pause after a sweep that suspects something.
const SUSPICIOUS_PAUSE: Duration = Duration::from_secs(30);
/// How long an orphan may take to stop.
const GRACE: Duration = Duration::from_secs(10);

/// The owners whose things seem to be orphans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Suspects {
    machines: BTreeSet<Uuid>,
    networks: BTreeSet<Uuid>,
    files: BTreeSet<Uuid>,
    volumes: BTreeSet<Uuid>,
    snapshots: BTreeSet<Uuid>,
    machine_snapshots: BTreeSet<Uuid>,
}

impl Suspects {
    fn is_empty(&self) -> bool {
        let Self { machines, networks, files, volumes, snapshots, machine_snapshots } = self;
        [machines, networks, files, volumes, snapshots, machine_snapshots].iter().all(|uids| uids.is_empty())
    }
}

/// Sweeps now and then. Never ends.
pub(crate) async fn run(world: &World) {
    let mut suspected = Suspects::default();
    let mut pause = FIRST;
    loop {
        tokio::time::sleep(pause).await;
        match sweep(world, &suspected).await {
            Ok(suspects) => {
                pause = if suspects.is_empty() { PAUSE } else { SUSPICIOUS_PAUSE };
                suspected = suspects;
            }
            Err(failure) => {
                tracing::debug!(error = chain(&failure), "the sweep was cut off");
                // What was seen before does not count: two sweeps in a row must agree.
                suspected = Suspects::default();
                pause = PAUSE;
            }
        }
    }
}

/// Removes what was suspected before and still is; gives what is suspected now.
async fn sweep(world: &World, before: &Suspects) -> Result<Suspects, Failure> {
    world.gate.check()?;
    let backend = world.backend();
    let networks = backend.networks.list().await.map_err(Failure::backend("list the networks"))?;
    let data = Data::look(backend).await.map_err(Failure::backend("list the data"))?;
    let mut answering = vec![(backend, look(backend).await.map_err(Failure::backend("list what there is"))?)];
    if let Some(other) = &world.options.virtual_machines {
        // Where it does not answer, nothing of it is suspected, and the rest is swept all the same.
        match look(other).await {
            Ok(found) => answering.push((other, found)),
            Err(error) => tracing::debug!(error = chain(&error), "a backend is left out of the sweep"),
        }
    }
    let machines: Vec<&MachineSummary> = answering.iter().flat_map(|(_, found)| &found.machines).collect();
    let files: BTreeSet<Uuid> = answering.iter().flat_map(|(_, found)| found.files.iter().copied()).collect();

    let (instances, vpcs) = (world.stores.instances.uids(), world.stores.vpcs.uids());
    let mut suspects = Suspects {
        machines: machines.iter().map(|machine| machine.owner.uid).filter(|uid| !instances.contains(uid)).collect(),
        networks: networks.iter().map(|network| network.owner.uid).filter(|uid| !vpcs.contains(uid)).collect(),
        files: files.into_iter().filter(|uid| !instances.contains(uid)).collect(),
        volumes: data.volumes.without(&world.stores.volumes.uids()),
        snapshots: data.snapshots.without(&world.stores.volume_snapshots.uids()),
        machine_snapshots: answering
            .iter()
            .flat_map(|(_, found)| found.snapshots.without(&world.stores.instance_snapshots.uids()))
            .collect(),
    };
    if suspects.is_empty() {
        return Ok(suspects);
    }
    // The store may lag behind: only a most-recent read says that an object is gone.
    let instances = most_recent::<Instance>(world).await?;
    let vpcs = most_recent::<Vpc>(world).await?;
    suspects.machines.retain(|uid| !instances.contains(uid));
    suspects.networks.retain(|uid| !vpcs.contains(uid));
    suspects.files.retain(|uid| !instances.contains(uid));
    if !suspects.volumes.is_empty() || !suspects.snapshots.is_empty() {
        let (volumes, snapshots) = (most_recent::<Volume>(world).await?, most_recent::<VolumeSnapshot>(world).await?);
        suspects.volumes.retain(|uid| !volumes.contains(uid));
        suspects.snapshots.retain(|uid| !snapshots.contains(uid));
    }
    if !suspects.machine_snapshots.is_empty() {
        let snapshots = most_recent::<InstanceSnapshot>(world).await?;
        suspects.machine_snapshots.retain(|uid| !snapshots.contains(uid));
    }

    if !(world.options.may_sweep)() {
        // Told once in a suspicion, not at every sweep.
        if suspects != *before {
            tell_kept(&machines, &networks, &suspects);
        }
        return Ok(suspects);
    }
    // One that can't be removed now must not keep the others from it.
    for (backend, found) in &answering {
        let is_lost = |machine: &&MachineSummary| is_orphan(&machine.owner.uid, &suspects.machines, &before.machines);
        for machine in found.machines.iter().filter(is_lost) {
            match remove_machine(backend, machine).await {
                Ok(()) => {
                    world.options.metrics.orphan_removed();
                    tracing::warn!(owner = %machine.owner, uid = %machine.owner.uid, "a machine without an Instance was removed");
                }
                Err(failure) => not_removed(&machine.owner.uid, &failure),
            }
        }
        for uid in found.files.iter().filter(|uid| is_orphan(uid, &suspects.files, &before.files)) {
            if let Err(failure) = backend.files.remove(*uid).await.map_err(Failure::backend("remove orphaned files")) {
                not_removed(uid, &failure);
            }
        }
    }
    for network in networks.iter().filter(|network| is_orphan(&network.owner.uid, &suspects.networks, &before.networks))
    {
        match backend.networks.remove(network.owner.uid).await.map_err(Failure::backend("remove an orphan")) {
            Ok(()) => {
                world.options.metrics.orphan_removed();
                tracing::warn!(owner = %network.owner, uid = %network.owner.uid, "a network without a Vpc was removed");
            }
            Err(failure) => not_removed(&network.owner.uid, &failure),
        }
    }
    for uid in suspects.volumes.intersection(&before.volumes) {
        tell_retained(&data.volumes, uid, backend.volumes.retain(*uid).await);
    }
    for uid in suspects.snapshots.intersection(&before.snapshots) {
        tell_retained(&data.snapshots, uid, backend.snapshots.retain(*uid).await);
    }
    for (backend, found) in &answering {
        let lost = suspects.machine_snapshots.intersection(&before.machine_snapshots);
        for uid in lost.filter(|uid| found.snapshots.0.contains_key(uid)) {
            tell_retained(&found.snapshots, uid, backend.machine_snapshots.retain(*uid).await);
        }
    }
    Ok(suspects)
}

/// The data that isn't marked as retained: whose it is, by uid.
struct Marked(BTreeMap<Uuid, Owner>);

impl Marked {
    fn of(data: impl Iterator<Item = (Owner, bool)>) -> Self {
        Self(data.filter(|(_, retained)| !retained).map(|(owner, _)| (owner.uid, owner)).collect())
    }

    fn without(&self, objects: &BTreeSet<Uuid>) -> BTreeSet<Uuid> {
        self.0.keys().filter(|uid| !objects.contains(uid)).copied().collect()
    }
}

struct Data {
    volumes: Marked,
    snapshots: Marked,
}

impl Data {
    async fn look(backend: &Backend) -> Result<Self, Error> {
        let (volumes, snapshots) = (backend.volumes.list().await?, backend.snapshots.list().await?);
        Ok(Self {
            volumes: Marked::of(volumes.into_iter().map(|real| (real.owner, real.retained))),
            snapshots: Marked::of(snapshots.into_iter().map(|real| (real.owner, real.retained))),
        })
    }
}

fn tell_retained(data: &Marked, uid: &Uuid, retained: Result<(), Error>) {
    let owner = data.0.get(uid).map(ToString::to_string).unwrap_or_default();
    match retained {
        Ok(()) => tracing::warn!(
            owner,
            %uid,
            "data without an object is kept, marked as retained: see `cloudctl admin orphans list`"
        ),
        Err(error) => {
            tracing::warn!(owner, %uid, error = chain(&error), "data without an object could not be marked as retained");
        }
    }
}

/// What one backend has.
struct Found {
    machines: Vec<MachineSummary>,
    files: Vec<Uuid>,
    snapshots: Marked,
}

async fn look(backend: &Backend) -> Result<Found, Error> {
    let snapshots = backend.machine_snapshots.list().await?;
    Ok(Found {
        machines: backend.machines.list().await?,
        files: backend.files.list().await?,
        snapshots: Marked::of(snapshots.into_iter().map(|real| (real.owner, real.retained))),
    })
}

/// Says what would go.
fn tell_kept(machines: &[&MachineSummary], networks: &[Network], suspects: &Suspects) {
    for machine in machines.iter().filter(|machine| suspects.machines.contains(&machine.owner.uid)) {
        tracing::warn!(owner = %machine.owner, uid = %machine.owner.uid, "a machine without an Instance is kept: a restore is to be confirmed");
    }
    for network in networks.iter().filter(|network| suspects.networks.contains(&network.owner.uid)) {
        tracing::warn!(owner = %network.owner, uid = %network.owner.uid, "a network without a Vpc is kept: a restore is to be confirmed");
    }
}

/// Whether two sweeps in a row found no object of this uid.
fn is_orphan(uid: &Uuid, now: &BTreeSet<Uuid>, before: &BTreeSet<Uuid>) -> bool {
    now.contains(uid) && before.contains(uid)
}

async fn remove_machine(backend: &Backend, machine: &MachineSummary) -> Result<(), Failure> {
    let machines = &backend.machines;
    if machine.active {
        machines.stop(&machine.id, GRACE).await.map_err(Failure::backend("stop an orphan"))?;
    }
    machines.remove(&machine.id).await.map_err(Failure::backend("remove an orphan"))
}

fn not_removed(uid: &Uuid, failure: &Failure) {
    tracing::warn!(%uid, error = chain(failure), "an orphan could not be removed; the next sweep tries again");
}

async fn most_recent<K>(world: &World) -> Result<BTreeSet<Uuid>, Failure>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(world.clients.shared());
    let list = api.list(&ListParams::default()).await.map_err(Failure::api("list the objects"))?;
    Ok(list.items.iter().map(uid_of).collect())
}
