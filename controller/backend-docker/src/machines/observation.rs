//! Decides what Docker's answers say about machines. Pure; an answer that lacks our marks says nothing.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerStatsResponse, ContainerSummary,
    ContainerSummaryStateEnum, EndpointSettings, HostConfig, PortMap,
};
use controller_backend::{
    Attachment, ExitState, Machine, MachineId, MachineState, MachineSummary, Protocol, Publish, PublishedPort,
    Resources, Usage,
};
use jiff::Timestamp;

use crate::labels;

/// `None` also for one that was renamed: whose that is, only a closer look tells.
pub(crate) fn summary(container: &ContainerSummary) -> Option<MachineSummary> {
    let marks = container.labels.as_ref()?;
    let names = container.names.as_deref().unwrap_or_default();
    let owner = names.iter().find_map(|name| labels::machine_owner(marks, name))?;
    let networks = container.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    Some(MachineSummary {
        id: MachineId(container.id.clone()?),
        owner,
        spec_hash: labels::spec_hash(marks),
        active: matches!(
            container.state,
            Some(
                ContainerSummaryStateEnum::RUNNING
                    | ContainerSummaryStateEnum::PAUSED
                    | ContainerSummaryStateEnum::RESTARTING
            )
        ),
        attachment: networks.and_then(|networks| attachment(marks, networks)),
        volumes: labels::volumes(marks),
    })
}

/// What the container uses; `now` is when Docker was asked.
pub(crate) fn usage(stats: &ContainerStatsResponse, now: Timestamp) -> Option<Usage> {
    let cpu = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    let memory = stats.memory_stats.as_ref()?;
    // The page cache counts as used and is given up when it is asked for; its name depends on the version of cgroups.
    let details = memory.stats.as_ref();
    let cache = details.and_then(|details| details.get("total_inactive_file").or_else(|| details.get("inactive_file")));
    let memory_bytes = memory.usage?.saturating_sub(cache.copied().unwrap_or_default());
    Some(Usage { at: now, cpu: Duration::from_nanos(cpu), memory_bytes })
}

pub(crate) fn machine(container: &ContainerInspectResponse) -> Option<Machine> {
    let config = container.config.as_ref()?;
    let marks = config.labels.as_ref()?;
    let owner = labels::container_owner(container)?;
    let host_config = container.host_config.as_ref()?;
    let networks = container.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let created_at = container.created.as_deref().and_then(time)?;
    let docker_state = container.state.as_ref()?;
    let state = machine_state(docker_state, created_at);
    let mut started_at = docker_state.started_at.as_deref().and_then(time);
    if let MachineState::Exited(exit) = &state {
        // Docker notes the start after the fact: what ends at once has ended before it.
        started_at = started_at.map(|started| started.min(exit.finished_at));
    }
    Some(Machine {
        id: MachineId(container.id.clone()?),
        name: container.name.as_deref().unwrap_or_default().trim_start_matches('/').to_owned(),
        owner,
        spec_hash: labels::spec_hash(marks),
        state,
        created_at,
        started_at,
        image_id: container.image.clone().unwrap_or_default(),
        attachment: networks.and_then(|networks| attachment(marks, networks)),
        published: host_config.port_bindings.as_ref().map(published).unwrap_or_default(),
        resources: resources(host_config),
        security: labels::security(marks),
        volumes: labels::volumes(marks),
        mounts: None,
        most_processors: None,
        memory: None,
        left_frozen: false,
        stall: None,
    })
}

fn machine_state(state: &ContainerState, created_at: Timestamp) -> MachineState {
    match state.status {
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::RESTARTING) => MachineState::Running,
        Some(ContainerStateStatusEnum::PAUSED) => MachineState::Paused,
        Some(ContainerStateStatusEnum::EXITED) => MachineState::Exited(ExitState {
            code: state.exit_code.unwrap_or_default(),
            out_of_memory: state.oom_killed.unwrap_or_default(),
            finished_at: state.finished_at.as_deref().and_then(time).unwrap_or(created_at),
        }),
        Some(ContainerStateStatusEnum::DEAD | ContainerStateStatusEnum::REMOVING) => MachineState::Dead,
        _ => MachineState::Created,
    }
}

/// Docker writes the year 1 for "never".
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
}

/// The address that was assigned, which Docker keeps while the machine is stopped. After a disconnect by hand the
/// endpoint is gone, and with it the place in the network.
fn attachment(marks: &HashMap<String, String>, networks: &HashMap<String, EndpointSettings>) -> Option<Attachment> {
    let network = labels::network(marks)?;
    let mut assigned =
        networks.values().filter_map(|endpoint| endpoint.ipam_config.as_ref()?.ipv4_address.as_ref()?.parse().ok());
    Some(Attachment { network, address: assigned.next()? })
}

fn published(bindings: &PortMap) -> Vec<PublishedPort> {
    let mut ports: Vec<PublishedPort> = bindings
        .iter()
        .flat_map(|(key, places)| places.iter().flatten().map(move |place| (key, place)))
        .filter_map(|(key, place)| {
            let (port, protocol) = key.split_once('/')?;
            Some(PublishedPort {
                port: port.parse().ok()?,
                protocol: if protocol == "udp" { Protocol::Udp } else { Protocol::Tcp },
                publish: Publish {
                    address: place.host_ip.as_ref()?.parse().ok()?,
                    port: place.host_port.as_ref()?.parse().ok()?,
                },
            })
        })
        .collect();
    ports.sort_unstable();
    ports
}

fn resources(host_config: &HostConfig) -> Resources {
    let positive = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).unwrap_or_default();
    let period = positive(host_config.cpu_period).max(1);
    Resources {
        cpu_millis: positive(host_config.cpu_quota).saturating_mul(1000) / period,
        memory_bytes: positive(host_config.memory),
        max_memory_bytes: None,
    }
}
