//! Decides what becomes of a virtual machine that stands still because the host couldn't write for it: it is asked to go on at
//! each look, once, and the pauses between those grow as after any failure. Which disk it was is told by its name.

use controller_backend::{Conflict, Error as BackendError, Machine};

use super::apply::volume_name;
use super::{InstanceKind, Step};
use crate::runtime::Failure;

/// Has a machine go on that shouldn't be frozen, whoever froze it.
pub(super) fn go_on(machine: &Machine) -> Step {
    match machine.stall {
        Some(_) => Step::Resume(machine.id.clone()),
        None => Step::Unpause(machine.id.clone()),
    }
}

/// What stops a machine that is frozen: one that can't go on can't be thawed before.
pub(super) fn stop(machine: &Machine, stop: Step) -> Vec<Step> {
    match machine.stall {
        Some(_) => vec![stop],
        None => vec![Step::Unpause(machine.id.clone()), stop],
    }
}

/// What it means that a machine couldn't be thawed.
pub(super) fn failure(kind: &InstanceKind, error: BackendError) -> Failure {
    match error.as_conflict() {
        Some(Conflict::Stalled { stall }) => {
            let of_volume = |volume| format!("Volume `{}`", volume_name(kind, volume));
            Failure::Stalled { stall: *stall, disk: stall.volume.map_or("its root disk".to_owned(), of_volume) }
        }
        _ => Failure::backend("unpause the machine")(error),
    }
}
