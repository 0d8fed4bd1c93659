//! Machines as domains. What libvirt is asked for is decided in `domain_xml` and `seed`, what is read from it in
//! `observation`.
//!
//! A domain is defined before its disks are made, and forgotten after they are gone: whatever is on the disk, a domain
//! tells of it, and what was cut off is found again.

mod card;
mod memory;
mod mounts;
mod observation;
mod processors;
mod stall;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use controller_backend::{
    Attachment, Backend, Conflict, Error, Machine, MachineId, MachineSpec, MachineState, MachineSummary, Machines,
    NetworkAttachment, PublishedPort, Resources, Usage,
};
use jiff::Timestamp;
use tokio::fs;
use tokio::time::Instant;
use uuid::Uuid;
use virt::domain::Domain;
use virt::error::ErrorNumber;
use virt_sys as sys;

use crate::domain_xml::{self, Needs};
use crate::engine::{CallError, Engine, Owned, all_owned};
use crate::images::HostImages;
use crate::marks::Marks;
use crate::places::{Places, make_folder, write_private};
use crate::seed::Place;
use crate::{disks, probe, process_log, remount, seed, shares};

pub(crate) use observation::machine as observe;

/// How often a machine that was asked to stop is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// A machine that is resumed writes again what couldn't be written, and within this stands still again if that is as before.
const SETTLES: Duration = Duration::from_secs(2);
/// How often it is asked again: a guest that is still booting doesn't hear its power button.
const ASK: Duration = Duration::from_secs(2);

pub(crate) struct LibvirtMachines {
    engine: Arc<Engine>,
    places: Places,
    images: Arc<HostImages>,
    /// Whose networks and volumes the machines use.
    host: Backend,
}

impl LibvirtMachines {
    pub(crate) fn new(engine: Arc<Engine>, places: Places, images: Arc<HostImages>, host: Backend) -> Self {
        Self { engine, places, images, host }
    }

    async fn owned(&self, id: &MachineId) -> Result<Machine, Error> {
        self.engine.on_machine(id, "look at", observe).await
    }

    /// Makes the disks of a domain that is defined.
    async fn furnish(&self, spec: &MachineSpec, needs: &Needs, place: Option<Place>, bytes: u64) -> Result<(), Error> {
        let id = MachineId(needs.id.to_string());
        let failed = |error| Error::failed("make the machine's folder", error);
        let owner = spec.owner.uid;
        self.clear(owner).await?;
        self.places.make().map_err(failed)?;
        make_folder(&self.places.machines_of(owner)).map_err(failed)?;
        make_folder(&self.places.machine(owner, &id)).map_err(failed)?;
        if needs.mounts.shares.iter().any(|share| share.read_only) {
            shares::make_read_only(&needs.read_only_server).map_err(failed)?;
        }
        disks::overlay(&needs.base, &needs.disk, bytes).await?;
        let mac = needs.wire.as_ref().map(|wire| wire.mac.as_str()).unwrap_or_default();
        write_private(&needs.seed, &seed::disk(spec, needs.id, mac, place, &needs.mounts)).await.map_err(failed)
    }

    /// Removes what machines left that somebody took from libvirt by hand.
    pub(crate) async fn clear(&self, owner: Uuid) -> Result<(), Error> {
        let folder = self.places.machines_of(owner);
        let failed = |error| Error::failed("look for what earlier machines left", error);
        let mut entries = match fs::read_dir(&folder).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let mut left = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            left.push(entry.path());
        }
        let known: Vec<String> = self.find(owner).await?.into_iter().map(|machine| machine.id.0).collect();
        for path in left {
            let is_known = path.file_name().is_some_and(|name| known.iter().any(|id| name == id.as_str()));
            if !is_known {
                remove_folder(&path).await?;
            }
        }
        // It stays while there is something in it.
        let _ = fs::remove_dir(&folder).await;
        self.places.tidy();
        Ok(())
    }

    /// The owners that have disks and no machine.
    pub(crate) async fn left_behind(&self) -> Result<BTreeSet<Uuid>, Error> {
        let failed = |error| Error::failed("look for what machines left", error);
        let mut owners = BTreeSet::new();
        let mut entries = match fs::read_dir(self.places.machines()).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(owners),
            Err(error) => return Err(failed(error)),
        };
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            owners.extend(entry.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok()));
        }
        if !owners.is_empty() {
            for machine in self.list().await? {
                owners.remove(&machine.owner.uid);
            }
        }
        Ok(owners)
    }

    async fn change_state(
        &self,
        id: &MachineId,
        action: &str,
        change: impl FnOnce(&Domain) -> Result<(), CallError> + Send + 'static,
    ) -> Result<(), Error> {
        self.engine.on_machine(id, action, move |owned| change(&owned.domain)).await
    }
}

