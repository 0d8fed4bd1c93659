//! Snapshots of virtual machines: a copy of the root disk that stands alone, kept as an image is. QEMU itself copies the
//! disk of one that runs, as it is at one moment; nothing is left behind in the chain of its disks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use controller_backend::{
    Consistency, DiskImages, Error, Machine, MachineId, MachineSnapshot, MachineSnapshotSource, MachineSnapshotSpec,
    MachineSnapshots, MachineState, Owner, Progress,
};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;
use uuid::Uuid;

use crate::engine::{Engine, Owned};
use crate::images::HostImages;
use crate::places::Places;
use crate::{backup, disks, machines};

/// How often a copy is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often at most while it is being ended.
const LOOKS: usize = 150;

pub(crate) struct LibvirtMachineSnapshots {
    engine: Arc<Engine>,
    places: Places,
    images: Arc<HostImages>,
    /// One at a time: a machine has one job, and each writes a whole disk.
    taking: Arc<Mutex<()>>,
}

impl LibvirtMachineSnapshots {
    pub(crate) fn new(engine: Arc<Engine>, places: Places, images: Arc<HostImages>) -> Self {
        Self { engine, places, images, taking: Arc::default() }
    }

    /// Takes a snapshot of a machine.
    async fn take(
        &self,
        owner: &Owner,
        machine: &MachineId,
        turn: OwnedMutexGuard<()>,
        progress: &Progress,
    ) -> Result<(), Error> {
        let machine = self.engine.on_machine(machine, "look at", machines::observe).await?;
        self.images.make_folders()?;
        let path = self.places.image(owner.uid).with_extension("new");
        let turn = Arc::new(Turn { path: path.clone(), _guard: turn });
        let fresh = Fresh { path, _turn: turn };
        let consistency = self.copy(&machine, &fresh, progress).await?;
        self.images.keep_snapshot(owner, &fresh.path, consistency).await
    }

    /// Copies the disk, and tells in which state it was.
    async fn copy(&self, machine: &Machine, fresh: &Fresh, progress: &Progress) -> Result<Consistency, Error> {
        if matches!(machine.state, MachineState::Running | MachineState::Paused) {
            return self.back_up(&machine.id, fresh, progress).await;
        }
        // That of a process that was killed may still be written to.
        let _ = tokio::fs::remove_file(&fresh.path).await;
        // QEMU locks a disk that it writes to, so that one that is started meanwhile has to wait.
        disks::flatten(&self.places.disk(machine.owner.uid, &machine.id), &fresh.path).await?;
        Ok(Consistency::AtRest)
    }

    async fn back_up(&self, id: &MachineId, fresh: &Fresh, progress: &Progress) -> Result<Consistency, Error> {
        // One of a process that was killed: what it writes is nobody's by now.
        if going(&self.engine, id).await?.is_some() && tokio::fs::try_exists(&fresh.path).await.unwrap_or(false) {
            end(&self.engine, id).await;
        }
        let _ = tokio::fs::remove_file(&fresh.path).await;
        let (engine, id, fresh) = (self.engine.clone(), id.clone(), fresh.clone());
        // A call of libvirt goes on where nobody waits for it, so that somebody must see what it has begun.
        let begun = tokio::spawn(async move {
            let (path, machine, stillness) = (fresh.path.clone(), id.clone(), engine.stillness.clone());
            let begin = move |owned: &Owned| Ok(backup::begin(&owned.domain, &path, || stillness.begin(&machine))?);
            let frozen = engine.on_machine(&id, "copy the disk of", begin).await?;
            Ok((Job { engine, id, fresh: Some(fresh) }, frozen))
        });
        let (mut job, frozen) = begun.await.map_err(|error| Error::failed("copy the machine's disk", error))??;
        while let Some(going) = going(&job.engine, &job.id).await? {
            if going.total > 0 {
                progress.begin(going.total);
                progress.add(going.done);
            }
            tokio::time::sleep(LOOK).await;
        }
        job.fresh = None;
        let completed = |owned: &Owned| Ok(backup::completed(&owned.domain)?);
        if job.engine.on_machine(&job.id, "learn of the copy of the disk of", completed).await? {
            return Ok(if frozen { Consistency::Frozen } else { Consistency::Crash });
        }
        Err(Error::failed("copy the machine's disk", "the copy was cut off, as by the machine's end"))
    }
}

