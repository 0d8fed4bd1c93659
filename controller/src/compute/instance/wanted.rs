//! Decides what machine an Instance should have, and the hash that tells whether an existing one must be replaced.
//! The hash never sees a value that came from a Secret or ConfigMap. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use controller_backend::{
    FirstBoot, MachineSpec, Mount, MountSource, NetworkAttachment, Owner, PortSpec, Publish, Resources, dns_names,
    machine_name,
};
use crds::compute::instance::{Instance, PortStatus};
use kube::ResourceExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::allocate::{host_port_of, protocol};
use super::bounds::asked;
use super::inputs::{Inputs, expand, has_secret_environment, set_name};
use super::observe::Disk;

/// What an empty directory holds when its spec doesn't say.
const EMPTY_DIR_BYTES: u64 = 64 << 20;

/// Between the hash of the token that lets a machine be replaced and that of all the rest.
const SEPARATOR: char = '-';

/// What the machine is made of, besides the spec.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parts<'a> {
    pub(super) owner: &'a Owner,
    pub(super) network: Uuid,
    pub(super) address: Ipv4Addr,
    pub(super) ports: &'a [PortStatus],
    /// The uids of the Volumes, by name.
    pub(super) volumes: &'a BTreeMap<String, Uuid>,
    /// The uid of the InstanceSnapshot that it is made from, if it names one.
    pub(super) snapshot: Option<Uuid>,
    /// The disk of its own, if it has one.
    pub(super) disk: Option<&'a Disk>,
}

/// The hash of all that a machine can't change while it lives.
pub(super) fn hash(instance: &Instance, parts: &Parts<'_>) -> String {
    let spec = &instance.spec;
    if let Some(disk) = parts.disk {
        let token = digest(&json!(spec.replace_token));
        let content = json!({
            "version": 1,
            "image": disk.image.known(),
            "disk": spec.resources.as_ref().and_then(|resources| resources.disk.as_ref()),
            "sshAuthorizedKeys": spec.ssh_authorized_keys,
            "cloudInit": spec.cloud_init,
            "network": parts.network,
            "address": parts.address,
        });
        return format!("{token}{SEPARATOR}{}", digest(&content));
    }
    let published: BTreeSet<String> = published(parts.ports).map(|port| format!("{port:?}")).collect();
    // Serialised from maps with sorted keys: the same input gives the same text in every process.
    let mut content = json!({
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
    // Named only where there is one, as before there could be.
    if let Some(snapshot) = parts.snapshot {
        content["imageSnapshot"] = json!(snapshot);
    }
    if let Some(context) = &spec.security_context {
        content["securityContext"] = json!(context);
    }
    // A machine from before has them where the engine shows them.
    if has_secret_environment(instance) {
        content["secretEnvironment"] = json!("file");
    }
    digest(&content)
}

fn digest(content: &Value) -> String {
    let digest = Sha256::digest(content.to_string());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a machine with a disk of its own may take the place of another: only where the user said that the disk may go.
pub(super) fn may_replace(old: &str, new: &str) -> bool {
    let token = |hash: &str| hash.split_once(SEPARATOR).map(|(token, _)| token.to_owned());
    token(old) != token(new)
}

/// The machine in full, made from `image`, in the words of what runs it.
pub(super) fn machine(
    instance: &Instance,
    parts: &Parts<'_>,
    image: String,
    resources: Resources,
    inputs: &Inputs,
) -> MachineSpec {
    let spec = &instance.spec;
    let values: BTreeMap<&str, &str> =
        inputs.environment.iter().map(|variable| (variable.name.as_str(), variable.value.as_str())).collect();
    let words = |words: &[String]| {
        let expanded = words.iter().map(|word| expand(word, |name| values.get(name).copied()));
        (!words.is_empty()).then(|| expanded.collect::<Vec<_>>())
    };
    let grace = u64::try_from(spec.termination_grace_period_seconds).unwrap_or_default();
    MachineSpec {
        owner: parts.owner.clone(),
        name: machine_name(parts.owner),
        hostname: instance.name_any(),
        image,
        command: words(&spec.command),
        args: words(&spec.args),
        working_dir: spec.working_dir.clone(),
        user: spec.user.clone(),
        env: inputs.environment.clone(),
        has_secret_environment: has_secret_environment(instance),
        labels: BTreeMap::new(),
        network: Some(attachment(parts.owner, parts.network, parts.address)),
        // What has a disk of its own is published by the host, which can change it while the machine runs.
        ports: if parts.disk.is_some() { Vec::new() } else { published(parts.ports).collect() },
        mounts: mounts(instance, parts.volumes),
        resources,
        security: asked(instance),
        stop_grace: Duration::from_secs(grace),
        first_boot: parts.disk.map(|_| first_boot(instance)),
        disk_bytes: parts.disk.and_then(disk_bytes),
        spec_hash: hash(instance, parts),
    }
}

/// Its place in its network.
pub(super) fn attachment(owner: &Owner, network: Uuid, address: Ipv4Addr) -> NetworkAttachment {
    NetworkAttachment { network, address, mac: None, aliases: dns_names(owner) }
}

/// How large the root disk is, at least; `None`: as the image's.
fn disk_bytes(disk: &Disk) -> Option<u64> {
    disk.wanted.as_ref().or(disk.least.as_ref())?.units().ok()
}

fn first_boot(instance: &Instance) -> FirstBoot {
    let told = instance.spec.cloud_init.clone().unwrap_or_default();
    FirstBoot {
        ssh_authorized_keys: instance.spec.ssh_authorized_keys.clone(),
        user_data: told.user_data,
        network_config: told.network_config,
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

/// What it mounts, as the spec says.
pub(super) fn mounts(instance: &Instance, volumes: &BTreeMap<String, Uuid>) -> Vec<Mount> {
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
