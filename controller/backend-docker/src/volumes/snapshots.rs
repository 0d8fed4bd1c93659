//! Snapshots: a copy of a volume's file, which is never written to. Made as a volume is: under another name, which it
//! changes for its own when it is whole and on the disk.

use std::fs::File;

use async_trait::async_trait;
use controller_backend::{Conflict, Error, Progress, Snapshot, SnapshotSource, SnapshotSpec, Snapshots, VolumeSource};
use uuid::Uuid;

use super::capture::Sources;
use super::layout::{Place, Record};
use super::{copy, trouble};

pub(crate) struct HostSnapshots {
    sources: Sources,
}

impl HostSnapshots {
    pub(crate) fn new(sources: Sources) -> Self {
        Self { sources }
    }

    async fn observe(&self, place: &Place) -> Result<Option<Snapshot>, Error> {
        let Some(record) = self.sources.snapshots.record(place).await? else { return Ok(None) };
        let disk = place.disk();
        let used_bytes =
            File::open(&disk).and_then(|file| copy::allocated(&file)).map_err(trouble("look at", &disk))?;
        let retained = place.is_retained().await?;
        let Record { owner, size_bytes, mode, .. } = record;
        Ok(Some(Snapshot { owner, size_bytes, used_bytes, retained, mode }))
    }
}

#[async_trait]
impl Snapshots for HostSnapshots {
    async fn list(&self) -> Result<Vec<Snapshot>, Error> {
        let mut snapshots = Vec::new();
        for place in self.sources.snapshots.places().await? {
            match self.observe(&place).await {
                Ok(snapshot) => snapshots.extend(snapshot),
                // Not ours to tell of.
                Err(error) if matches!(error.as_conflict(), Some(Conflict::Foreign { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(snapshots)
    }

    async fn find(&self, owner: Uuid) -> Result<Option<Snapshot>, Error> {
        self.observe(&self.sources.snapshots.place(owner)).await
    }

    async fn ensure(&self, spec: &SnapshotSpec, progress: &Progress) -> Result<Snapshot, Error> {
        let turn = self.sources.turns.take(spec.owner.uid).await;
        let place = self.sources.snapshots.place(spec.owner.uid);
        if self.sources.snapshots.record(&place).await?.is_none() {
            match spec.source {
                SnapshotSource::Volume(volume) => {
                    let source = VolumeSource::Volume(volume);
                    let (size_bytes, mode) = self.sources.look(source).await?;
                    place.prepare(&Record::new(spec.owner.clone(), size_bytes, mode)).await?;
                    let size_bytes = self.sources.copy(source, &place, &turn, progress).await?;
                    place.write_record(&Record::new(spec.owner.clone(), size_bytes, mode)).await?;
                    place.finish().await?;
                }
                SnapshotSource::Retained(from) => {
                    let _turn = self.sources.turns.take(from).await;
                    let (retained, _) = self.sources.snapshots.retained(from).await?;
                    self.sources.snapshots.transfer(&retained, &place).await?;
                }
            }
        }
        if let Some(record) = self.sources.snapshots.record(&place).await?
            && record.owner != spec.owner
        {
            place.write_record(&Record { owner: spec.owner.clone(), ..record }).await?;
        }
        place.set_retained(false).await?;
        let what = format!("snapshot of `{}`", spec.owner.uid);
        self.observe(&place).await?.ok_or_else(|| Error::not_found(what))
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.sources.turns.take(owner).await;
        let place = self.sources.snapshots.place(owner);
        // Refuses what is another installation's.
        self.sources.snapshots.record(&place).await?;
        place.delete().await
    }

    async fn retain(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.sources.turns.take(owner).await;
        let place = self.sources.snapshots.place(owner);
        let record = self.sources.snapshots.record(&place).await?;
        record.ok_or_else(|| Error::not_found(format!("snapshot of `{owner}`")))?;
        place.set_retained(true).await
    }

    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        let _turn = self.sources.turns.take(owner).await;
        self.sources.snapshots.hand_over(owner, namespace).await
    }

    async fn purge(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.sources.turns.take(owner).await;
        if self.sources.snapshots.is_half_purged(owner).await? {
            return self.sources.snapshots.place(owner).delete().await;
        }
        let (place, _) = self.sources.snapshots.retained(owner).await?;
        place.delete().await
    }
}