async fn going(engine: &Arc<Engine>, id: &MachineId) -> Result<Option<backup::Going>, Error> {
    let look = |owned: &Owned| {
        // One that has ended meanwhile has no job.
        if !owned.domain.is_active()? {
            return Ok(None);
        }
        Ok(backup::going(&owned.domain)?)
    };
    engine.on_machine(id, "look at the copy of the disk of", look).await
}

/// Ends the copy, and waits until it has.
async fn end(engine: &Arc<Engine>, id: &MachineId) {
    let abort = |owned: &Owned| Ok(backup::abort(&owned.domain)?);
    if let Err(error) = engine.on_machine(id, "end the copy of the disk of", abort).await {
        tracing::debug!(error = %error, "a copy that nobody waits for could not be ended");
    }
    for _ in 0..LOOKS {
        match going(engine, id).await {
            Ok(Some(_)) => tokio::time::sleep(LOOK).await,
            Ok(None) | Err(_) => return,
        }
    }
}

/// Where a copy is written. Whether it was kept or not, nothing is left there, and nobody else begins before.
#[derive(Clone)]
struct Fresh {
    path: PathBuf,
    _turn: Arc<Turn>,
}

struct Turn {
    path: PathBuf,
    _guard: OwnedMutexGuard<()>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A copy that goes on; it ends with whoever waits for it.
struct Job {
    engine: Arc<Engine>,
    id: MachineId,
    /// `None` once it has ended by itself.
    fresh: Option<Fresh>,
}

impl Drop for Job {
    fn drop(&mut self) {
        let Some(fresh) = self.fresh.take() else { return };
        // Without a runtime the process itself is ending: the next one ends it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (engine, id) = (self.engine.clone(), self.id.clone());
        runtime.spawn(async move {
            end(&engine, &id).await;
            drop(fresh);
        });
    }
}

#[async_trait]
impl MachineSnapshots for LibvirtMachineSnapshots {
    async fn list(&self) -> Result<Vec<MachineSnapshot>, Error> {
        self.images.snapshots().await
    }

    async fn find(&self, owner: Uuid) -> Result<Option<MachineSnapshot>, Error> {
        self.images.snapshot(owner).await
    }

    async fn ensure(&self, spec: &MachineSnapshotSpec, progress: &Progress) -> Result<MachineSnapshot, Error> {
        let turn = self.taking.clone().lock_owned().await;
        match (self.find(spec.owner.uid).await?, &spec.source) {
            (Some(snapshot), _) if !snapshot.retained => return Ok(snapshot),
            (Some(_), _) => self.images.take_snapshot_back(&spec.owner).await?,
            (None, MachineSnapshotSource::Retained(from)) => self.images.adopt_snapshot(&spec.owner, *from).await?,
            (None, MachineSnapshotSource::Machine(machine)) => self.take(&spec.owner, machine, turn, progress).await?,
        }
        progress.begin(1);
        progress.complete();
        let what = format!("snapshot of `{}`", spec.owner.uid);
        self.find(spec.owner.uid).await?.ok_or_else(|| Error::not_found(what))
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        let _taking = self.taking.lock().await;
        self.images.remove(owner).await
    }

    async fn retain(&self, owner: Uuid) -> Result<(), Error> {
        let _taking = self.taking.lock().await;
        self.images.retain_snapshot(owner).await
    }

    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        let _taking = self.taking.lock().await;
        self.images.hand_snapshot_over(owner, namespace).await
    }

    async fn purge(&self, owner: Uuid) -> Result<(), Error> {
        let _taking = self.taking.lock().await;
        self.images.purge_snapshot(owner).await
    }

    async fn thaw(&self, machine: &MachineId) -> Result<(), Error> {
        self.engine.on_machine(machine, "thaw", |owned| backup::thaw_noted(&owned.domain)).await
    }

    fn held_still(&self, machine: &MachineId, since: Instant) -> bool {
        self.engine.stillness.was_since(machine, since)
    }
}
