//! What a snapshot of a large Volume with little in it copies.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use crds::compute::instance::{Instance, InstanceSpec, VolumeMount};
use crds::status::{READY, is_true};
use crds::storage::volume::{Volume, VolumeSpec};
use crds::storage::volume_snapshot::{VolumeSnapshot, VolumeSnapshotSpec};
use e2e::Cloud;
use kube::api::Api;
use serde_json::json;

use super::is_ready;
use crate::measure::{client, create_and_await};

/// What is written into the Volume, in MiB.
const WRITTEN: u64 = 100;

pub(crate) async fn run() -> anyhow::Result<()> {
    let cloud = Cloud::start();
    let client = client(&cloud).await?;
    let spec: VolumeSpec = serde_json::from_value(json!({"size": "10Gi"}))?;
    create_and_await(&Api::default_namespaced(client.clone()), is_made, &[Volume::new("data", spec)]).await?;
    let write = format!(
        "dd if=/dev/urandom of=/data/file bs=1M count={WRITTEN} && sync && touch /tmp/written && exec sleep 1000000"
    );
    let mount =
        VolumeMount { mount_path: "/data".to_owned(), volume: Some("data".to_owned()), ..VolumeMount::default() };
    let writer = Instance::new(
        "writer",
        InstanceSpec {
            image: "busybox:stable".to_owned(),
            command: ["sh", "-c", &write].map(str::to_owned).to_vec(),
            volumes: vec![mount],
            termination_grace_period_seconds: 0,
            ..InstanceSpec::default()
        },
    );
    create_and_await(&Api::<Instance>::default_namespaced(client.clone()), is_ready, &[writer]).await?;
    e2e::eventually("the file to be written", || {
        let looked = cloud.docker().call(&["exec", &cloud.container("writer"), "test", "-e", "/tmp/written"]);
        if looked.code == 0 { Ok(()) } else { Err(looked) }
    });
    let spec: VolumeSnapshotSpec = serde_json::from_value(json!({"volume": "data"}))?;
    let snapshot = VolumeSnapshot::new("before", spec);
    let start = Instant::now();
    create_and_await(&Api::default_namespaced(client), is_taken, &[snapshot]).await?;
    let elapsed = start.elapsed();
    let folder = cloud.data_dir().join(cloud.installation()).join("snapshots");
    let copied = allocated(&folder).context("the snapshot's folder")?;
    println!("\n| snapshot of a 10 GiB Volume with {WRITTEN} MiB in it, while it is in use | |\n|---|---|");
    println!("| copied | {:.0} MiB |", copied as f64 / f64::from(1 << 20));
    println!("| until it is ready to use | {:.1} s |", elapsed.as_secs_f64());
    Ok(())
}

/// What the files below a folder take on the disk, in bytes.
fn allocated(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { allocated(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

fn is_made(volume: &Volume) -> bool {
    volume.status.as_ref().is_some_and(|status| is_true(&status.conditions, READY))
}

fn is_taken(snapshot: &VolumeSnapshot) -> bool {
    snapshot.status.as_ref().is_some_and(|status| status.ready_to_use == Some(true))
}
