//! Decides what Docker is asked for when a machine is made: hardening, limits, storage, network. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig, Mount,
    MountTmpfsOptions, MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig, NetworkingConfig, PortBinding,
    RestartPolicy, RestartPolicyNameEnum,
};
use controller_backend::{
    ALL, DOMAIN, MachineSpec, MountSource, NetworkAttachment, PortSpec, Protocol, Resources, SecurityContext, mac_of,
};
use uuid::Uuid;

use crate::init::{self, Init};
use crate::labels;
use crate::volumes::Offer;

/// Log files of one machine: so many, so large. Older output is dropped.
const LOG_FILES: &str = "3";
const LOG_FILE_SIZE: &str = "10m";

/// What root inside a machine may do there; everything else is dropped. Servers of distributions need it to start as root
/// and go on as somebody else (`SETUID`, `SETGID`, `SETPCAP`), to own and reach their files (`CHOWN`, `DAC_OVERRIDE`,
/// `FOWNER`, `FSETID`), to end their workers (`KILL`), to listen below 1024 (`NET_BIND_SERVICE`), to shut themselves in
/// (`SYS_CHROOT`), and to write a login down (`AUDIT_WRITE`). Of Docker's own list it lacks `NET_RAW` (forged packets),
/// `MKNOD` (devices) and `SETFCAP` (rights given to files).
const CAPABILITIES: [&str; 11] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Programs that must be the first process themselves.
const INITS: [&str; 8] = ["init", "systemd", "tini", "docker-init", "dumb-init", "s6-svscan", "runit", "openrc-init"];

/// What a machine stands on, looked up before.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub(super) network_name: Option<String>,
    /// Where names are asked for, in this order.
    pub(super) resolvers: Vec<String>,
    pub(super) volumes: HashMap<Uuid, Offer>,
    pub(super) dirs: BTreeMap<MountSource, PathBuf>,
    /// What puts the hidden part into its environment, where it has one.
    pub(super) init: Option<Init>,
}

pub(super) fn body(spec: &MachineSpec, needs: &Needs) -> ContainerCreateBody {
    let (entrypoint, cmd) = match &needs.init {
        None => (spec.command.clone(), spec.args.clone()),
        Some(init) => {
            let (entrypoint, cmd) = init.words(spec.command.as_deref(), spec.args.as_deref());
            (Some(entrypoint), Some(cmd))
        }
    };
    ContainerCreateBody {
        hostname: Some(spec.hostname.clone()),
        user: spec.user.clone(),
        image: Some(spec.image.clone()),
        entrypoint,
        cmd,
        working_dir: spec.working_dir.clone(),
        env: Some(spec.env.iter().map(|variable| format!("{}={}", variable.name, variable.value)).collect()),
        labels: Some(labels::of_machine(spec)),
        exposed_ports: Some(spec.ports.iter().map(port_key).collect()),
        stop_timeout: Some(i64::try_from(spec.stop_grace.as_secs()).unwrap_or(i64::MAX)),
        host_config: Some(host_config(spec, needs)),
        networking_config: networking(spec, needs),
        ..ContainerCreateBody::default()
    }
}

/// The time over which processor time is counted, in microseconds.
pub(super) const CPU_PERIOD: i64 = 100_000;

/// Limits in Docker's units.
pub(super) struct Limits {
    /// Microseconds of processor time in each period. Docker's other way to say it, in whole processors, refuses more
    /// than the host has; a limit above that is only one that is never reached.
    pub(super) cpu_quota: Option<i64>,
    pub(super) memory: Option<i64>,
}

pub(super) fn limits(resources: Resources) -> Limits {
    let period = CPU_PERIOD.unsigned_abs();
    Limits {
        cpu_quota: i64::try_from(resources.cpu_millis.saturating_mul(period) / 1000).ok(),
        memory: i64::try_from(resources.memory_bytes).ok(),
    }
}

fn host_config(spec: &MachineSpec, needs: &Needs) -> HostConfig {
    let limits = limits(spec.resources);
    HostConfig {
        cpu_period: Some(CPU_PERIOD),
        cpu_quota: limits.cpu_quota,
        memory: limits.memory,
        // Memory and swap together: equal means no swap.
        memory_swap: limits.memory,
        pids_limit: Some(i64::from(spec.security.process_limit)),
        init: Some(wants_init(spec)),
        // The default system call filter stays in force as long as none is named here.
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(capabilities(&spec.security)),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), LOG_FILE_SIZE.to_owned()),
                ("max-file".to_owned(), LOG_FILES.to_owned()),
            ])),
        }),
        // Docker answers for the containers that it knows itself, and asks the network's name server for the rest.
        dns: (!needs.resolvers.is_empty()).then(|| needs.resolvers.clone()),
        dns_search: (!needs.resolvers.is_empty()).then(|| vec![format!("{}.{DOMAIN}", spec.owner.namespace)]),
        network_mode: Some(needs.network_name.clone().unwrap_or_else(|| "none".to_owned())),
        port_bindings: Some(port_bindings(&spec.ports)),
        mounts: Some(mounts(spec, needs).chain(needs.init.iter().flat_map(init_mounts)).collect()),
        devices: Some(devices(spec, needs)),
        ..HostConfig::default()
    }
}

