//! Looks at what concerns an InstanceSnapshot: the real one, the Instance or the data that it is of, and the Instances that
//! are made from it.

use controller_backend::{MachineSnapshot, MachineSnapshotSource, MachineState, Owner};
use crds::compute::instance::BackendName;
use crds::compute::instance_snapshot::InstanceSnapshot;
use kube::ResourceExt;

use super::InstanceSnapshotKind;
use crate::runtime::{Failure, Goal, uid_of};
use crate::storage;
use crate::world::runs;

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// The marks of what is made.
    pub(crate) owner: Owner,
    /// What runs Instances made from it, which is where the snapshot is; `None` if that isn't known, and nothing was made.
    pub(crate) backend: Option<BackendName>,
    /// The real snapshot, if it is there: a whole one.
    pub(crate) snapshot: Option<MachineSnapshot>,
    /// Whether a half-taken one may be there, which can't be seen.
    pub(crate) leftovers: bool,
    /// What it is of.
    pub(crate) subject: Subject,
    /// The Instances that have a machine made from it, sorted; looked for only when it goes.
    pub(crate) users: Vec<String>,
}

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Of no account: it is taken, or not wanted.
    Settled,
    /// It isn't there, or has never run: a sentence.
    Missing(String),
    /// Where the data comes from.
    There(MachineSnapshotSource),
}

pub(super) async fn observe(
    kind: &InstanceSnapshotKind,
    goal: Goal,
    snapshot: &InstanceSnapshot,
) -> Result<Observed, Failure> {
    let world = &kind.world;
    world.gate.check()?;
    let owner = world.owner(snapshot);
    // What the status says is where it was taken, or was about to be: nothing is taken before it says so.
    let recorded = snapshot.status.as_ref().and_then(|status| status.backend);
    let mut observed = Observed {
        backend: recorded,
        snapshot: None,
        leftovers: goal == Goal::Absent && recorded.is_some() && !kind.removals.contains(owner.uid),
        subject: Subject::Settled,
        users: if goal == Goal::Absent { users(kind, &owner) } else { Vec::new() },
        owner,
    };
    if let Some(name) = recorded {
        let real = world.backend_named(name)?.machine_snapshots.find(observed.owner.uid).await;
        observed.snapshot = real.map_err(Failure::backend("look for the snapshot"))?;
    }
    if goal == Goal::Absent || observed.snapshot.is_some() {
        return Ok(observed);
    }
    (observed.backend, observed.subject) = match (&snapshot.spec.instance, &snapshot.spec.retained) {
        (None, Some(uid)) => retained(kind, &observed, uid).await?,
        // The schema says that it is one of the two.
        (instance, _) => of_instance(kind, &observed, instance.as_deref().unwrap_or_default()).await?,
    };
    Ok(observed)
}

/// What an Instance has on its disk.
async fn of_instance(
    kind: &InstanceSnapshotKind,
    observed: &Observed,
    name: &str,
) -> Result<(Option<BackendName>, Subject), Failure> {
    let world = &kind.world;
    let Some(instance) = world.stores.instances.get(&observed.owner.namespace, name) else {
        return Ok((observed.backend, Subject::Missing(format!("Instance `{name}` does not exist."))));
    };
    let backend = world.backend_name(&instance);
    // Another one of that name may have come on another backend: an attempt that was cut off is of the first.
    if observed.backend.is_some_and(|recorded| recorded != backend) {
        let message = format!(
            "Instance `{name}` has another backend than the one of which a snapshot was begun: delete the \
             InstanceSnapshot and take another one."
        );
        return Ok((observed.backend, Subject::Missing(message)));
    }
    let machines = world.backend_named(backend)?.machines.find(uid_of(instance.as_ref())).await;
    let machines = machines.map_err(Failure::backend("look for the machine"))?;
    let has_run = |state: &MachineState| !matches!(state, MachineState::Created | MachineState::Dead);
    let subject = match machines.into_iter().rfind(|machine| has_run(&machine.state)) {
        Some(machine) => Subject::There(MachineSnapshotSource::Machine(machine.id)),
        None => Subject::Missing(format!("Instance `{name}` has not run yet.")),
    };
    Ok((Some(backend), subject))
}

/// Data without an object, wherever it is. That of other namespaces is not told of.
async fn retained(
    kind: &InstanceSnapshotKind,
    observed: &Observed,
    named: &str,
) -> Result<(Option<BackendName>, Subject), Failure> {
    let (world, owner) = (&kind.world, &observed.owner);
    let missing = || Ok((observed.backend, Subject::Missing(storage::no_retained_data(named, &owner.namespace))));
    let Ok(uid) = named.parse() else { return missing() };
    for (name, backend) in world.backends() {
        let real = backend.machine_snapshots.find(uid).await;
        let real = real.map_err(Failure::backend("look for the retained snapshot"))?;
        let Some(real) = real.filter(|real| runs(name, real)) else { continue };
        if real.owner.namespace != owner.namespace {
            return missing();
        }
        if let Some(snapshot) = world.stores.instance_snapshots.of_uid(uid) {
            let theirs = format!("The data `{uid}` is that of InstanceSnapshot `{}`.", snapshot.name_any());
            return Ok((observed.backend, Subject::Missing(theirs)));
        }
        if real.retained {
            return Ok((Some(name), Subject::There(MachineSnapshotSource::Retained(uid))));
        }
        return missing();
    }
    missing()
}

fn users(kind: &InstanceSnapshotKind, owner: &Owner) -> Vec<String> {
    let instances = kind.world.stores.instances.in_namespace(&owner.namespace);
    let uses = |instance: &crds::compute::instance::Instance| {
        instance.spec.image_snapshot.as_deref() == Some(owner.name.as_str())
            && instance.status.as_ref().is_some_and(|status| status.machine_id.is_some())
    };
    let mut users: Vec<String> =
        instances.iter().filter(|instance| uses(instance)).map(|instance| instance.name_any()).collect();
    users.sort_unstable();
    users
}
