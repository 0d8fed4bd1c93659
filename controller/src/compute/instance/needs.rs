//! Decides what keeps a machine from being made, started, or given a Volume, in words for people. Pure.

use controller_backend::Machine;
use crds::compute::instance::Instance;
use uuid::Uuid;

use super::observe::{Observed, Target};
use super::origin;
use crate::runtime::Waiting;

/// The reason for which others may be woken.
const VOLUME_IN_USE: &str = "VolumeInUse";

/// What isn't there at all. A machine whose mounts can change, and that stays, goes on without a Volume.
pub(super) fn missing(instance: &Instance, observed: &Observed, kept: Option<&Machine>) -> Option<Waiting> {
    let mut missing = Vec::new();
    if observed.network == Target::Missing {
        missing.push(format!("Vpc `{}`", instance.vpc()));
    }
    if origin::is_missing(observed) {
        missing.push(origin::words(instance, observed));
    }
    if observed.size == Target::Missing {
        missing.push(format!("InstanceType `{}`", observed.instance_type));
    }
    let can_wait = kept.is_some_and(|machine| machine.mounts.is_some());
    let volumes = observed.volumes.iter().filter(|(_, volume)| !can_wait && **volume == Target::Missing);
    missing.extend(volumes.map(|(name, _)| format!("Volume `{name}`")));
    (!missing.is_empty()).then(|| Waiting::on("DependencyMissing", format!("Waiting for {}.", missing.join(", "))))
}

/// What keeps a machine that is there from being started now: where mounts can change, of Volumes only those that it has.
pub(super) fn cannot_start(instance: &Instance, observed: &Observed, machine: &Machine) -> Option<Waiting> {
    let has = |volume: &Target<_>| volume.known().is_some_and(|uid| machine.volumes.contains(uid));
    not_ready(instance, observed, |volume| machine.mounts.is_none() || has(volume)).filter(|waiting| {
        // What others have isn't its own.
        machine.mounts.is_none() || waiting.reason != VOLUME_IN_USE
    })
}

/// What keeps a machine from being made or started now, with these of the Volumes.
pub(super) fn not_ready(
    instance: &Instance,
    observed: &Observed,
    counts: impl Fn(&Target<Uuid>) -> bool,
) -> Option<Waiting> {
    if !observed.inputs.missing.is_empty() {
        let missing: Vec<_> = observed.inputs.missing.iter().cloned().collect();
        return Some(Waiting::on("DependencyMissing", format!("Waiting for {}.", missing.join(", "))));
    }
    let not_ready = |what: String| Waiting::briefly("DependencyNotReady", format!("{what}."));
    if let Target::NotReady(_, why) = &observed.network {
        return Some(not_ready(format!("Vpc `{}` {why}", instance.vpc())));
    }
    for (name, volume) in observed.volumes.iter().filter(|(_, volume)| counts(volume)) {
        if let Target::NotReady(_, why) = volume {
            return Some(not_ready(format!("Volume `{name}` {why}")));
        }
    }
    if let Target::NotReady(_, why) = &observed.size {
        return Some(Waiting::on_user("Invalid", format!("The Instance {why}.")));
    }
    let (volume, rival) = observed.rivals.first_key_value()?;
    Some(in_use(volume, rival))
}

/// Another Instance has the Volume.
pub(super) fn in_use(volume: &str, rival: &str) -> Waiting {
    let message = format!("Volume `{volume}` is in use by Instance `{rival}`: one machine writes to it at a time.");
    Waiting::on_user(VOLUME_IN_USE, message)
}
