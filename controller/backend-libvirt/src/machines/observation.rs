//! Decides what a domain says about its machine. libvirt remembers what it is; when it started and how it ended is in the
//! log of its process.

use std::collections::BTreeSet;

use controller_backend::{
    Attachment, ExitState, Machine, MachineMemory, MachineState, MachineSummary, Mount, MountSource, Mounts, Resources,
    SecurityContext, port_name,
};
use uuid::Uuid;
use virt_sys as sys;

use super::{card, stall};
use crate::engine::{CallError, Owned};
use crate::memory::Growth;
use crate::remount::elements;
use crate::{devices, domain_xml, frozen, marks, process_log};

pub(super) fn summary(owned: &Owned) -> Result<MachineSummary, CallError> {
    let active = owned.domain.is_active()?;
    // Of a machine without devices, nothing that it would tell is asked for.
    let live = if active && !owned.marks.devices.is_empty() { owned.domain.get_xml_desc(0)? } else { String::new() };
    let mounts = mounts(owned, active.then_some(live.as_str()))?;
    Ok(MachineSummary {
        id: marks::id(&owned.domain)?,
        owner: owned.marks.owner.clone(),
        spec_hash: owned.marks.spec_hash.clone(),
        active,
        attachment: owned.marks.attachment,
        volumes: volumes(&mounts),
    })
}

pub(crate) fn machine(owned: &Owned) -> Result<Machine, CallError> {
    let marks = &owned.marks;
    let name = owned.domain.get_name()?;
    let (domain_state, reason) = owned.domain.get_state()?;
    let story = process_log::read(&name, marks.created_at);
    let state = match domain_state {
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
    let active = matches!(state, MachineState::Running | MachineState::Paused);
    let xml = owned.domain.get_xml_desc(if active { 0 } else { sys::VIR_DOMAIN_XML_INACTIVE })?;
    let mounts = mounts(owned, active.then_some(xml.as_str()))?;
    let is_plugged_in = |place: &Attachment| card::find(&xml, &port_name(place.address)).is_some();
    let is_stalled = state == MachineState::Paused && stall::is_stalled(domain_state, reason);
    let (resources, memory) = amounts(marks.resources, active.then(|| Growth::read(&xml)).flatten());
    let left_frozen = state == MachineState::Running && frozen::is_noted(&xml);
    Ok(Machine {
        id: marks::id(&owned.domain)?,
        name,
        owner: marks.owner.clone(),
        spec_hash: marks.spec_hash.clone(),
        state,
        created_at: marks.created_at,
        started_at: story.started_at,
        image_id: marks.image_id.clone(),
        attachment: marks.attachment.filter(is_plugged_in),
        published: marks.published.clone(),
        resources,
        // A machine with a kernel of its own has nothing of the host's.
        security: SecurityContext::default(),
        volumes: volumes(&mounts),
        mounts: Some(mounts),
        most_processors: domain_xml::most_processors(&xml),
        memory: Some(memory),
        left_frozen,
        stall: if is_stalled { Some(stall::find(&owned.domain, &xml)?) } else { None },
    })
}

/// What it shall have, and how far its memory goes. What a machine that runs was offered counts, whether it was noted or not.
fn amounts(noted: Resources, growth: Option<Growth>) -> (Resources, MachineMemory) {
    let noted_bytes = noted.memory_bytes;
    match growth {
        Some(growth) => (Resources { memory_bytes: growth.memory_bytes(noted_bytes), ..noted }, growth.memory()),
        None => (noted, MachineMemory { taken_bytes: noted_bytes, most_bytes: noted_bytes }),
    }
}

/// What it mounts. Of directories a machine that runs has those that it was started with, which its marks then tell; of
/// devices those that are plugged in, as the definition of what runs says.
fn mounts(owned: &Owned, live: Option<&str>) -> Result<Mounts, CallError> {
    let marks = &owned.marks;
    let defined = marks.mounts.clone().unwrap_or_default();
    let mut mounts = Mounts { defined, live: None, devices: marks.devices.clone(), outgrown: Vec::new() };
    let Some(xml) = live else { return Ok(mounts) };
    let started_with = match marks.mounts {
        Some(_) => marks::of_run(&owned.domain)?.and_then(|marks| marks.mounts).unwrap_or_default(),
        None => Vec::new(),
    };
    let mut live: Vec<Mount> = started_with.iter().filter(|mount| mounts.device(mount).is_none()).cloned().collect();
    if !marks.devices.is_empty() {
        for disk in elements(xml, "disk").into_iter().map(|range| &xml[range]) {
            let Some(volume) = devices::volume(disk) else { continue };
            let known = mounts.defined.iter().chain(&started_with);
            live.push(plugged(disk, volume, known));
            if has_grown(owned, disk)? {
                mounts.outgrown.push(volume);
            }
        }
    }
    mounts.live = Some(live);
    Ok(mounts)
}

/// Where a disk is mounted: where it would have its serial.
fn plugged<'a>(disk: &str, volume: Uuid, mut known: impl Iterator<Item = &'a Mount>) -> Mount {
    let (serial, read_only) = (devices::text(disk, "serial").unwrap_or_default(), disk.contains("<readonly/>"));
    let source = MountSource::Volume(volume);
    let fits = |mount: &&Mount| {
        mount.source == source && mount.read_only == read_only && devices::serial(&mount.path) == serial
    };
    known.find(fits).cloned().unwrap_or_else(|| Mount { path: format!("/dev/{serial}"), read_only, source })
}

/// Whether a device is larger than QEMU has told the machine.
fn has_grown(owned: &Owned, disk: &str) -> Result<bool, CallError> {
    let (Some(target), Some(path)) = (devices::target(disk), devices::source(disk)) else { return Ok(false) };
    let told = owned.domain.get_block_info(&target, 0)?.capacity;
    Ok(devices::size_bytes(&path).is_some_and(|size| size > told))
}

/// Those that it mounts or will.
fn volumes(mounts: &Mounts) -> Vec<Uuid> {
    let all = mounts.defined.iter().chain(mounts.live.iter().flatten());
    let uids = all.filter_map(|mount| match mount.source {
        MountSource::Volume(uid) => Some(uid),
        _ => None,
    });
    uids.collect::<BTreeSet<_>>().into_iter().collect()
}
