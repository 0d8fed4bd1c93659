//! Decides what becomes of the mounts of a machine that stays while they change: what is defined, which devices are
//! plugged in and out while it runs, and what waits, for whom. Pure.

use controller_backend::{Machine, Mount, MountSource, Mounts};
use crds::compute::instance::Instance;
use kube::ResourceExt;
use uuid::Uuid;

use super::Step;
use super::observe::{Observed, Target, known_volumes};
use super::projected::ensure_files;
use super::wanted;
use crate::runtime::Waiting;

/// What is to be done about a machine's mounts.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Before it is started or goes on.
    pub(super) define: Vec<Step>,
    /// While it runs.
    pub(super) plug: Vec<Step>,
    /// What can't be had now, or not while it runs.
    pub(super) waiting: Option<Waiting>,
}

pub(super) fn change(instance: &Instance, observed: &Observed, machine: &Machine) -> Change {
    let Some(mounts) = &machine.mounts else { return Change::default() };
    let (wanted, lacking) = wanted(instance, observed, mounts);
    let mut change = Change { waiting: lacking, ..Change::default() };
    if wanted != mounts.defined {
        let projects = wanted.iter().any(|mount| matches!(mount.source, MountSource::Files(_)));
        // Also where they were put in place once: a host that was switched off has forgotten them.
        if projects && observed.inputs.missing.is_empty() {
            change.define.push(ensure_files(observed));
        }
        change.define.push(Step::DefineMounts { id: machine.id.clone(), mounts: wanted });
        // What is to be plugged follows from what is defined by then.
        return change;
    }
    let Some(live) = &mounts.live else { return change };
    // A volume that is mounted otherwise goes before it comes.
    let leaving = live.iter().filter(|mount| !mounts.defined.contains(mount)).filter_map(|mount| mounts.device(mount));
    let leaving: Vec<Uuid> = leaving.collect();
    let comes = |mount: &&Mount| !live.contains(mount);
    let coming = mounts.defined.iter().filter(comes).filter_map(|mount| mounts.device(mount));
    // That one has grown is told of what stays only.
    let stays = |volume: &&Uuid| mounts.defined.iter().any(|mount| mounts.device(mount) == Some(**volume));
    let coming = coming.chain(mounts.outgrown.iter().filter(stays).copied()).filter(|volume| !leaving.contains(volume));
    change.plug.extend(coming.map(|volume| Step::Attach { id: machine.id.clone(), volume }));
    change.plug.extend(leaving.into_iter().map(|volume| Step::Detach { id: machine.id.clone(), volume }));
    let waiting = at_the_next_start(instance, mounts, live);
    change.waiting = change.waiting.or(waiting);
    change
}

/// What the spec says, but for what can't be had now: that stays as it is. And why it can't.
fn wanted(instance: &Instance, observed: &Observed, mounts: &Mounts) -> (Vec<Mount>, Option<Waiting>) {
    let missing = observed.volumes.iter().find(|(_, volume)| **volume == Target::Missing);
    if let Some((name, _)) = missing {
        // Which of those that are mounted it was can't be told, so none of them goes.
        let waiting = Waiting::on("DependencyMissing", format!("Waiting for Volume `{name}`."));
        return (mounts.defined.clone(), Some(waiting));
    }
    let volumes = known_volumes(observed);
    let why_not = |mount: &Mount| match &mount.source {
        MountSource::Volume(uid) if !is_had(mounts, mount) => {
            volumes.iter().find(|(_, known)| *known == uid).and_then(|(name, _)| obstacle(observed, name))
        }
        MountSource::Files(_) if !mounts.defined.contains(mount) && !observed.inputs.missing.is_empty() => {
            let missing: Vec<_> = observed.inputs.missing.iter().cloned().collect();
            Some(Waiting::on("DependencyMissing", format!("Waiting for {}.", missing.join(", "))))
        }
        _ => None,
    };
    let (mut wanted, mut lacking) = (Vec::new(), None);
    for mount in wanted::mounts(instance, &volumes) {
        match why_not(&mount) {
            None => wanted.push(mount),
            Some(why) => {
                wanted.extend(mounts.defined.iter().find(|known| known.source == mount.source).cloned());
                lacking.get_or_insert(why);
            }
        }
    }
    (wanted, lacking)
}

/// Whether the machine has this Volume already, to do as much with it.
fn is_had(mounts: &Mounts, mount: &Mount) -> bool {
    let mut known = mounts.defined.iter().filter(|known| known.source == mount.source);
    known.any(|known| mount.read_only || !known.read_only)
}

/// Why a Volume can't be had now.
fn obstacle(observed: &Observed, name: &str) -> Option<Waiting> {
    if let Some(why) = observed.volumes.get(name).and_then(|volume| super::needs::why_not(volume, |_| false)) {
        return Some(Waiting::briefly("DependencyNotReady", format!("Volume `{name}` {why}.")));
    }
    let rival = observed.rivals.get(name)?;
    Some(super::needs::in_use(name, rival))
}

/// Directories, unlike devices, change at a start only.
fn at_the_next_start(instance: &Instance, mounts: &Mounts, live: &[Mount]) -> Option<Waiting> {
    let differs = |one: &[Mount], other: &[Mount]| {
        let differing = one.iter().filter(|mount| mounts.device(mount).is_none() && !other.contains(mount));
        differing.map(|mount| format!("`{}`", mount.path)).collect::<Vec<_>>()
    };
    let mut paths = [differs(&mounts.defined, live), differs(live, &mounts.defined)].concat();
    paths.sort_unstable();
    paths.dedup();
    let message = format!(
        "What a virtual machine mounts at {} changes when it starts: `cloudctl restart {}` does that, or another \
         `restartToken`.",
        paths.join(", "),
        instance.name_any()
    );
    (!paths.is_empty()).then(|| Waiting::on_user("RestartNeeded", message))
}

/// Whether one of the Volumes that the spec names is not the machine's yet: who has it must be known then.
pub(super) fn wants_more(instance: &Instance, observed: &Observed) -> bool {
    if instance.spec.volumes.is_empty() {
        return false;
    }
    let wanted = wanted::mounts(instance, &known_volumes(observed));
    let mut known = observed.machines.iter().filter_map(|machine| machine.mounts.as_ref());
    known
        .any(|known| wanted.iter().any(|mount| matches!(mount.source, MountSource::Volume(_)) && !is_had(known, mount)))
}
