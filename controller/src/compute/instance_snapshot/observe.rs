//! Looks at what concerns an InstanceSnapshot: the real one, the Instance that it is of, and those that are made from it.

use controller_backend::{MachineId, MachineSnapshot, MachineState, Owner};
use crds::compute::instance::BackendName;
use crds::compute::instance_snapshot::InstanceSnapshot;
use kube::ResourceExt;

use super::InstanceSnapshotKind;
use crate::runtime::{Failure, Goal, uid_of};

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// The marks of what is made.
    pub(crate) owner: Owner,
    /// What runs the Instance, which is where the snapshot is; `None` if neither is known, and nothing was made.
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
    /// This machine.
    There(MachineId),
}

pub(super) async fn observe(
    kind: &InstanceSnapshotKind,
    goal: Goal,
    snapshot: &InstanceSnapshot,
) -> Result<Observed, Failure> {
    let world = &kind.world;
    world.gate.check()?;
    let owner = world.owner(snapshot);
    let instance = world.stores.instances.get(&owner.namespace, &snapshot.spec.instance);
    // What the status says is where it was taken, or was about to be: nothing is taken before it says so.
    let recorded = snapshot.status.as_ref().and_then(|status| status.backend);
    let named = || instance.as_ref().map(|instance| world.backend_name(instance));
    let backend = recorded.or_else(|| if goal == Goal::Present { named() } else { None });
    let mut observed = Observed {
        backend,
        snapshot: None,
        leftovers: goal == Goal::Absent && recorded.is_some() && !kind.removals.contains(owner.uid),
        subject: Subject::Settled,
        users: if goal == Goal::Absent { users(kind, &owner) } else { Vec::new() },
        owner,
    };
    let Some(name) = backend else {
        if goal == Goal::Present {
            observed.subject = missing(snapshot);
        }
        return Ok(observed);
    };
    let ports = world.backend_named(name)?;
    let real = ports.machine_snapshots.find(observed.owner.uid).await;
    observed.snapshot = real.map_err(Failure::backend("look for the snapshot"))?;
    if goal == Goal::Absent || observed.snapshot.is_some() {
        return Ok(observed);
    }
    observed.subject = match instance {
        // Another one of that name may have come on another backend: an attempt that was cut off is of the first.
        Some(instance) if world.backend_name(&instance) == name => {
            let machines = ports.machines.find(uid_of(instance.as_ref())).await;
            let machines = machines.map_err(Failure::backend("look for the machine"))?;
            let has_run = |state: &MachineState| !matches!(state, MachineState::Created | MachineState::Dead);
            match machines.into_iter().rfind(|machine| has_run(&machine.state)) {
                Some(machine) => Subject::There(machine.id),
                None => Subject::Missing(format!("Instance `{}` has not run yet.", snapshot.spec.instance)),
            }
        }
        Some(_) => Subject::Missing(format!(
            "Instance `{}` has another backend than the one of which a snapshot was begun: delete the InstanceSnapshot and \
             take another one.",
            snapshot.spec.instance
        )),
        None => missing(snapshot),
    };
    Ok(observed)
}

fn missing(snapshot: &InstanceSnapshot) -> Subject {
    Subject::Missing(format!("Instance `{}` does not exist.", snapshot.spec.instance))
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
