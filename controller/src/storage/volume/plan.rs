//! Decides what a Volume needs. Input: the Volume and what exists. Output: a plan. Never talks to a backend.

use controller_backend::VolumeSpec;
use crds::storage::volume::{DeletionPolicy, Volume};

use super::Step;
use super::observe::{Observed, Source};
use crate::network::vpc::instances;
use crate::runtime::{Goal, Plan, Waiting};
use crate::storage;

pub(super) fn plan(goal: Goal, volume: &Volume, observed: &Observed) -> Plan<Step> {
    match goal {
        Goal::Absent => absent(volume, observed),
        Goal::Present => present(volume, observed),
    }
}

fn absent(volume: &Volume, observed: &Observed) -> Plan<Step> {
    if !observed.users.is_empty() {
        let waiting = Waiting::on("InUse", format!("In use by {}.", instances(&observed.users)));
        // After a restart of the host it is made ready for them once more.
        let lost = observed.volume.as_ref().filter(|real| !real.ready && !real.retained);
        let again = lost.map(|real| {
            let (owner, size_bytes, mode) = (observed.owner.clone(), real.size_bytes, real.mode);
            Step::Ensure(VolumeSpec { owner, size_bytes, mode, source: None })
        });
        return Plan { steps: again.into_iter().collect(), ..Plan::wait(waiting) };
    }
    match (volume.spec.deletion_policy, &observed.volume) {
        (DeletionPolicy::Retain, Some(real)) if !real.retained => Plan::of(vec![Step::Retain]),
        (DeletionPolicy::Retain, Some(_)) => Plan::default(),
        (DeletionPolicy::Delete, Some(_)) => Plan::of(vec![Step::Remove]),
        // A half-made one is nobody's data.
        (_, None) if observed.leftovers => Plan::of(vec![Step::Remove]),
        (_, None) => Plan::default(),
    }
}

fn present(volume: &Volume, observed: &Observed) -> Plan<Step> {
    let size_bytes = match volume.spec.size.units() {
        Ok(size) if size > 0 => size,
        _ => {
            let message = format!("`{}` is not a size such as 10Gi.", volume.spec.size);
            return Plan::wait(Waiting::on_user("Invalid", message));
        }
    };
    let was_made = volume.status.as_ref().is_some_and(|status| status.size.is_some());
    if was_made && observed.volume.is_none() {
        // An empty one in its place would look like the data that somebody wrote.
        let message = "Its data is not in the server's data directory, where it was. Bring it back, or delete the \
                       Volume to start with an empty one.";
        return Plan::wait(Waiting::on_user("DataMissing", message));
    }
    let settled = observed.volume.as_ref().is_some_and(|real| {
        // It never shrinks: the schema refuses that, and data would be lost.
        real.ready && !real.retained && real.size_bytes >= size_bytes
    });
    if settled {
        return Plan::default();
    }
    let source = match &observed.source {
        None => None,
        Some(Source::Missing(message)) => return Plan::wait(Waiting::on("DependencyMissing", message.clone())),
        Some(Source::There { name, size_bytes: least, .. }) if size_bytes < *least => {
            let least = storage::size(*least);
            let message = format!("Its size is less than that of {name}: make a Volume of at least {least}.");
            return Plan::wait(Waiting::on_user("Invalid", message));
        }
        Some(Source::There { source, .. }) => Some(*source),
    };
    let kept = observed.volume.as_ref().map_or(0, |real| real.size_bytes);
    let mode = storage::mode(volume.spec.volume_mode);
    let spec = VolumeSpec { owner: observed.owner.clone(), size_bytes: size_bytes.max(kept), mode, source };
    Plan { slow: true, ..Plan::of(vec![Step::Ensure(spec)]) }
}