#[async_trait]
impl Machines for LibvirtMachines {
    async fn list(&self) -> Result<Vec<MachineSummary>, Error> {
        let installation = self.engine.installation();
        let list = move |connection: &crate::engine::Connection| {
            let mut machines = Vec::new();
            for owned in all_owned(connection, installation)? {
                match observation::summary(&owned) {
                    Ok(summary) => machines.push(summary),
                    Err(CallError::NotOurs) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(machines)
        };
        let mut machines = self.engine.call("libvirt", "list machines", list).await?;
        machines.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(machines)
    }

    async fn find(&self, owner: Uuid) -> Result<Vec<Machine>, Error> {
        let installation = self.engine.installation();
        let find = move |connection: &crate::engine::Connection| {
            let mut machines = Vec::new();
            for owned in all_owned(connection, installation)? {
                if owned.marks.owner.uid == owner {
                    match observe(&owned) {
                        Ok(machine) => machines.push(machine),
                        Err(CallError::NotOurs) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Ok(machines)
        };
        let begun = Instant::now();
        let mut machines = self.engine.call("libvirt", "find machines", find).await?;
        for machine in &mut machines {
            // By this process, which has it thawed itself.
            machine.left_frozen &= !self.engine.stillness.was_since(&machine.id, begun);
        }
        machines.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        Ok(machines)
    }

    async fn create(&self, spec: &MachineSpec) -> Result<MachineId, Error> {
        if spec.command.is_some() || spec.args.is_some() {
            return Err(Error::invalid("a virtual machine runs what is on its disk, and no command besides"));
        }
        let image = self.images.named(&spec.image).await?;
        let image = image.ok_or_else(|| Error::not_found(format!("image `{}`", spec.image)))?;
        let network = match &spec.network {
            Some(network) => Some(self.network(network).await?),
            None => None,
        };
        let mounts = self.mounts(spec.owner.uid, &spec.mounts).await?;
        if let Some(bytes) = spec.disk_bytes.filter(|bytes| *bytes < image.disk_bytes) {
            let needed = image.disk_bytes;
            return Err(Error::invalid(format!(
                "the image needs a disk of {needed} bytes, and {bytes} were asked for"
            )));
        }
        let uuid = Uuid::new_v4();
        let id = MachineId(uuid.to_string());
        let needs = Needs {
            id: uuid,
            acceleration: probe::find_acceleration().await.acceleration,
            base: self.places.image(image.owner.uid),
            disk: self.places.disk(spec.owner.uid, &id),
            seed: self.places.seed(spec.owner.uid, &id),
            console: self.places.console(spec.owner.uid, &id),
            wire: network.as_ref().map(|(wire, _)| wire.clone()),
            resources: self.within_reach(spec.resources).await?,
            mounts,
            read_only_server: self.places.read_only_server(),
            // VNC knows no longer ones.
            password: Uuid::new_v4().simple().to_string().chars().take(8).collect(),
        };
        let marks = Marks {
            id: Some(uuid),
            owner: spec.owner.clone(),
            spec_hash: spec.spec_hash.clone(),
            created_at: Timestamp::now(),
            image: image.owner.uid,
            image_id: image.id.clone(),
            attachment: spec
                .network
                .as_ref()
                .map(|network| Attachment { network: network.network, address: network.address }),
            published: published(spec),
            resources: spec.resources,
            volumes: mounts::volumes(&spec.mounts),
            mounts: Some(spec.mounts.clone()),
            devices: needs.mounts.devices.iter().map(|device| device.volume).collect(),
            complete: false,
        };
        let xml = domain_xml::domain(spec, &needs, &marks);
        let name = spec.name.clone();
        let what = format!("machine `{name}`");
        let define = move |connection: &crate::engine::Connection| match Domain::define_xml(connection, &xml) {
            Ok(_) => Ok(()),
            Err(error)
                if error.code() == ErrorNumber::OperationFailed && error.message().contains("already exists") =>
            {
                let conflict = Conflict::NameTaken { name };
                Err(CallError::Told(Error::Conflict { conflict, source: Some(error.into()) }))
            }
            Err(error) => Err(error.into()),
        };
        self.engine.call(&what, &format!("define {what}"), define).await?;
        let place = network.map(|(_, place)| place);
        let bytes = spec.disk_bytes.unwrap_or_default().max(image.disk_bytes);
        let furnished = self.furnish(spec, &needs, place, bytes).await;
        if let Err(error) = furnished {
            // Nothing is left half made; should this fail too, the next look finds a machine that can only be removed.
            let _ = self.remove(&id).await;
            return Err(error);
        }
        let complete = move |owned: &Owned| Marks { complete: true, ..owned.marks.clone() }.write(&owned.domain);
        self.engine.on_machine(&id, "complete", complete).await?;
        Ok(id)
    }

    async fn start(&self, id: &MachineId) -> Result<(), Error> {
        let machine = self.owned(id).await?;
        match machine.state {
            MachineState::Running => return Ok(()),
            MachineState::Created | MachineState::Exited(_) => {}
            MachineState::Paused => return Err(wrong_state(id, "paused")),
            MachineState::Dead => return Err(wrong_state(id, "half made")),
        }
        let owner = machine.owner.uid;
        if let Some(attachment) = machine.attachment {
            let network = self.host.networks.find(attachment.network).await?;
            network.ok_or_else(|| Error::not_found(format!("network of machine `{id}`")))?;
            if self.has_address(attachment, id).await? {
                return Err(Error::conflict(Conflict::AddressTaken { address: attachment.address }));
            }
        }
        if !fs::try_exists(self.places.disk(owner, id)).await.unwrap_or(false) {
            return Err(Error::not_found(format!("disk of machine `{id}`")));
        }
        self.renew_mounts(id).await?;
        // What it wrote so far is that of its last run.
        let _ = fs::rename(self.places.console(owner, id), self.places.previous_console(owner, id)).await;
        self.change_state(id, "start", |domain| {
            match domain.create() {
                Ok(_) => Ok(()),
                // Somebody else was faster.
                Err(_) if domain.is_active().unwrap_or(false) => Ok(()),
                Err(error) if error.message().contains("satisfying virtiofsd") => {
                    let message = "the host lacks virtiofsd, by which a virtual machine mounts Volumes and files; it comes \
                                   with the package `virtiofsd`, in older Debian with `qemu-system-common`";
                    Err(CallError::Told(Error::Invalid { message: message.to_owned(), source: Some(error.into()) }))
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    async fn stop(&self, id: &MachineId, grace: Duration) -> Result<(), Error> {
        self.owned(id).await?;
        let deadline = tokio::time::Instant::now() + grace;
        let mut ask_at = tokio::time::Instant::now();
        loop {
            let now = tokio::time::Instant::now();
            let ask = now >= ask_at && now < deadline;
            if ask {
                ask_at = now + ASK;
            }
            let hard = now >= deadline;
            let active = self.engine.on_machine(id, "stop", move |owned| {
                let domain = &owned.domain;
                let (state, _) = domain.get_state()?;
                if !domain.is_active()? {
                    return Ok(false);
                }
                if hard {
                    return match domain.destroy() {
                        Ok(()) => Ok(false),
                        Err(_) if !domain.is_active()? => Ok(false),
                        Err(error) => Err(error.into()),
                    };
                }
                if state == sys::VIR_DOMAIN_PAUSED {
                    // A frozen machine takes no signal.
                    let _ = domain.resume();
                }
                if ask {
                    // It may have ended at this very moment, which the next look sees.
                    let _ = domain.shutdown_flags(sys::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN);
                }
                Ok(true)
            });
            if !active.await? {
                return Ok(());
            }
            tokio::time::sleep(LOOK.min(deadline.saturating_duration_since(now))).await;
        }
    }

    async fn pause(&self, id: &MachineId) -> Result<(), Error> {
        match self.owned(id).await?.state {
            MachineState::Paused => return Ok(()),
            MachineState::Running => {}
            _ => return Err(wrong_state(id, "not running")),
        }
        self.change_state(id, "pause", |domain| Ok(domain.suspend().map(drop)?)).await
    }

    async fn unpause(&self, id: &MachineId) -> Result<(), Error> {
        let machine = self.owned(id).await?;
        match machine.state {
            MachineState::Running => return Ok(()),
            MachineState::Paused => {}
            _ => return Err(wrong_state(id, "not running")),
        }
        self.change_state(id, "unpause", |domain| Ok(domain.resume().map(drop)?)).await?;
        let deadline = Instant::now() + SETTLES;
        while machine.stall.is_some() && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
            if let Some(stall) = self.owned(id).await?.stall {
                return Err(Error::conflict(Conflict::Stalled { stall }));
            }
        }
        Ok(())
    }

    async fn resize(&self, id: &MachineId, resources: Resources) -> Result<(), Error> {
        let machine = self.owned(id).await?;
        if machine.resources == resources {
            return Ok(());
        }
        let runs = matches!(machine.state, MachineState::Running | MachineState::Paused);
        if runs && !machine.resizes_running(resources) {
            return Err(wrong_state(id, "running: a virtual machine gets such amounts while it is stopped"));
        }
        if !runs && resources.max_memory_bytes.is_some() {
            self.tell_of_growth(id, machine.owner.uid).await?;
        }
        let given = self.within_reach(resources).await?;
        let resize = move |connection: &crate::engine::Connection, owned: &Owned| {
            let marks = Marks { resources, ..owned.marks.clone() };
            // With what is secret, or it would be lost.
            let xml = owned.domain.get_xml_desc(sys::VIR_DOMAIN_XML_SECURE | sys::VIR_DOMAIN_XML_INACTIVE)?;
            let changed = domain_xml::with_amounts(&xml, given).and_then(|xml| remount::with_marks(&xml, &marks));
            let changed =
                changed.ok_or_else(|| CallError::Told(Error::failed("resize", "the definition is another")))?;
            // What is in force comes first: the marks say then that it is.
            if owned.domain.is_active()? {
                processors::change(&owned.domain, resources)?;
                memory::change(&owned.domain, resources)?;
            }
            Ok(Domain::define_xml(connection, &changed).map(drop)?)
        };
        self.engine.on_definition(id, "resize", resize).await
    }

    async fn usage(&self, id: &MachineId) -> Result<Usage, Error> {
        if self.owned(id).await?.state != MachineState::Running {
            return Err(wrong_state(id, "not running"));
        }
        let read = |owned: &Owned| {
            let info = owned.domain.get_info()?;
            let resident = owned.domain.memory_stats(0)?;
            let resident = resident.iter().find(|stat| stat.tag == sys::VIR_DOMAIN_MEMORY_STAT_RSS);
            Ok(Usage {
                at: Timestamp::now(),
                cpu: Duration::from_nanos(info.cpu_time),
                // Of QEMU as a whole: what the guest itself has free, only the guest knows.
                memory_bytes: resident.map_or(info.memory, |stat| stat.val).saturating_mul(1024),
            })
        };
        self.engine.on_machine(id, "read what is used of", read).await
    }

    /// libvirt renames only what is stopped.
    async fn restore(&self, id: &MachineId, name: &str, network: Option<&NetworkAttachment>) -> Result<(), Error> {
        let name = name.to_owned();
        let restore = move |owned: &Owned| {
            if owned.domain.get_name()? == name || owned.domain.is_active()? {
                return Ok(());
            }
            match owned.domain.rename(&name, 0) {
                Ok(_) => Ok(()),
                Err(error) if error.message().contains("already exists") => {
                    let conflict = Conflict::NameTaken { name: name.clone() };
                    Err(CallError::Told(Error::Conflict { conflict, source: Some(error.into()) }))
                }
                Err(error) => Err(error.into()),
            }
        };
        self.engine.on_machine(id, "rename", restore).await?;
        match network {
            Some(network) => self.plug_in(id, network).await,
            None => Ok(()),
        }
    }

    async fn remove(&self, id: &MachineId) -> Result<(), Error> {
        let down = self.engine.on_machine(id, "remove", |owned| {
            if owned.domain.is_active()? {
                match owned.domain.destroy() {
                    Err(error) if owned.domain.is_active()? => return Err(error.into()),
                    _ => {}
                }
            }
            Ok((owned.domain.get_name()?, owned.marks.owner.uid))
        });
        let (name, owner) = match down.await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        remove_folder(&self.places.machine(owner, id)).await?;
        let forget = |owned: &Owned| {
            let flags = sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                | sys::VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
                | sys::VIR_DOMAIN_UNDEFINE_NVRAM;
            Ok(owned.domain.undefine_flags(flags)?)
        };
        match self.engine.on_machine(id, "forget", forget).await {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        self.clear(owner).await?;
        // libvirt keeps it for ever otherwise.
        let _ = fs::remove_file(process_log::path(&name)).await;
        Ok(())
    }
}

async fn remove_folder(folder: &std::path::Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::failed(format!("remove `{}`", folder.display()), error))
        }
        _ => Ok(()),
    }
}

fn published(spec: &MachineSpec) -> Vec<PublishedPort> {
    let mut ports: Vec<PublishedPort> = spec
        .ports
        .iter()
        .filter_map(|port| {
            let publish = port.publish?;
            Some(PublishedPort { port: port.port, protocol: port.protocol, publish })
        })
        .collect();
    ports.sort_unstable();
    ports
}

fn wrong_state(id: &MachineId, state: &str) -> Error {
    Error::conflict(Conflict::State { what: format!("machine `{id}`"), state: state.to_owned() })
}
