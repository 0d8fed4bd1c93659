//! Does what a user does about data without an object: leaves it behind, has it adopted, has it purged. What fails is asked for
//! again once everything that went wrong is over.

use std::sync::{Mutex, PoisonError};

use controller::orphans::{Adoption, Orphan, OrphanError, Orphans};
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::storage::volume::Volume;
use crds::storage::volume_snapshot::VolumeSnapshot;
use serde_json::json;

use super::step::{Step, Thing};
use crate::cloud::Cloud;
use crate::crash::Tripwire;

/// What is asked for and not yet done, and the wire on which the next asking is cut off.
#[derive(Debug, Default)]
pub(super) struct Asked {
    open: Mutex<Vec<Step>>,
    wire: Tripwire,
}

/// The kind and the name of what can leave data behind.
pub(super) fn place(thing: &Thing) -> Option<(&'static str, String)> {
    match thing {
        Thing::Volume { number, .. } => Some(("Volume", format!("volume{number}"))),
        Thing::Snapshot(number) => Some(("VolumeSnapshot", format!("snapshot{number}"))),
        Thing::InstanceSnapshot(number) => Some(("InstanceSnapshot", format!("instancesnapshot{number}"))),
        _ => None,
    }
}

/// Has the data of this stay.
pub(super) async fn retain(cloud: &Cloud, thing: &Thing) {
    let Some((kind, name)) = place(thing) else { return };
    let patch = json!({"spec": {"deletionPolicy": "Retain"}});
    match kind {
        "Volume" => cloud.try_change::<Volume>(&name, patch).await,
        "VolumeSnapshot" => cloud.try_change::<VolumeSnapshot>(&name, patch).await,
        _ => cloud.try_change::<InstanceSnapshot>(&name, patch).await,
    }
}

impl Asked {
    /// The next asking is cut off after so many changes.
    pub(super) fn cut(&self, after: u64) {
        self.wire.set(self.wire.changes() + after);
    }

    /// Asks for it.
    pub(super) async fn ask(&self, cloud: &Cloud, step: &Step) {
        let orphans = cloud.orphans(&self.wire);
        let is_done = tokio::select! {
            said = done(&orphans, step) => said.is_ok(),
            () = self.wire.tripped() => false,
        };
        self.wire.set(0);
        if !is_done {
            self.open.lock().unwrap_or_else(PoisonError::into_inner).push(step.clone());
        }
    }

    /// Asks again for what isn't done.
    pub(super) async fn insist(&self, cloud: &Cloud) -> Result<(), String> {
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        for step in open {
            let said = done(&cloud.orphans(&Tripwire::default()), &step).await;
            said.map_err(|error| format!("{step:?} is refused: {error:?}"))?;
        }
        Ok(())
    }
}

/// Does it, if there is such data and nobody has it.
async fn done(orphans: &Orphans, step: &Step) -> Result<(), OrphanError> {
    let (Step::Adopt(thing) | Step::Purge(thing)) = step else { return Ok(()) };
    let Some((kind, name)) = place(thing) else { return Ok(()) };
    let is_it = |orphan: &Orphan| orphan.owner.kind == kind && orphan.owner.name == name && orphan.claimed_by.is_none();
    let Some(orphan) = orphans.list().await?.into_iter().find(is_it) else { return Ok(()) };
    match step {
        Step::Adopt(_) => orphans.adopt(orphan.owner.uid, &Adoption::default()).await.map(drop),
        _ => orphans.purge(orphan.owner.uid).await.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::super::keeping::Kept;
    use super::*;
    use crate::objects::volume;

    const THING: Thing = Thing::Volume { number: 0, size: 64, snapshot: None, volume: None, block: false };
    const NAME: &str = "volume0";

    /// A cloud with a Volume that is about to be left.
    async fn begun() -> (Cloud, Kept) {
        let mut cloud = Cloud::new().await;
        cloud.start();
        cloud.create(&volume(NAME, "64Mi")).await;
        cloud.until_ready::<Volume>(NAME).await;
        let mut kept = Kept::default();
        kept.before(&cloud, &Step::Leave(THING)).await.unwrap();
        (cloud, kept)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_adopted_though_the_first_asking_is_cut_off_and_then_purged() {
        let (cloud, mut kept) = begun().await;
        let before = cloud.uid::<Volume>(NAME).await;
        retain(&cloud, &THING).await;
        cloud.delete::<Volume>(NAME).await;
        cloud.until_gone::<Volume>(NAME).await;
        kept.is_whole(&cloud).await.unwrap();
        let asked = Asked::default();
        // The attempt to make the object counts, though it only tries.
        asked.cut(1);
        asked.ask(&cloud, &Step::Adopt(THING)).await;
        assert!(cloud.get::<Volume>(NAME).await.is_none(), "it was cut off before the object was made");
        asked.insist(&cloud).await.unwrap();
        cloud.until_ready::<Volume>(NAME).await;
        assert_ne!(cloud.uid::<Volume>(NAME).await, before);
        kept.is_whole(&cloud).await.unwrap();

        cloud.delete::<Volume>(NAME).await;
        cloud.until_gone::<Volume>(NAME).await;
        kept.is_whole(&cloud).await.unwrap();
        kept.before(&cloud, &Step::Purge(THING)).await.unwrap();
        asked.ask(&cloud, &Step::Purge(THING)).await;
        asked.insist(&cloud).await.unwrap();
        kept.is_whole(&cloud).await.unwrap();
        assert_eq!(cloud.orphans(&Tripwire::default()).list().await.unwrap(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_with_its_object_is_missed() {
        let (cloud, mut kept) = begun().await;
        cloud.delete::<Volume>(NAME).await;
        cloud.until_gone::<Volume>(NAME).await;
        assert_eq!(kept.is_whole(&cloud).await.unwrap_err(), "the data that Volume `volume0` has left is lost");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_purged_unasked_is_missed() {
        let (cloud, mut kept) = begun().await;
        retain(&cloud, &THING).await;
        cloud.delete::<Volume>(NAME).await;
        cloud.until_gone::<Volume>(NAME).await;
        Asked::default().ask(&cloud, &Step::Purge(THING)).await;
        assert!(kept.is_whole(&cloud).await.is_err());
    }
}
