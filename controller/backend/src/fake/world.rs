//! What exists at the fake engine, and the indexes that keep each call cheap. Holds state and its invariants; the
//! rules of each port are in the files beside it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use ipnet::Ipv4Net;
use jiff::Timestamp;
use uuid::Uuid;

use super::disk_images::FakeDownload;
use super::images::{FakeImage, Program};
use crate::{
    Capacity, Channel, DiskImage, Event, ExitState, Happening, Identity, Machine, MachineId, MachineSnapshot,
    MachineSpec, MachineState, Mount, Network, Owner, ProjectedFile, Protocol, Publish, PublishedPort, Rules, Snapshot,
    Stall, StallCause, Volume, Zones,
};

/// Files by set and path.
pub(super) type FileSets = BTreeMap<String, BTreeMap<String, ProjectedFile>>;
/// The host's address that is listened on, and the machine that does.
type Listener = (IpAddr, Option<MachineId>);

#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) identity: Identity,
    pub(super) capacity: Capacity,
    pub(super) happened: Vec<Event>,
    pub(super) made: u64,
    pub(super) machines: BTreeMap<MachineId, FakeMachine>,
    pub(super) machines_by_owner: BTreeMap<(Uuid, Uuid), Vec<MachineId>>,
    pub(super) machine_names: BTreeMap<String, MachineId>,
    /// Addresses that running machines hold, by network owner.
    pub(super) addresses: BTreeMap<(Uuid, Ipv4Addr), MachineId>,
    /// Ports of the host that are listened on, by whom; `None` is a process that is not a machine.
    pub(super) ports: BTreeMap<(Protocol, u16), Vec<Listener>>,
    pub(super) networks: BTreeMap<Uuid, Network>,
    /// The rules in force, by installation.
    pub(super) firewalls: BTreeMap<Uuid, Rules>,
    /// The names that are served, by installation.
    pub(super) names: BTreeMap<Uuid, Zones>,
    /// Routes that are not a network's.
    pub(super) routes: BTreeMap<Ipv4Net, String>,
    pub(super) volumes: BTreeMap<(Uuid, Uuid), FakeVolume>,
    pub(super) snapshots: BTreeMap<(Uuid, Uuid), FakeSnapshot>,
    /// Whether a volume grows only while no machine runs on it.
    pub(super) grows_at_rest: bool,
    /// Why no size of a volume that is made now is enforced, if it is not.
    pub(super) cannot_enforce: Option<String>,
    pub(super) images: BTreeMap<String, FakeImage>,
    pub(super) registry: BTreeMap<String, FakeImage>,
    pub(super) registry_down: bool,
    /// Whether the registry has whatever is asked for.
    pub(super) registry_has_all: bool,
    /// Files that disk images can be imported from, each with the size of its disk.
    pub(super) disk_files: BTreeMap<String, u64>,
    pub(super) disk_urls: BTreeMap<String, FakeDownload>,
    /// How long half of a disk image takes to come.
    pub(super) imports_take: Duration,
    pub(super) disk_images: BTreeMap<(Uuid, Uuid), DiskImage>,
    pub(super) machine_snapshots: BTreeMap<(Uuid, Uuid), FakeMachineSnapshot>,
    pub(super) files: BTreeMap<(Uuid, Uuid), OwnedFiles>,
    /// How often the machines of each owner were started.
    pub(super) starts: BTreeMap<Uuid, u64>,
}

#[derive(Debug)]
pub(super) struct FakeMachine {
    pub(super) spec: MachineSpec,
    pub(super) machine: Machine,
    pub(super) log: Vec<LogEntry>,
    /// What it mounts while it runs.
    pub(super) live: Option<Vec<Mount>>,
    /// The sizes of devices that it was told.
    pub(super) told: BTreeMap<Uuid, u64>,
    /// Whether the guest lets go of no device.
    pub(super) holds_on: bool,
    /// Whether the guest takes no memory while it runs.
    pub(super) ignores_memory: bool,
    /// Whether the host has room for what it writes.
    pub(super) has_room: bool,
    /// Stands for what its disk holds: another one for each machine that is made from an image.
    pub(super) disk: u64,
    /// The file sets that its program found when it was last started.
    pub(super) begun_with: FileSets,
}

#[derive(Debug, Clone)]
pub(super) struct LogEntry {
    pub(super) at: Timestamp,
    /// Which start of the machine wrote it.
    pub(super) run: u64,
    pub(super) channel: Channel,
    pub(super) line: Bytes,
}

#[derive(Debug)]
pub(super) struct FakeVolume {
    pub(super) volume: Volume,
    /// Different each time that an empty volume is made: stands for its data.
    pub(super) incarnation: u64,
}

#[derive(Debug)]
pub(super) struct FakeSnapshot {
    pub(super) snapshot: Snapshot,
    /// That of the volume: stands for the data.
    pub(super) incarnation: u64,
}

#[derive(Debug)]
pub(super) struct FakeMachineSnapshot {
    pub(super) snapshot: MachineSnapshot,
    /// What machines that are made from it do.
    pub(super) program: Program,
    /// That of the machine: stands for the data.
    pub(super) disk: u64,
}

#[derive(Debug)]
pub(super) struct OwnedFiles {
    pub(super) owner: Owner,
    pub(super) sets: FileSets,
}

