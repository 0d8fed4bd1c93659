//! Decides what keeps a machine from being made, started, or given a Volume, in words for people. Pure.

use controller_backend::Machine;
use crds::compute::instance::Instance;
use uuid::Uuid;

use super::observe::{Network, Observed, Target};
use super::origin;
use crate::runtime::Waiting;

/// The reason for which others may be woken.
const VOLUME_IN_USE: &str = "VolumeInUse";

/// What isn't there at all. A machine whose mounts can change, and that stays, goes on without a Volume.
pub(super) fn missing(instance: &Instance, observed: &Observed, kept: Option<&Machine>) -> Option<Waiting> {
    let mut missing = Vec::new();
    // The default one is made by itself, once it is known that there can be a machine in it.
    let comes_later = instance.vpc() == crds::DEFAULT_VPC && !may_make_vpc(instance, observed);
    if observed.network == Target::Missing && !comes_later {
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

/// Whether the namespace's default Vpc is missing and can be made for it. What it is made from may turn out to be of another
/// backend until that is ready.
pub(super) fn may_make_vpc(instance: &Instance, observed: &Observed) -> bool {
    let is_known = !origin::is_missing(observed) && origin::not_ready(observed).is_none();
    observed.network == Target::Missing && instance.vpc() == crds::DEFAULT_VPC && is_known
}

/// What keeps a machine that is there from being started now. What it has and is being deleted waits for it, and so doesn't;
/// where mounts can change, only Volumes that it has count.
pub(super) fn cannot_start(instance: &Instance, observed: &Observed, machine: &Machine) -> Option<Waiting> {
    let waiting = not_ready(instance, observed, Some(machine))?;
    // What others have isn't its own.
    (machine.mounts.is_none() || waiting.reason != VOLUME_IN_USE).then_some(waiting)
}

/// What keeps a machine from being made now, or this one from being started.
pub(super) fn not_ready(instance: &Instance, observed: &Observed, machine: Option<&Machine>) -> Option<Waiting> {
    if !observed.inputs.missing.is_empty() {
        let missing: Vec<_> = observed.inputs.missing.iter().cloned().collect();
        return Some(Waiting::on("DependencyMissing", format!("Waiting for {}.", missing.join(", "))));
    }
    let not_ready = |what: String| Waiting::briefly("DependencyNotReady", format!("{what}."));
    let attachment = machine.and_then(|machine| machine.attachment);
    let is_in = |network: &Network| attachment.is_some_and(|attachment| attachment.network == network.uid);
    if let Some(why) = why_not(&observed.network, is_in) {
        return Some(not_ready(format!("Vpc `{}` {why}", instance.vpc())));
    }
    let has = |uid: &Uuid| machine.is_some_and(|machine| machine.volumes.contains(uid));
    let changes = machine.is_some_and(|machine| machine.mounts.is_some());
    for (name, volume) in &observed.volumes {
        let counts = !changes || volume.known().is_some_and(has);
        if let Some(why) = why_not(volume, has).filter(|_| counts) {
            return Some(not_ready(format!("Volume `{name}` {why}")));
        }
    }
    if let Target::NotReady(_, why) = &observed.size {
        return Some(Waiting::on_user("Invalid", format!("The Instance {why}.")));
    }
    let (volume, rival) = observed.rivals.first_key_value()?;
    Some(in_use(volume, rival))
}

/// Why something can't be used now by who has it, or hasn't.
pub(super) fn why_not<T>(target: &Target<T>, has: impl Fn(&T) -> bool) -> Option<&str> {
    match target {
        Target::NotReady(_, why) => Some(why),
        Target::Going(known) if !has(known) => Some("is being deleted"),
        Target::Missing | Target::Going(_) | Target::Ready(_) => None,
    }
}

/// Another Instance has the Volume.
pub(super) fn in_use(volume: &str, rival: &str) -> Waiting {
    let message = format!("Volume `{volume}` is in use by Instance `{rival}`: one machine writes to it at a time.");
    Waiting::on_user(VOLUME_IN_USE, message)
}