/// What is left of the common ones, and what this machine has more.
fn capabilities(security: &SecurityContext) -> Vec<String> {
    let is_dropped = |name: &str| security.drop.contains(name) || security.drop.contains(ALL);
    let kept = CAPABILITIES.into_iter().filter(|name| !is_dropped(name)).map(str::to_owned);
    let all: BTreeSet<String> = kept.chain(security.add.iter().cloned()).collect();
    all.into_iter().collect()
}

/// A process that was not written to be the first one neither reaps nor takes SIGTERM by default, so that it gets an
/// init. An image's own entrypoint may be an init itself, and more than one refuses to be anything but the first.
fn wants_init(spec: &MachineSpec) -> bool {
    let Some(first) = spec.command.as_ref().and_then(|command| command.first()) else { return false };
    let program = first.rsplit('/').next().unwrap_or(first);
    !INITS.contains(&program)
}

fn networking(spec: &MachineSpec, needs: &Needs) -> Option<NetworkingConfig> {
    let (attachment, name) = (spec.network.as_ref()?, needs.network_name.as_ref()?);
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(name.clone(), endpoint(attachment))])) })
}

/// How a machine is in a network.
pub(super) fn endpoint(attachment: &NetworkAttachment) -> EndpointSettings {
    EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(attachment.address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        // Newer engines choose one at random, which the packet filter couldn't know.
        mac_address: Some(attachment.mac.clone().unwrap_or_else(|| mac_of(attachment.address))),
        aliases: Some(attachment.aliases.clone()),
        ..EndpointSettings::default()
    }
}

pub(super) fn port_key(port: &PortSpec) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{}/{protocol}", port.port)
}

fn port_bindings(ports: &[PortSpec]) -> HashMap<String, Option<Vec<PortBinding>>> {
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in ports {
        if let Some(publish) = port.publish {
            let binding =
                PortBinding { host_ip: Some(publish.address.to_string()), host_port: Some(publish.port.to_string()) };
            bindings.entry(port_key(port)).or_default().get_or_insert_default().push(binding);
        }
    }
    bindings
}

fn devices(spec: &MachineSpec, needs: &Needs) -> Vec<DeviceMapping> {
    let device = |mount: &controller_backend::Mount| {
        let MountSource::Volume(uid) = &mount.source else { return None };
        let Offer::Device(link) = needs.volumes.get(uid)? else { return None };
        Some(DeviceMapping {
            path_on_host: Some(link.display().to_string()),
            path_in_container: Some(mount.path.clone()),
            cgroup_permissions: Some(if mount.read_only { "r" } else { "rw" }.to_owned()),
        })
    };
    let of_host = spec.security.devices.iter().map(|path| DeviceMapping {
        path_on_host: Some(path.clone()),
        path_in_container: Some(path.clone()),
        // All but making more devices.
        cgroup_permissions: Some("rw".to_owned()),
    });
    spec.mounts.iter().filter_map(device).chain(of_host).collect()
}

fn init_mounts(init: &Init) -> [Mount; 2] {
    [(init::PROGRAM, &init.program), (init::ENVIRONMENT, &init.environment)].map(|(target, source)| Mount {
        target: Some(target.to_owned()),
        read_only: Some(true),
        source: Some(source.display().to_string()),
        typ: Some(MountType::BIND),
        ..Mount::default()
    })
}

fn mounts(spec: &MachineSpec, needs: &Needs) -> impl Iterator<Item = Mount> {
    spec.mounts.iter().filter_map(|mount| {
        let target = Some(mount.path.clone());
        let read_only = Some(mount.read_only);
        match &mount.source {
            MountSource::Volume(uid) => {
                let Offer::Directory(handle) = needs.volumes.get(uid)? else { return None };
                Some(Mount {
                    target,
                    read_only,
                    source: Some(handle.name.clone()),
                    typ: Some(MountType::VOLUME),
                    // Docker makes a volume that it does not know. Told how, it can only make the right one.
                    volume_options: Some(MountVolumeOptions {
                        labels: Some(handle.labels.clone()),
                        driver_config: Some(MountVolumeOptionsDriverConfig {
                            name: Some("local".to_owned()),
                            options: Some(handle.options.clone()),
                        }),
                        ..MountVolumeOptions::default()
                    }),
                    ..Mount::default()
                })
            }
            source @ MountSource::Files(_) => Some(Mount {
                target,
                // Projected content is ours to change, never the machine's.
                read_only: Some(true),
                source: Some(needs.dirs.get(source)?.display().to_string()),
                typ: Some(MountType::BIND),
                ..Mount::default()
            }),
            MountSource::Empty { size_bytes } => Some(Mount {
                target,
                read_only,
                typ: Some(MountType::TMPFS),
                tmpfs_options: Some(MountTmpfsOptions {
                    size_bytes: i64::try_from(*size_bytes).ok(),
                    // Anybody inside the machine may write there.
                    mode: Some(0o1777),
                    ..MountTmpfsOptions::default()
                }),
                ..Mount::default()
            }),
        }
    })
}
