//! Disk images whose download is slow, broken or another than it should be.

use controller_backend::Checksum;
use controller_simulation::downloaded_image;
use crds::compute::cluster_image::{ClusterImage, ClusterImageStatus};

use super::*;

const URL: &str = "https://images.example/debian.qcow2";

fn checksum(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

fn serve(cloud: &Cloud, digit: &str) {
    let checksum: Checksum = checksum(digit).parse().unwrap();
    cloud.engine.add_disk_url(URL, checksum, 64 << 20);
}

fn attempts(cloud: &Cloud) -> u64 {
    cloud.engine.calls().get(&Operation::EnsureDiskImage).copied().unwrap_or_default()
}

fn said(image: &ClusterImage) -> String {
    condition(&image.status.as_ref().unwrap().conditions, READY).unwrap().message.clone()
}

async fn status(cloud: &Cloud) -> ClusterImageStatus {
    cloud.get::<ClusterImage>("debian").await.unwrap().status.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_download_that_is_another_than_it_should_be_is_told_and_tried_after_longer_and_longer_pauses() {
    let cloud = running_cloud().await;
    serve(&cloud, "b");
    cloud.create(&downloaded_image("debian", URL, &checksum("a"))).await;
    let image = cloud.until_condition::<ClusterImage>("debian", "Stalled", "True", Some("ChecksumMismatch")).await;
    assert!(said(&image).contains(&checksum("a")) && said(&image).contains(&checksum("b")), "{}", said(&image));
    assert_eq!(image.status.unwrap().phase.as_deref(), Some("Failed"));
    cloud.pass(Duration::from_secs(600)).await;
    let events = cloud.events("debian").await;
    assert_eq!(events.iter().filter(|event| event.starts_with("ChecksumMismatch")).count(), 1, "{events:?}");
    cloud.pass(Duration::from_secs(6600)).await;
    // After 10, 20, 40, ... 2560 s, then every hour.
    let made = attempts(&cloud);
    assert!((9..=11).contains(&made), "{made} attempts in two hours");
    serve(&cloud, "a");
    cloud.pass(Duration::from_secs(3700)).await;
    cloud.until_ready::<ClusterImage>("debian").await;
    let status = status(&cloud).await;
    assert_eq!((status.import_failures, status.next_import, status.progress), (None, None, None));
}

#[tokio::test(start_paused = true)]
async fn a_download_that_takes_long_tells_how_far_it_is_and_its_failure_is_not_forgotten_over_that() {
    let cloud = running_cloud().await;
    cloud.engine.slow_imports(Duration::from_secs(60));
    cloud.create(&downloaded_image("debian", URL, &checksum("a"))).await;
    cloud
        .until("debian", "to be half there", |image: &ClusterImage| {
            let status = image.status.clone().unwrap_or_default();
            status.progress == Some(50) && status.phase.as_deref() == Some("Importing")
        })
        .await;
    cloud.until_condition::<ClusterImage>("debian", "Stalled", "True", Some("SourceNotFound")).await;
    let told = status(&cloud).await;
    assert_eq!((told.import_failures, told.progress), (Some(1), None));
    cloud.pass(Duration::from_secs(5)).await;
    assert_eq!(attempts(&cloud), 1, "it waits before it tries again");
    serve(&cloud, "a");
    cloud.until_ready::<ClusterImage>("debian").await;
}

#[tokio::test(start_paused = true)]
async fn a_download_ends_when_its_object_is_deleted() {
    let cloud = running_cloud().await;
    serve(&cloud, "a");
    cloud.engine.slow_imports(Duration::from_secs(3600));
    cloud.create(&downloaded_image("debian", URL, &checksum("a"))).await;
    cloud
        .until("debian", "to be half there", |image: &ClusterImage| {
            image.status.as_ref().is_some_and(|status| status.progress == Some(50))
        })
        .await;
    let start = cloud.clock.elapsed();
    cloud.delete::<ClusterImage>("debian").await;
    cloud.until_gone::<ClusterImage>("debian").await;
    assert!(cloud.clock.elapsed() - start < Duration::from_secs(5));
    assert_eq!(cloud.engine.calls()[&Operation::RemoveDiskImage], 1, "what had come is removed");
}