impl Default for World {
    fn default() -> Self {
        Self {
            // Any moment does, as long as it is always the same: 2026-01-01T00:00:00Z.
            now: Timestamp::from_second(1_767_225_600).expect("the moment is within range"),
            identity: Identity {
                id: "fake-engine".to_owned(),
                name: "fake".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            grows_at_rest: false,
            cannot_enforce: None,
            capacity: Capacity { cpus: 64, memory_bytes: 256 << 30 },
            happened: Vec::new(),
            made: 0,
            machines: BTreeMap::new(),
            machines_by_owner: BTreeMap::new(),
            machine_names: BTreeMap::new(),
            addresses: BTreeMap::new(),
            ports: BTreeMap::new(),
            networks: BTreeMap::new(),
            firewalls: BTreeMap::new(),
            names: BTreeMap::new(),
            routes: BTreeMap::new(),
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            images: BTreeMap::new(),
            registry: BTreeMap::new(),
            registry_down: false,
            registry_has_all: false,
            disk_files: BTreeMap::new(),
            disk_urls: BTreeMap::new(),
            imports_take: Duration::ZERO,
            disk_images: BTreeMap::new(),
            machine_snapshots: BTreeMap::new(),
            files: BTreeMap::new(),
            starts: BTreeMap::new(),
        }
    }
}

impl World {
    /// What machines can be made from, by the name that they are given: its id, what it does, and what its disk holds if
    /// that is already something of its own.
    pub(super) fn origin(&self, installation: Uuid, name: &str) -> Option<(String, Program, Option<u64>)> {
        let image = self.images.values().find(|image| image.is_named(name));
        if let Some(image) = image {
            return Some((image.image.id.clone(), image.program, image.disk));
        }
        let mut ours = self.machine_snapshots.range((installation, Uuid::nil())..=(installation, Uuid::max()));
        let named = |uid: Uuid, fake: &FakeMachineSnapshot| fake.snapshot.image.id == name || uid.to_string() == name;
        let (_, fake) = ours.find(|((_, uid), fake)| named(*uid, fake))?;
        Some((fake.snapshot.image.id.clone(), fake.program, Some(fake.disk)))
    }

    /// A number that was never given before.
    pub(super) fn next_number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    pub(super) fn tell(&mut self, owner: Owner, happening: Happening) {
        self.happened.push(Event::Changed { owner, happening });
    }

    /// Whether somebody listens where `publish` would.
    pub(super) fn is_port_taken(&self, protocol: Protocol, publish: Publish) -> bool {
        self.ports.get(&(protocol, publish.port)).is_some_and(|holders| {
            holders.iter().any(|(address, _)| {
                *address == publish.address || address.is_unspecified() || publish.address.is_unspecified()
            })
        })
    }

    pub(super) fn take_port(&mut self, protocol: Protocol, publish: Publish, holder: Option<MachineId>) {
        self.ports.entry((protocol, publish.port)).or_default().push((publish.address, holder));
    }

    pub(super) fn free_port(&mut self, protocol: Protocol, publish: Publish, holder: Option<&MachineId>) {
        if let Some(holders) = self.ports.get_mut(&(protocol, publish.port)) {
            holders.retain(|(address, by)| *address != publish.address || by.as_ref() != holder);
            if holders.is_empty() {
                self.ports.remove(&(protocol, publish.port));
            }
        }
    }

    /// Ends a machine's process and frees what it held while it ran.
    pub(super) fn end(&mut self, id: &MachineId, code: i64, out_of_memory: bool) {
        let now = self.now;
        let Some(fake) = self.machines.get_mut(id) else { return };
        if !matches!(fake.machine.state, MachineState::Running | MachineState::Paused) {
            return;
        }
        fake.live = None;
        fake.told.clear();
        fake.machine.left_frozen = false;
        fake.machine.stall = None;
        fake.count_volumes();
        fake.machine.state = MachineState::Exited(ExitState { code, out_of_memory, finished_at: now });
        let owner = fake.machine.owner.clone();
        let attachment = fake.machine.attachment;
        let published: Vec<PublishedPort> = fake.machine.published.clone();
        if let Some(attachment) = attachment {
            self.addresses.remove(&(attachment.network, attachment.address));
        }
        for port in published {
            self.free_port(port.protocol, port.publish, Some(id));
        }
        if out_of_memory {
            self.tell(owner.clone(), Happening::OutOfMemory);
        }
        self.tell(owner, Happening::Died);
    }

    /// Whether the host has room for what a machine writes, as it does all the time.
    pub(super) fn give_room(&mut self, id: &MachineId, has_room: bool) {
        if let Some(fake) = self.machines.get_mut(id) {
            fake.has_room = has_room;
        }
        if !has_room {
            self.stall(id);
        }
    }

    /// A machine that runs writes where there is no room.
    pub(super) fn stall(&mut self, id: &MachineId) {
        let Some(fake) = self.machines.get_mut(id).filter(|fake| fake.machine.state == MachineState::Running) else {
            return;
        };
        fake.machine.state = MachineState::Paused;
        fake.machine.stall = Some(Stall { cause: StallCause::NoRoom, volume: None });
        let owner = fake.machine.owner.clone();
        self.tell(owner, Happening::Paused);
    }

    /// Takes a machine away entirely.
    pub(super) fn discard(&mut self, id: &MachineId) {
        self.end(id, 137, false);
        let Some(fake) = self.machines.remove(id) else { return };
        let owner = fake.machine.owner;
        self.machine_names.remove(&fake.machine.name);
        let key = (owner.installation, owner.uid);
        if let Some(ids) = self.machines_by_owner.get_mut(&key) {
            ids.retain(|other| other != id);
            if ids.is_empty() {
                self.machines_by_owner.remove(&key);
            }
        }
        self.tell(owner, Happening::Removed);
    }

    /// The machines of one owner, oldest first.
    pub(super) fn machines_of(&self, installation: Uuid, owner: Uuid) -> Vec<MachineId> {
        self.machines_by_owner.get(&(installation, owner)).cloned().unwrap_or_default()
    }
}
