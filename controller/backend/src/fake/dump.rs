//! The state of the fake engine as text, for comparing how two runs ended. Objects go by name: what differs from run to
//! run without meaning anything (ids, uids, times) is left out.

use std::fmt::Write as _;

use uuid::Uuid;

use super::FakeEngine;
use super::world::World;
use crate::MachineState;

impl FakeEngine {
    /// What an installation has, one line a thing, sorted.
    pub fn state(&self, installation: Uuid) -> String {
        let state = self.lock();
        let world = &state.world;
        let mut lines = Vec::new();
        lines.extend(machines(world, installation));
        lines.extend(networks(world, installation));
        lines.extend(firewall(world, installation));
        lines.extend(names(world, installation));
        lines.extend(volumes(world, installation));
        lines.extend(snapshots(world, installation));
        lines.extend(files(world, installation));
        lines.extend(disk_images(world, installation));
        lines.extend(machine_snapshots(world, installation));
        lines.sort_unstable();
        let mut text = String::new();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

fn disk_images(world: &World, installation: Uuid) -> Vec<String> {
    let ours = world.disk_images.range((installation, Uuid::nil())..=(installation, Uuid::max()));
    ours.map(|(_, image)| format!("image {} {} disk={}", image.owner, image.id, image.disk_bytes)).collect()
}

fn machine_snapshots(world: &World, installation: Uuid) -> Vec<String> {
    let ours = world.machine_snapshots.range((installation, Uuid::nil())..=(installation, Uuid::max()));
    ours.map(|(_, fake)| {
        let snapshot = &fake.snapshot;
        format!("machine snapshot {} {} retained={}", snapshot.owner, snapshot.image.id, snapshot.retained)
    })
    .collect()
}

fn machines(world: &World, installation: Uuid) -> Vec<String> {
    let ours = world.machines.values().filter(|fake| fake.machine.owner.installation == installation);
    ours.map(|fake| {
        let machine = &fake.machine;
        let state = match &machine.state {
            MachineState::Created => "created".to_owned(),
            MachineState::Running => "running".to_owned(),
            MachineState::Paused => "paused".to_owned(),
            MachineState::Exited(exit) => format!("exited({})", exit.code),
            MachineState::Dead => "dead".to_owned(),
        };
        let mut line =
            format!("machine {} {state} image={} hash={}", machine.owner, machine.image_id, machine.spec_hash);
        let _ = write!(line, " cpu={} memory={}", machine.resources.cpu_millis, machine.resources.memory_bytes);
        if let Some(most) = machine.resources.max_memory_bytes {
            let _ = write!(line, " max-memory={most}");
        }
        if machine.lacks_memory() {
            line.push_str(" lacks-memory");
        }
        if machine.left_frozen {
            line.push_str(" frozen");
        }
        if machine.stall.is_some() {
            line.push_str(" stalled");
        }
        if let Some(attachment) = machine.attachment {
            let network = network_name(world, attachment.network);
            let _ = write!(line, " address={} network={network}", attachment.address);
        }
        for port in &machine.published {
            let publish = port.publish;
            let _ = write!(line, " {} {}:{}->{}", port.protocol, publish.address, publish.port, port.port);
        }
        for volume in &machine.volumes {
            let name = world
                .volumes
                .get(&(installation, *volume))
                .map_or_else(|| "gone".to_owned(), |fake| fake.volume.owner.to_string());
            let _ = write!(line, " volume={name}");
        }
        if let Some(mounts) = super::mounting::seen(world, fake).mounts {
            let paths = |mounts: &[crate::Mount]| {
                let mut paths: Vec<String> = mounts.iter().map(|mount| mount.path.clone()).collect();
                paths.sort_unstable();
                paths.join(",")
            };
            if !mounts.defined.is_empty() || mounts.live.as_ref().is_some_and(|live| !live.is_empty()) {
                let _ = write!(line, " defined={}", paths(&mounts.defined));
                let _ = write!(line, " live={}", paths(&mounts.live.unwrap_or_default()));
            }
        }
        line
    })
    .collect()
}

fn network_name(world: &World, owner: Uuid) -> String {
    world.networks.get(&owner).map_or_else(|| "gone".to_owned(), |network| network.owner.to_string())
}

fn networks(world: &World, installation: Uuid) -> Vec<String> {
    let ours = world.networks.values().filter(|network| network.owner.installation == installation);
    ours.map(|network| {
        let (owner, cidr, gateway, internal) = (&network.owner, network.cidr, network.gateway, network.internal);
        format!("network {owner} {cidr} gateway={gateway} internal={internal}")
    })
    .collect()
}

fn firewall(world: &World, installation: Uuid) -> Vec<String> {
    let Some(rules) = world.firewalls.get(&installation) else { return Vec::new() };
    let mut lines = Vec::new();
    for (uid, network) in &rules.networks {
        let network_name = network_name(world, *uid);
        for (address, member) in &network.members {
            let mut published: Vec<String> = Vec::new();
            for port in &member.published {
                published.push(format!("{}:{}->{}", port.publish.address, port.publish.port, port.port));
            }
            let mut groups: Vec<String> = member
                .groups
                .iter()
                .filter_map(|uid| rules.groups.get(uid))
                .map(|group| format!("{:?}", (&group.ingress, &group.egress)))
                .collect();
            // They come in the order of their uids.
            groups.sort_unstable();
            let forwarded = member.is_forwarded;
            lines.push(format!(
                "passes {address} of {network_name} published={published:?} forwarded={forwarded} groups={groups:?}"
            ));
        }
    }
    for (one, other) in &rules.peers {
        let mut pair = [network_name(world, *one), network_name(world, *other)];
        pair.sort_unstable();
        lines.push(format!("peers {}", pair.join(" ")));
    }
    lines
}

fn names(world: &World, installation: Uuid) -> Vec<String> {
    let Some(zones) = world.names.get(&installation) else { return Vec::new() };
    let mut lines = Vec::new();
    for (uid, zone) in &zones.networks {
        let network_name = network_name(world, *uid);
        for (address, names) in &zone.hosts {
            lines.push(format!("names {address} of {network_name} {names:?} forwards={}", zone.forwards));
        }
    }
    lines
}

fn volumes(world: &World, installation: Uuid) -> Vec<String> {
    let ours = world.volumes.range((installation, Uuid::nil())..=(installation, Uuid::max()));
    ours.map(|(_, fake)| {
        let volume = &fake.volume;
        let (owner, size, ready, retained) = (&volume.owner, volume.size_bytes, volume.ready, volume.retained);
        let unenforced = if volume.unenforced.is_some() { " unenforced" } else { "" };
        format!("volume {owner} size={size} ready={ready} retained={retained}{unenforced}")
    })
    .collect()
}

fn snapshots(world: &World, installation: Uuid) -> Vec<String> {
    let ours = world.snapshots.range((installation, Uuid::nil())..=(installation, Uuid::max()));
    ours.map(|(_, fake)| {
        let snapshot = &fake.snapshot;
        format!("snapshot {} size={} retained={}", snapshot.owner, snapshot.size_bytes, snapshot.retained)
    })
    .collect()
}

fn files(world: &World, installation: Uuid) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, owned) in world.files.range((installation, Uuid::nil())..=(installation, Uuid::max())) {
        for (name, files) in &owned.sets {
            // Lengths, not content: it may be secret and this text ends up in test output.
            let files: Vec<String> =
                files.iter().map(|(path, file)| format!("{path}={}", file.content.len())).collect();
            lines.push(format!("files {} {name} {}", owned.owner, files.join(" ")));
        }
    }
    lines
}
