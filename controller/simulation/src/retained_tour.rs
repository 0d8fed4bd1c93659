//! The story of data that stays: a Volume, a VolumeSnapshot and an InstanceSnapshot go and leave it behind, others adopt it,
//! and go.

use crds::compute::instance::Instance;
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::network::vpc::Vpc;
use crds::storage::volume::{DeletionPolicy, Volume, VolumeSource};
use crds::storage::volume_snapshot::VolumeSnapshot;

use crate::objects::{copy, instance, instance_snapshot, restored, snapshot, volume};
use crate::story::{Diary, settled};
use crate::{Cloud, INSTALLATION};

/// Tells the whole story to a cloud whose controllers run.
pub async fn tell(cloud: &Cloud) -> Diary {
    let mut kept = volume("kept", "64Mi");
    kept.spec.deletion_policy = DeletionPolicy::Retain;
    cloud.create(&kept).await;
    let mut kept = snapshot("kept", "kept");
    kept.spec.deletion_policy = DeletionPolicy::Retain;
    cloud.create(&kept).await;
    cloud.create(&instance("web", "web:1")).await;
    let mut kept = instance_snapshot("kept", "web");
    kept.spec.deletion_policy = DeletionPolicy::Retain;
    cloud.create(&kept).await;
    cloud.until_ready::<Volume>("kept").await;
    cloud.until_ready::<VolumeSnapshot>("kept").await;
    cloud.until_ready::<InstanceSnapshot>("kept").await;
    let (volume, snapshot) = (cloud.uid::<Volume>("kept").await, cloud.uid::<VolumeSnapshot>("kept").await);
    let machine_snapshot = cloud.uid::<InstanceSnapshot>("kept").await;
    let data = cloud.engine.volume_incarnation(INSTALLATION, volume);
    let disk = cloud.engine.snapshot_disk(INSTALLATION, machine_snapshot);
    let made = settled(cloud).await;

    // The heirs are there first: they wait until the data is nobody's.
    let source = VolumeSource { retained: Some(volume.to_string()), ..VolumeSource::default() };
    cloud.create(&copy("heir", "96Mi", source)).await;
    let mut heir = crate::objects::snapshot("heir", "");
    (heir.spec.volume, heir.spec.retained) = (None, Some(snapshot.to_string()));
    cloud.create(&heir).await;
    let mut heir = instance_snapshot("heir", "");
    (heir.spec.instance, heir.spec.retained) = (None, Some(machine_snapshot.to_string()));
    cloud.create(&heir).await;
    cloud.create(&restored(instance("again", ""), "heir")).await;
    cloud.until_condition::<Volume>("heir", "Ready", "False", Some("DependencyMissing")).await;
    cloud.until_condition::<VolumeSnapshot>("heir", "Ready", "False", Some("DependencyMissing")).await;
    cloud.until_condition::<InstanceSnapshot>("heir", "Ready", "False", Some("DependencyMissing")).await;
    cloud.delete::<Volume>("kept").await;
    cloud.delete::<VolumeSnapshot>("kept").await;
    cloud.delete::<InstanceSnapshot>("kept").await;
    cloud.until_ready::<Volume>("heir").await;
    cloud.until_ready::<VolumeSnapshot>("heir").await;
    cloud.until_ready::<InstanceSnapshot>("heir").await;
    cloud.until_ready::<Instance>("again").await;
    let heir = cloud.uid::<Volume>("heir").await;
    assert_eq!(cloud.engine.volume_incarnation(INSTALLATION, heir), data, "the data is the same");
    let heir = cloud.uid::<InstanceSnapshot>("heir").await;
    assert_eq!(cloud.engine.snapshot_disk(INSTALLATION, heir), disk, "the data is the same");
    let changed = settled(cloud).await;

    for instance in ["web", "again"] {
        cloud.delete::<Instance>(instance).await;
        cloud.until_gone::<Instance>(instance).await;
    }
    cloud.delete::<Volume>("heir").await;
    cloud.delete::<VolumeSnapshot>("heir").await;
    cloud.delete::<InstanceSnapshot>("heir").await;
    cloud.delete::<Vpc>("default").await;
    cloud.until_gone::<Volume>("heir").await;
    cloud.until_gone::<VolumeSnapshot>("heir").await;
    cloud.until_gone::<InstanceSnapshot>("heir").await;
    cloud.until_gone::<Vpc>("default").await;
    Diary { made, changed, gone: settled(cloud).await }
}
