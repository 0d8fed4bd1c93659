//! What a test does to the fake engine from outside: faults, accidents, and things made by somebody else.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ipnet::Ipv4Net;
use uuid::Uuid;

use super::FakeEngine;
use super::disk_images::FakeDownload;
use super::faults::{Fault, FaultKind, Operation, Times};
use super::images::{FakeImage, Program};
use super::world::{FileSets, LogEntry, World};
use crate::{
    Capacity, Channel, Checksum, Event, Happening, Identity, Machine, MachineId, MachineState, Protocol, Publish,
};

impl FakeEngine {
    /// Lets a fault strike later calls.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.inject(fault);
    }

    /// The `nth` call of `operation` from now (the first is 1) fails once.
    pub fn fail_nth(&self, operation: Operation, nth: u64, kind: FaultKind) {
        self.inject(Fault { operation: Some(operation), skip: nth.saturating_sub(1), times: Times::Once, kind });
    }

    /// Every call of `operation` fails from now on.
    pub fn fail_always(&self, operation: Operation, kind: FaultKind) {
        self.inject(Fault { operation: Some(operation), skip: 0, times: Times::Forever, kind });
    }

    /// The `nth` change of any sort from now (the first is 1) takes effect, but its answer is lost.
    pub fn lose_answer_of_nth_change(&self, nth: u64) {
        self.inject(Fault {
            operation: None,
            skip: nth.saturating_sub(1),
            times: Times::Once,
            kind: FaultKind::LostAnswer,
        });
    }

    /// No fault strikes any more.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// How often each call was made since the engine was made.
    pub fn calls(&self) -> BTreeMap<Operation, u64> {
        self.lock().faults.calls().clone()
    }

    /// How many calls that can change the world were made.
    pub fn changes(&self) -> u64 {
        self.lock().faults.calls().iter().filter(|(operation, _)| operation.is_change()).map(|(_, count)| count).sum()
    }

    /// The engine stops answering. What runs goes on; what happens meanwhile is not told.
    pub fn go_down(&self) {
        self.lock().down = true;
    }

    /// The engine answers again, and every watcher resyncs.
    pub fn come_up(&self) {
        let mut state = self.lock();
        state.down = false;
        state.world.happened.push(Event::Resync);
        self.publish(&mut state);
    }

    /// Events get lost, silently, until `deliver_events`.
    pub fn lose_events(&self) {
        self.lock().drop_events = true;
    }

    /// Events are told twice, until `deliver_events`.
    pub fn double_events(&self) {
        self.lock().double_events = true;
    }

    /// Events are told again, each once.
    pub fn deliver_events(&self) {
        let mut state = self.lock();
        state.drop_events = false;
        state.double_events = false;
    }

    /// A machine is held still for a snapshot from now on, for so long.
    pub fn hold_still(&self, machine: &MachineId, takes: Duration) {
        let still = self.shared.stillness.begin(machine);
        tokio::spawn(async move {
            tokio::time::sleep(takes).await;
            drop(still);
        });
    }

    /// An image that is on the host.
    pub fn add_image(&self, reference: &str, program: Program) {
        self.by_hand(|world| {
            world.images.insert(reference.to_owned(), FakeImage::new(reference, program));
            world.happened.push(Event::ImageArrived);
        });
    }

    /// A file that a disk image can be imported from.
    pub fn add_disk_file(&self, path: &str, disk_bytes: u64) {
        self.by_hand(|world| world.disk_files.insert(path.to_owned(), disk_bytes));
    }

    /// A file that a disk image can be downloaded from, with what it hashes to.
    pub fn add_disk_url(&self, url: &str, checksum: Checksum, disk_bytes: u64) {
        self.by_hand(|world| world.disk_urls.insert(url.to_owned(), FakeDownload { checksum, disk_bytes }));
    }

    /// From now on an import stands at its half for so long.
    pub fn slow_imports(&self, takes: Duration) {
        self.by_hand(|world| world.imports_take = takes);
    }

    /// From now on the registry has whatever is asked for: images whose machines run until somebody stops them.
    pub fn add_every_registry_image(&self) {
        self.by_hand(|world| world.registry_has_all = true);
    }

    /// An image that only the registry has.
    pub fn add_registry_image(&self, reference: &str, program: Program) {
        self.by_hand(|world| world.registry.insert(reference.to_owned(), FakeImage::new(reference, program)));
    }

    /// Whether the registry answers.
    pub fn set_registry_reachable(&self, reachable: bool) {
        self.by_hand(|world| world.registry_down = !reachable);
    }

    /// A process that is not a machine listens there.
    pub fn occupy_port(&self, protocol: Protocol, publish: Publish) {
        self.by_hand(|world| world.take_port(protocol, publish, None));
    }

    /// That process is gone.
    pub fn release_port(&self, protocol: Protocol, publish: Publish) {
        self.by_hand(|world| world.free_port(protocol, publish, None));
    }

    /// A route of the host that is no network of the engine.
    pub fn add_route(&self, cidr: Ipv4Net, device: &str) {
        self.by_hand(|world| world.routes.insert(cidr, device.to_owned()));
    }

    /// That route is gone.
    pub fn remove_route(&self, cidr: Ipv4Net) {
        self.by_hand(|world| world.routes.remove(&cidr));
    }

    /// Another engine answers from now on, with nothing else changed.
    pub fn set_identity(&self, id: &str) {
        self.by_hand(|world| {
            world.identity = Identity { id: id.to_owned(), ..world.identity.clone() };
        });
    }

    /// What the engine's machine has.
    pub fn set_capacity(&self, capacity: Capacity) {
        self.by_hand(|world| world.capacity = capacity);
    }

    /// From now on a volume grows only while no machine runs on it, as on a host that lets no mounted one grow.
    pub fn let_volumes_grow_at_rest_only(&self) {
        self.by_hand(|world| world.grows_at_rest = true);
    }

    /// Sizes of volumes that are made from now on are not enforced, for this reason; with `None` they are again.
    pub fn cannot_enforce_sizes(&self, why: Option<&str>) {
        self.by_hand(|world| world.cannot_enforce = why.map(str::to_owned));
    }

    /// The guests of an owner's machines let go of no device from now on, or of those that they were asked for.
    pub fn hold_on_to_devices(&self, owner: Uuid, holds_on: bool) {
        self.by_hand(|world| {
            for id in owned_by(world, owner) {
                super::mounting::hold_on(world, &id, holds_on);
            }
        });
    }

    /// The guests of an owner's machines take no memory from now on that they are given while they run, or take it.
    pub fn ignore_memory(&self, owner: Uuid, ignores: bool) {
        self.by_hand(|world| {
            for id in owned_by(world, owner) {
                let Some(fake) = world.machines.get_mut(&id) else { continue };
                fake.ignores_memory = ignores;
                if fake.take_memory() {
                    let owner = fake.machine.owner.clone();
                    world.tell(owner, Happening::MemoryTaken);
                }
            }
        });
    }

    /// The guests of an owner's machines are frozen, and whoever froze them for a snapshot was killed.
    pub fn leave_frozen(&self, owner: Uuid) {
        self.by_hand(|world| {
            for id in owned_by(world, owner) {
                if let Some(fake) = world.machines.get_mut(&id) {
                    fake.machine.left_frozen = fake.machine.state == MachineState::Running;
                }
            }
        });
    }

    /// The host has no room from now on for what the machines of an owner write, or has it again.
    pub fn give_room(&self, owner: Uuid, has_room: bool) {
        self.by_hand(|world| {
            for id in owned_by(world, owner) {
                world.give_room(&id, has_room);
            }
        });
    }

    /// The running machines of an owner end with `code`, as if by themselves.
    pub fn crash(&self, owner: Uuid, code: i64) {
        self.end_all(owner, code, false);
    }

    /// The kernel kills the running machines of an owner for want of memory.
    pub fn run_out_of_memory(&self, owner: Uuid) {
        self.end_all(owner, 137, true);
    }

    fn end_all(&self, owner: Uuid, code: i64, out_of_memory: bool) {
        self.by_hand(|world| {
            for id in owned_by(world, owner) {
                world.end(&id, code, out_of_memory);
            }
        });
    }

    /// Somebody removes the machines of an owner.
    pub fn remove_by_hand(&self, owner: Uuid) {
        self.by_hand(|world| {
            for id in owned_by(world, owner) {
                world.discard(&id);
            }
        });
    }

    /// Somebody gives the machines of an owner another name, and takes them out of their networks.
    pub fn lead_astray(&self, owner: Uuid) {
        self.by_hand(|world| {
            for id in owned_by(world, owner) {
                world.lead_astray(&id);
            }
        });
    }

    /// Somebody removes the network of an owner; machines in it keep running without.
    pub fn remove_network_by_hand(&self, owner: Uuid) {
        self.by_hand(|world| {
            if let Some(network) = world.networks.remove(&owner) {
                world.tell(network.owner, crate::Happening::Removed);
            }
        });
    }

    /// The host restarts: machines end, volumes are no longer ready, file sets are gone.
    pub fn reboot(&self) {
        self.by_hand(|world| {
            let ids: Vec<MachineId> = world.machines.keys().cloned().collect();
            for id in ids {
                world.end(&id, 137, false);
            }
            for fake in world.volumes.values_mut() {
                fake.volume.ready = false;
                fake.volume.used_bytes = None;
            }
            world.files.clear();
            world.happened.clear();
            world.happened.push(Event::Resync);
        });
    }

    /// The machines of an owner write a line.
    pub fn write_log(&self, owner: Uuid, line: &str) {
        self.by_hand(|world| {
            let at = world.now;
            for id in owned_by(world, owner) {
                if let Some(fake) = world.machines.get_mut(&id) {
                    let run = fake.log.last().map_or(0, |entry| entry.run);
                    let line = Bytes::from(format!("{line}\n"));
                    fake.log.push(LogEntry { at, run, channel: Channel::Stdout, line });
                }
            }
        });
    }

    /// The machines of an owner in any installation, oldest first.
    pub fn machines_of(&self, owner: Uuid) -> Vec<Machine> {
        let state = self.lock();
        let ids = owned_by(&state.world, owner);
        ids.iter()
            .filter_map(|id| state.world.machines.get(id))
            .map(|fake| super::mounting::seen(&state.world, fake))
            .collect()
    }

    /// How often machines of an owner were started, those included that are gone.
    pub fn starts_of(&self, owner: Uuid) -> u64 {
        self.lock().world.starts.get(&owner).copied().unwrap_or_default()
    }

    /// The content of the files that the newest machine of an owner was last started with, those of its environment included.
    pub fn begun_with(&self, owner: Uuid) -> Vec<Bytes> {
        let state = self.lock();
        let newest = owned_by(&state.world, owner).pop();
        let fake = newest.and_then(|id| state.world.machines.get(&id));
        fake.map(|fake| contents(&fake.begun_with)).unwrap_or_default()
    }

    /// The content of the files that the machines of an owner find now.
    pub fn files_of(&self, owner: Uuid) -> Vec<Bytes> {
        let state = self.lock();
        let ours = state.world.files.iter().filter(|((_, uid), _)| *uid == owner);
        ours.flat_map(|(_, owned)| contents(&owned.sets)).collect()
    }

    /// How many machines run, in all installations.
    pub fn running(&self) -> usize {
        self.lock().world.machines.values().filter(|fake| fake.machine.state == MachineState::Running).count()
    }

    /// Somebody overwrites what the volume of an owner holds.
    pub fn overwrite_volume(&self, owner: Uuid) {
        self.by_hand(|world| {
            let number = world.next_number();
            for (_, fake) in world.volumes.iter_mut().filter(|((_, uid), _)| *uid == owner) {
                fake.incarnation = number;
            }
        });
    }

    /// A number that stands for what the disk of an owner's newest machine holds: another one for each that is made from an
    /// image, the same where it is made from a snapshot.
    pub fn machine_disk(&self, owner: Uuid) -> Option<u64> {
        let state = self.lock();
        let newest = owned_by(&state.world, owner).pop()?;
        state.world.machines.get(&newest).map(|fake| fake.disk)
    }

    /// The same number of what a snapshot holds.
    pub fn snapshot_disk(&self, installation: Uuid, owner: Uuid) -> Option<u64> {
        self.lock().world.machine_snapshots.get(&(installation, owner)).map(|fake| fake.disk)
    }

    /// A number that stands for the data inside: another one each time that the volume is made empty or overwritten, the
    /// same where it is made from another or from a snapshot.
    pub fn volume_incarnation(&self, installation: Uuid, owner: Uuid) -> Option<u64> {
        self.lock().world.volumes.get(&(installation, owner)).map(|fake| fake.incarnation)
    }

    /// That of the data in a snapshot of a volume.
    pub fn snapshot_incarnation(&self, installation: Uuid, owner: Uuid) -> Option<u64> {
        self.lock().world.snapshots.get(&(installation, owner)).map(|fake| fake.incarnation)
    }
}

fn contents(sets: &FileSets) -> Vec<Bytes> {
    sets.values().flat_map(BTreeMap::values).map(|file| file.content.clone()).collect()
}

fn owned_by(world: &World, owner: Uuid) -> Vec<MachineId> {
    let keys = world.machines_by_owner.keys().filter(|(_, uid)| *uid == owner);
    keys.flat_map(|(installation, uid)| world.machines_of(*installation, *uid)).collect()
}
