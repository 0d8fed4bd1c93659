//! Decides what machine an Instance should have, and the hash that tells whether an existing one must be replaced.
//! The hash never sees a value that came from a Secret or ConfigMap. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use controller_backend::{
    MachineSpec, Mount, MountSource, NetworkAttachment, Owner, PortSpec, Publish, Resources, dns_names, machine_name,
};
use crds::compute::instance::{Instance, PortStatus};
use kube::ResourceExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::allocate::{host_port_of, protocol};
use super::inputs::{Inputs, expand, set_name};

/// Most processes and threads of a machine at a time.
const PIDS_LIMIT: u32 = 4096;
/// What an empty directory holds when its spec doesn't say.
const EMPTY_DIR_BYTES: u64 = 64 << 20;

/// What the machine is made of, besides the spec.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parts<'a> {
    pub(super) owner: &'a Owner,
    pub(super) network: Uuid,
    pub(super) address: Ipv4Addr,
    pub(super) ports: &'a [PortStatus],
    /// The uids of the Volumes, by name.
    pub(super) volumes: &'a BTreeMap<String, Uuid>,
}

/// The hash of all that a machine can't change while it lives.
pub(super) fn hash(instance: &Instance, parts: &Parts<'_>) -> String {
    let spec = &instance.spec;
    let published: BTreeSet<String> = published(parts.ports).map(|port| format!("{port:?}")).collect();
    // Serialised from maps with sorted keys: the same input gives the same text in every process.
    let content = json!({
        "version": 1,
        "image": spec.image,
        "command": spec.command,
        "args": spec.args,
        "workingDir": spec.working_dir,
        "user": spec.user,
        "env": spec.env,
        "envFrom": spec.env_from,
        "network": parts.network,
        "address": parts.address,
        "published": published,
        "mounts": mounts(instance, parts.volumes),
        "limits": spec.volumes.iter().map(|mount| &mount.empty_dir).collect::<Vec<_>>(),
    });
    let digest = Sha256::digest(content.to_string());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The machine in full.
pub(super) fn machine(instance: &Instance, parts: &Parts<'_>, resources: Resources, inputs: &Inputs) -> MachineSpec {
    let spec = &instance.spec;
    let values: BTreeMap<String, String> =
        inputs.environment.iter().map(|variable| (variable.name.clone(), variable.value.clone())).collect();
    let words = |words: &[String]| {
        (!words.is_empty()).then(|| words.iter().map(|word| expand(word, &values)).collect::<Vec<_>>())
    };
    let grace = u64::try_from(spec.termination_grace_period_seconds).unwrap_or_default();
    MachineSpec {
        owner: parts.owner.clone(),
        name: machine_name(parts.owner),
        hostname: instance.name_any(),
        image: spec.image.clone(),
        command: words(&spec.command),
        args: words(&spec.args),
        working_dir: spec.working_dir.clone(),
        user: spec.user.clone(),
        env: inputs.environment.clone(),
        labels: BTreeMap::new(),
        network: Some(NetworkAttachment {
            network: parts.network,
            address: parts.address,
            mac: None,
            aliases: dns_names(parts.owner),
        }),
        ports: published(parts.ports).collect(),
        mounts: mounts(instance, parts.volumes),
        resources,
        pids_limit: PIDS_LIMIT,
        stop_grace: Duration::from_secs(grace),
        first_boot: None,
        disk_bytes: None,
        spec_hash: hash(instance, parts),
    }
}

/// Only published ports concern the machine: inside its network every port can be reached.
fn published(ports: &[PortStatus]) -> impl Iterator<Item = PortSpec> {
    ports.iter().filter_map(|port| {
        let at = host_port_of(port)?;
        Some(PortSpec {
            port: u16::try_from(port.port).ok()?,
            protocol: protocol(port.protocol),
            publish: Some(Publish { address: at.address, port: at.port }),
        })
    })
}

fn mounts(instance: &Instance, volumes: &BTreeMap<String, Uuid>) -> Vec<Mount> {
    let mounts = instance.spec.volumes.iter().filter_map(|mount| {
        let name = || set_name(&mount.mount_path);
        let (source, read_only) = if let Some(volume) = &mount.volume {
            (MountSource::Volume(*volumes.get(volume)?), mount.read_only)
        } else if mount.secret.is_some() || mount.config_map.is_some() {
            (MountSource::Files(name()), true)
        } else {
            let limit = mount.empty_dir.as_ref().and_then(|empty| empty.size_limit.as_ref());
            let size_bytes = limit.and_then(|limit| limit.units().ok()).unwrap_or(EMPTY_DIR_BYTES);
            (MountSource::Empty { size_bytes }, mount.read_only)
        };
        Some(Mount { path: mount.mount_path.clone(), read_only, source })
    });
    mounts.collect()
}
