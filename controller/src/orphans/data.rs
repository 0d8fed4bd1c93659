//! Decides what is done to data of each kind: where it is listed, and how it is retained, handed over and purged.

use controller_backend::{Backend, Error, Owner, VolumeMode};
use crds::compute::instance::BackendName;
use crds::quantity::Quantity;
use jiff::Timestamp;

use super::{Orphan, OrphanError, backend};
use crate::storage;
use crate::world::{backends, runs};

/// What kind of data it is, and what an object that adopts it needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// Of a Volume: how machines saw it.
    Volume(VolumeMode),
    /// Of a VolumeSnapshot.
    VolumeSnapshot,
    /// Of an InstanceSnapshot: what runs Instances made from it.
    InstanceSnapshot(BackendName),
}

/// What runs Instances, and has their data.
#[derive(Clone)]
pub(super) struct Backends {
    pub(super) host: Backend,
    pub(super) virtual_machines: Option<Backend>,
}

impl Backends {
    /// All data, whether it has an object or not.
    pub(super) async fn list(&self) -> Result<Vec<Orphan>, OrphanError> {
        let mut found = Vec::new();
        for real in self.host.volumes.list().await.map_err(backend("list the Volumes' data"))? {
            found.push(orphan(real.owner, real.size_bytes, Data::Volume(real.mode), real.retained, None));
        }
        for real in self.host.snapshots.list().await.map_err(backend("list the VolumeSnapshots' data"))? {
            found.push(orphan(real.owner, real.size_bytes, Data::VolumeSnapshot, real.retained, None));
        }
        for (name, runner) in backends(&self.host, self.virtual_machines.as_ref()) {
            let snapshots = runner.machine_snapshots.list().await;
            let snapshots = snapshots.map_err(backend("list the InstanceSnapshots' data"))?;
            for real in snapshots.into_iter().filter(|real| runs(name, real)) {
                let data = Data::InstanceSnapshot(name);
                found.push(orphan(real.owner, real.image.size_bytes, data, real.retained, real.taken_at));
            }
        }
        Ok(found)
    }

    pub(super) async fn retain(&self, orphan: &Orphan) -> Result<(), Error> {
        let uid = orphan.owner.uid;
        match orphan.data {
            Data::Volume(_) => self.host.volumes.retain(uid).await,
            Data::VolumeSnapshot => self.host.snapshots.retain(uid).await,
            Data::InstanceSnapshot(name) => self.of(name)?.machine_snapshots.retain(uid).await,
        }
    }

    pub(super) async fn hand_over(&self, orphan: &Orphan, namespace: &str) -> Result<(), Error> {
        let uid = orphan.owner.uid;
        match orphan.data {
            Data::Volume(_) => self.host.volumes.hand_over(uid, namespace).await,
            Data::VolumeSnapshot => self.host.snapshots.hand_over(uid, namespace).await,
            Data::InstanceSnapshot(name) => self.of(name)?.machine_snapshots.hand_over(uid, namespace).await,
        }
    }

    pub(super) async fn purge(&self, orphan: &Orphan) -> Result<(), Error> {
        let uid = orphan.owner.uid;
        match orphan.data {
            Data::Volume(_) => self.host.volumes.purge(uid).await,
            Data::VolumeSnapshot => self.host.snapshots.purge(uid).await,
            Data::InstanceSnapshot(name) => self.of(name)?.machine_snapshots.purge(uid).await,
        }
    }

    fn of(&self, wanted: BackendName) -> Result<&Backend, Error> {
        let mut all = backends(&self.host, self.virtual_machines.as_ref());
        let found = all.find(|(name, _)| *name == wanted).map(|(_, found)| found);
        found.ok_or_else(|| Error::not_found(format!("backend `{}`", wanted.as_str())))
    }
}

fn orphan(owner: Owner, size_bytes: u64, data: Data, retained: bool, taken_at: Option<Timestamp>) -> Orphan {
    Orphan { owner, size_bytes, data, retained, taken_at, claimed_by: None }
}

impl Orphan {
    /// Its size, as a Volume's.
    #[must_use]
    pub fn size(&self) -> Quantity {
        let whole = storage::size(self.size_bytes);
        match self.data {
            Data::Volume(_) | Data::VolumeSnapshot => whole,
            Data::InstanceSnapshot(_) => storage::used(self.size_bytes).unwrap_or(whole),
        }
    }

    /// What runs Instances made from it, if it is of an InstanceSnapshot.
    #[must_use]
    pub fn backend(&self) -> Option<BackendName> {
        match self.data {
            Data::Volume(_) | Data::VolumeSnapshot => None,
            Data::InstanceSnapshot(name) => Some(name),
        }
    }
}
