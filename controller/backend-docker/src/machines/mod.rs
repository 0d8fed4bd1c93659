//! Machines as containers. What is sent to Docker is decided in `request`, what is read from it in `observation`.

mod observation;
mod request;
pub(crate) mod resolvers;
mod restore;
mod rewire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::{ContainerInspectResponse, ContainerUpdateBody};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StatsOptionsBuilder,
    StopContainerOptionsBuilder,
};
use controller_backend::{
    Conflict, Error, Machine, MachineId, MachineSpec, MachineState, MachineSummary, Machines, MountSource,
    NetworkAttachment, Resources, SecretEnvironment, Usage,
};
use futures::StreamExt as _;
use jiff::Timestamp;
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::{message, translate, translate_start};
use crate::files::HostFiles;
use crate::init::Init;
use crate::remap::{self, Root};
use crate::volumes::{Layout, Offer};
use crate::{images, networks, starting};
use request::Needs;

pub(crate) use observation::{machine as observe, time as parse_time};

/// How much longer than the grace Docker may take to answer that a machine has stopped.
const STOP_MARGIN: Duration = Duration::from_secs(60);

pub(crate) struct DockerMachines {
    engine: Arc<Engine>,
    files: Arc<HostFiles>,
    volumes: Layout,
    /// Where the init of containers is.
    init: PathBuf,
}

impl DockerMachines {
    pub(crate) fn new(engine: Arc<Engine>, files: Arc<HostFiles>, volumes: Layout, init: PathBuf) -> Self {
        Self { engine, files, volumes, init }
    }

    /// Looks up all that the machine stands on. Docker itself would make a plain volume in place of a missing one.
    async fn needs(&self, spec: &MachineSpec) -> Result<Needs, Error> {
        let mut needs = Needs::default();
        if let Some(network) = &spec.network {
            let found = networks::find(&self.engine, network.network).await?;
            let found = found.ok_or_else(|| Error::not_found(format!("network of `{}`", network.network)))?;
            if !found.network.cidr.contains(&network.address) || found.network.gateway == network.address {
                let (address, cidr) = (network.address, found.network.cidr);
                return Err(Error::invalid(format!("address {address} is not one of {cidr}")));
            }
            needs.resolvers = resolvers::of(found.network.gateway, found.network.internal).await;
            needs.network_name = Some(found.name);
        }
        for mount in &spec.mounts {
            match &mount.source {
                MountSource::Volume(uid) => {
                    let offer = self.volumes.offer(*uid).await?;
                    let offer = offer.ok_or_else(|| Error::not_found(format!("volume of `{uid}`")))?;
                    // Docker's runtime looks for a device of the host by the name that it is to have inside.
                    if matches!(offer, Offer::Device(_)) && remap::root(&self.engine).await? != Root::default() {
                        let why = "the Docker of this host runs containers in a user namespace (`userns-remap`), where they get no \
                                   Block Volume: use a Volume with a file system, or `backend: libvirt`";
                        return Err(Error::invalid(why));
                    }
                    needs.volumes.insert(*uid, offer);
                }
                MountSource::Files(name) => {
                    needs.dirs.insert(mount.source.clone(), self.file_set(spec, name).await?);
                }
                MountSource::Empty { .. } => {}
            }
        }
        if spec.has_secret_environment {
            let environment = self.file_set(spec, SecretEnvironment::SET).await?;
            let image = images::inspect(&self.engine, &spec.image).await?;
            let image = image.ok_or_else(|| Error::not_found(format!("image `{}`", spec.image)))?;
            let config = image.config.unwrap_or_default();
            let (entrypoint, command) = (config.entrypoint.unwrap_or_default(), config.cmd.unwrap_or_default());
            needs.init = Some(Init { program: self.init.clone(), environment, entrypoint, command });
        }
        Ok(needs)
    }

    /// The directory of a file set that is there.
    async fn file_set(&self, spec: &MachineSpec, name: &str) -> Result<PathBuf, Error> {
        let dir = self.files.set_dir(spec.owner.uid, name);
        if tokio::fs::try_exists(&dir).await.unwrap_or(false) {
            return Ok(dir);
        }
        Err(Error::not_found(format!("file set `{name}`")))
    }

    /// The container as a machine; `NotFound` if it is not ours.
    async fn owned(&self, id: &MachineId) -> Result<Machine, Error> {
        let held = self.engine.held.is_frozen(id);
        let container = self.engine.owned(id).await?;
        let machine = observation::machine(&container).ok_or_else(|| Error::not_found(format!("machine `{id}`")))?;
        let held = held || self.engine.held.is_frozen(id);
        // It is frozen for a moment, and not because anybody wants it to be.
        Ok(if held && machine.state == MachineState::Paused {
            Machine { state: MachineState::Running, ..machine }
        } else {
            machine
        })
    }
}

