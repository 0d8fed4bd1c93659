//! Decides what a domain says about its machine. libvirt remembers what it is; when it started and how it ended is in the
//! log of its process.

use controller_backend::{ExitState, Machine, MachineState, MachineSummary};
use virt_sys as sys;

use crate::engine::{CallError, Owned};
use crate::{marks, process_log};

pub(super) fn summary(owned: &Owned) -> Result<MachineSummary, CallError> {
    Ok(MachineSummary {
        id: marks::id(&owned.domain)?,
        owner: owned.marks.owner.clone(),
        spec_hash: owned.marks.spec_hash.clone(),
        active: owned.domain.is_active()?,
        attachment: owned.marks.attachment,
        volumes: owned.marks.volumes.clone(),
    })
}

pub(crate) fn machine(owned: &Owned) -> Result<Machine, CallError> {
    let marks = &owned.marks;
    let name = owned.domain.get_name()?;
    let (state, _) = owned.domain.get_state()?;
    let story = process_log::read(&name, marks.created_at);
    let state = match state {
        _ if !marks.complete => MachineState::Dead,
        sys::VIR_DOMAIN_PAUSED => MachineState::Paused,
        sys::VIR_DOMAIN_SHUTOFF | sys::VIR_DOMAIN_CRASHED => match (&story.started_at, story.ended) {
            (_, Some((finished_at, reason))) => MachineState::Exited(ExitState {
                code: process_log::exit_code(&reason),
                out_of_memory: false,
                finished_at,
            }),
            // The host went down with it: nobody was left to write how it ended.
            (Some(started_at), None) => {
                MachineState::Exited(ExitState { code: 137, out_of_memory: false, finished_at: *started_at })
            }
            (None, None) => MachineState::Created,
        },
        _ => MachineState::Running,
    };
    Ok(Machine {
        id: marks::id(&owned.domain)?,
        name,
        owner: marks.owner.clone(),
        spec_hash: marks.spec_hash.clone(),
        state,
        created_at: marks.created_at,
        started_at: story.started_at,
        image_id: marks.image_id.clone(),
        attachment: marks.attachment,
        published: marks.published.clone(),
        resources: marks.resources,
        volumes: marks.volumes.clone(),
    })
}
