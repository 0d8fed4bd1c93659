//! Images that were machines' disks. Their notes say what becomes of them when their objects go: kept, and adopted by
//! another owner. Then the file has another name, and the old one as long as machines are made from it.

use std::path::Path;

use controller_backend::{Conflict, Consistency, DiskFormat, DiskImages as _, Error, MachineSnapshot, Owner};
use jiff::Timestamp;
use tokio::fs;
use uuid::Uuid;

use super::{HostImages, Kept, Note, describe, remove_file};
use crate::disks;

impl HostImages {
    /// What machines' disks were, sorted by owner's uid.
    pub(crate) async fn snapshots(&self) -> Result<Vec<MachineSnapshot>, Error> {
        Ok(self.all().await?.into_iter().filter_map(snapshot).collect())
    }

    /// The same of one owner.
    pub(crate) async fn snapshot(&self, owner: Uuid) -> Result<Option<MachineSnapshot>, Error> {
        Ok(self.look(owner).await?.and_then(snapshot))
    }

    /// Keeps a whole copy of a machine's disk.
    pub(crate) async fn keep_snapshot(&self, owner: &Owner, fresh: &Path, found: Consistency) -> Result<(), Error> {
        let disk_bytes = disks::info(fresh, DiskFormat::Qcow2).await?.virtual_size;
        self.keep(Note::new(owner, disk_bytes, Some(found)), fresh).await.map(drop)
    }

    /// Marks a snapshot as kept when its object went.
    pub(crate) async fn retain_snapshot(&self, owner: Uuid) -> Result<(), Error> {
        let kept = self.look(owner).await?.filter(|kept| kept.note.snapshot.is_some());
        let kept = kept.ok_or_else(|| Error::not_found(format!("snapshot of `{owner}`")))?;
        self.rewrite(&Note { retained: true, ..kept.note }).await
    }

    /// Marks a retained snapshot as of another namespace.
    pub(crate) async fn hand_snapshot_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        let mut note = self.retained(owner).await?;
        namespace.clone_into(&mut note.owner.namespace);
        self.rewrite(&note).await
    }

    /// Gives the retained snapshot of one owner to another, at one stroke: with the name of its note.
    pub(crate) async fn adopt_snapshot(&self, owner: &Owner, from: Uuid) -> Result<(), Error> {
        self.retained(from).await?;
        let failed = |error| Error::failed("adopt the snapshot", error);
        let image = self.places.image(owner.uid);
        // Of an attempt that was cut off.
        remove_file(&image).await.map_err(failed)?;
        fs::hard_link(self.places.image(from), &image).await.map_err(failed)?;
        fs::rename(self.places.image_note(from), self.places.image_note(owner.uid)).await.map_err(failed)?;
        self.take_snapshot_back(owner).await
    }

    /// Makes a retained snapshot its owner's again, and removes the names of those before that nothing is made from.
    pub(crate) async fn take_snapshot_back(&self, owner: &Owner) -> Result<(), Error> {
        let note = self.retained(owner.uid).await?;
        self.rewrite(&Note { owner: owner.clone(), retained: false, ..note.clone() }).await?;
        for before in note.former_owners {
            if self.users([before].into()).await?.is_empty() {
                let failed = |error| Error::failed("remove what the snapshot was called before", error);
                remove_file(&self.places.image(before)).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Removes a retained snapshot for good.
    pub(crate) async fn purge_snapshot(&self, owner: Uuid) -> Result<(), Error> {
        let note = self.read_note(owner).await?.filter(|note| note.snapshot.is_some());
        let note = note.ok_or_else(|| Error::not_found(format!("retained snapshot of `{owner}`")))?;
        // Without its file it is not there: what a purge that was cut off has left.
        if fs::try_exists(self.places.image(owner)).await.unwrap_or(true) {
            self.retained(owner).await?;
            let users = self.users(note.former_owners.iter().copied().chain([owner]).collect()).await?;
            if !users.is_empty() {
                return Err(Error::conflict(Conflict::InUse { what: format!("snapshot of `{owner}`"), users }));
            }
            // The file before its note, or nobody would know of it any more.
            let failed = |error| Error::failed(format!("remove the snapshot of `{owner}`"), error);
            for uid in note.former_owners.into_iter().chain([owner]) {
                remove_file(&self.places.image(uid)).await.map_err(failed)?;
            }
        }
        self.remove(owner).await
    }

    async fn retained(&self, owner: Uuid) -> Result<Note, Error> {
        let kept = self.look(owner).await?.filter(|kept| kept.note.snapshot.is_some());
        let note = kept.ok_or_else(|| Error::not_found(format!("retained snapshot of `{owner}`")))?.note;
        if note.retained {
            return Ok(note);
        }
        let (what, state) = (format!("the snapshot of `{owner}`"), "not retained".to_owned());
        Err(Error::conflict(Conflict::State { what, state }))
    }

    async fn rewrite(&self, note: &Note) -> Result<(), Error> {
        self.write_note(note).await.map_err(|error| Error::failed("change what is known of the snapshot", error))
    }
}

fn snapshot(kept: Kept) -> Option<MachineSnapshot> {
    let (consistency, retained) = (kept.note.snapshot?, kept.note.retained);
    let taken_at = kept.file.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
    let image = kept.image();
    let (owner, disk_bytes) = (image.owner.clone(), Some(image.disk_bytes));
    Some(MachineSnapshot { owner, image: describe(image), disk_bytes, consistency, retained, taken_at })
}