#[async_trait]
impl Machines for DockerMachines {
    async fn list(&self) -> Result<Vec<MachineSummary>, Error> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&self.engine.filter(&[])).build();
        let containers = self.engine.client().await?.list_containers(Some(options)).await;
        let containers = containers.map_err(|error| translate("Docker", "list machines", error))?;
        let mut machines = Vec::with_capacity(containers.len());
        for container in &containers {
            match (observation::summary(container), &container.id) {
                (Some(summary), _) => machines.push(summary),
                (None, Some(id)) => match self.owned(&MachineId(id.clone())).await {
                    Ok(renamed) => machines.push(renamed.summary()),
                    Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                },
                (None, None) => {}
            }
        }
        machines.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(machines)
    }

    async fn find(&self, owner: Uuid) -> Result<Vec<Machine>, Error> {
        let filter = self.engine.filter(&[(crate::labels::UID, owner.to_string())]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
        let containers = self.engine.client().await?.list_containers(Some(options)).await;
        let containers = containers.map_err(|error| translate("Docker", "find machines", error))?;
        let mut machines = Vec::with_capacity(containers.len());
        for id in containers.into_iter().filter_map(|container| container.id) {
            match self.owned(&MachineId(id)).await {
                Ok(machine) => machines.push(machine),
                // It went between the two calls.
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        machines.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        Ok(machines)
    }

    async fn create(&self, spec: &MachineSpec) -> Result<MachineId, Error> {
        let needs = self.needs(spec).await?;
        let options = CreateContainerOptionsBuilder::default().name(&spec.name).build();
        let body = request::body(spec, &needs);
        match self.engine.client().await?.create_container(Some(options), body).await {
            Ok(created) => Ok(MachineId(created.id)),
            Err(error) => match message(&error) {
                Some((404, text)) if text.to_lowercase().contains("image") => {
                    Err(Error::not_found(format!("image `{}`", spec.image)))
                }
                Some((409, _)) => {
                    let conflict = Conflict::NameTaken { name: spec.name.clone() };
                    Err(Error::Conflict { conflict, source: Some(error.into()) })
                }
                _ => {
                    let what = format!("machine `{}`", spec.name);
                    Err(translate(&what, &format!("create {what}"), error))
                }
            },
        }
    }

    async fn start(&self, id: &MachineId) -> Result<(), Error> {
        let _released = self.engine.held.released(id).await;
        let container = self.engine.owned(id).await?;
        let machine = observation::machine(&container).ok_or_else(|| Error::not_found(format!("machine `{id}`")))?;
        if machine.state == MachineState::Paused {
            return Err(wrong_state(id, "paused", None));
        }
        for uid in &machine.volumes {
            if !self.volumes.may_start(*uid).await? {
                return Err(Error::not_found(format!("device of the volume of `{uid}`")));
            }
        }
        let client = self.engine.client().await?;
        let start = async || {
            let started = client.start_container(&id.0, None).await;
            started.map_err(|error| translate_start(&machine, error))
        };
        match start().await {
            Err(Error::NotFound { .. }) if rewire::rewire(&self.engine, &machine, &container).await? => start().await,
            outcome => outcome,
        }
    }

    async fn stop(&self, id: &MachineId, grace: Duration) -> Result<(), Error> {
        let _released = self.engine.held.released(id).await;
        let machine = self.owned(id).await?;
        let client = self.engine.client().await?.with_timeout(grace + STOP_MARGIN);
        let what = format!("machine `{id}`");
        let action = format!("stop {what}");
        if machine.state == MachineState::Paused {
            // A frozen process takes no signal.
            match client.unpause_container(&id.0).await {
                Err(error) if !is_state_conflict(&error) => return Err(translate(&what, &action, error)),
                _ => {}
            }
        }
        let seconds = i32::try_from(grace.as_secs() + u64::from(grace.subsec_nanos() > 0)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        client.stop_container(&id.0, Some(options)).await.map_err(|error| translate(&what, &action, error))
    }

    async fn pause(&self, id: &MachineId) -> Result<(), Error> {
        let _held = self.engine.held.hold(id).await;
        let container = self.engine.owned(id).await?;
        let machine = observation::machine(&container).ok_or_else(|| Error::not_found(format!("machine `{id}`")))?;
        match machine.state {
            MachineState::Paused => return Ok(()),
            MachineState::Running => {}
            _ => return Err(wrong_state(id, "not running", None)),
        }
        let client = self.engine.client().await?;
        let paused = async {
            starting::commands_have_started(&client, &container).await?;
            client.pause_container(&id.0).await
        };
        match paused.await {
            Err(error) if is_state_conflict(&error) => Err(wrong_state(id, "not running", Some(error))),
            Err(error) => Err(translate(&format!("machine `{id}`"), &format!("pause machine `{id}`"), error)),
            Ok(()) => Ok(()),
        }
    }

    async fn unpause(&self, id: &MachineId) -> Result<(), Error> {
        match self.owned(id).await?.state {
            MachineState::Running => return Ok(()),
            MachineState::Paused => {}
            _ => return Err(wrong_state(id, "not running", None)),
        }
        match self.engine.client().await?.unpause_container(&id.0).await {
            Err(error) if is_state_conflict(&error) => Err(wrong_state(id, "not paused", Some(error))),
            Err(error) => Err(translate(&format!("machine `{id}`"), &format!("unpause machine `{id}`"), error)),
            Ok(()) => Ok(()),
        }
    }

    async fn resize(&self, id: &MachineId, resources: Resources) -> Result<(), Error> {
        self.engine.owned(id).await?;
        let limits = request::limits(resources);
        let body = ContainerUpdateBody {
            cpu_period: Some(request::CPU_PERIOD),
            cpu_quota: limits.cpu_quota,
            memory: limits.memory,
            memory_swap: limits.memory,
            ..ContainerUpdateBody::default()
        };
        let what = format!("machine `{id}`");
        let updated = self.engine.client().await?.update_container(&id.0, body).await;
        updated.map_err(|error| translate(&what, &format!("resize {what}"), error))
    }

    async fn usage(&self, id: &MachineId) -> Result<Usage, Error> {
        if self.owned(id).await?.state != MachineState::Running {
            return Err(wrong_state(id, "not running", None));
        }
        let what = format!("machine `{id}`");
        let action = format!("read what {what} uses");
        // Without `one_shot` Docker itself waits a second for a second look.
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let client = self.engine.client().await?;
        let told = client.stats(&id.0, Some(options)).boxed().next().await;
        let told = told.ok_or_else(|| Error::failed(action.as_str(), "Docker said nothing"))?;
        let told = told.map_err(|error| translate(&what, &action, error))?;
        // One that ended meanwhile has used nothing, says Docker.
        observation::usage(&told, Timestamp::now()).ok_or_else(|| wrong_state(id, "not running", None))
    }

    async fn restore(&self, id: &MachineId, name: &str, network: Option<&NetworkAttachment>) -> Result<(), Error> {
        let machine = self.owned(id).await?;
        if machine.name != name {
            restore::name(&self.engine, id, name).await?;
        }
        match network {
            Some(network) if machine.attachment.is_none() => restore::network(&self.engine, &machine, network).await,
            _ => Ok(()),
        }
    }

    async fn remove(&self, id: &MachineId) -> Result<(), Error> {
        match self.engine.owned(id).await {
            Ok(_) => {}
            Err(Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        // Volumes without a name, which an image may declare, are the machine's alone and go with it.
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let what = format!("machine `{id}`");
        match self.engine.client().await?.remove_container(&id.0, Some(options)).await {
            Ok(()) => Ok(()),
            // 409: its removal is under way already. Done is done only when it is gone.
            Err(error) if matches!(message(&error), Some((404 | 409, _))) => self.wait_until_gone(id).await,
            Err(error) => Err(translate(&what, &format!("remove {what}"), error)),
        }
    }
}

impl DockerMachines {
    async fn wait_until_gone(&self, id: &MachineId) -> Result<(), Error> {
        for _ in 0..100 {
            match self.engine.owned(id).await {
                Err(Error::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(error),
                Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        Err(wrong_state(id, "being removed", None))
    }
}

/// Whether Docker refused because of what the machine is doing.
pub(crate) fn is_state_conflict(error: &bollard::errors::Error) -> bool {
    message(error).is_some_and(|(status, text)| {
        status == 409
            || text.contains("is not paused")
            || text.contains("is not running")
            || text.contains("already paused")
    })
}

pub(crate) fn wrong_state(id: &MachineId, state: &str, source: Option<bollard::errors::Error>) -> Error {
    let conflict = Conflict::State { what: format!("machine `{id}`"), state: state.to_owned() };
    Error::Conflict { conflict, source: source.map(Into::into) }
}

/// The id of a container that Docker told about.
pub(crate) fn id_of(container: &ContainerInspectResponse) -> MachineId {
    MachineId(container.id.clone().unwrap_or_default())
}
