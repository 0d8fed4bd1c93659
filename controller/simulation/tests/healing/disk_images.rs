//! Disk images whose download is slow, broken or another than it should be.

use controller_backend::Checksum;
use controller_simulation::{
    cluster_image, cluster_image_of_snapshot, downloaded_image, image, image_of_snapshot, instance_snapshot,
    virtual_machine,
};
use crds::compute::cluster_image::ClusterImage;
use crds::compute::image::{Image, ImageStatus};
use crds::compute::instance_snapshot::InstanceSnapshot;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::PostParams;

use super::*;

const URL: &str = "https://images.example/late.qcow2";

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

async fn status(cloud: &Cloud) -> ImageStatus {
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

#[tokio::test(start_paused = true)]
async fn a_virtual_machine_is_made_from_its_namespaces_own_image_before_the_clusters() {
    let cloud = running_cloud().await;
    cloud.create(&cluster_image("debian", "debian.qcow2")).await;
    cloud.create(&image("debian")).await;
    cloud.until_ready::<ClusterImage>("debian").await;
    let own = cloud.until_ready::<Image>("debian").await;
    cloud.create(&virtual_machine("vm", "debian")).await;
    let vm = cloud.until_ready::<Instance>("vm").await;
    let id = |status: Option<ImageStatus>| status.and_then(|status| status.image_id);
    assert!(vm.status.unwrap().image_id.is_some_and(|used| Some(used) == id(own.status)));
    // It is the own one that it holds.
    cloud.delete::<ClusterImage>("debian").await;
    cloud.until_gone::<ClusterImage>("debian").await;
    cloud.delete::<Image>("debian").await;
    cloud.until_condition::<Image>("debian", "Ready", "False", Some("InUse")).await;
    cloud.delete::<Instance>("vm").await;
    cloud.until_gone::<Image>("debian").await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_came_later_takes_no_machine_from_the_clusters() {
    let cloud = running_cloud().await;
    cloud.create(&cluster_image("debian", "debian.qcow2")).await;
    cloud.create(&virtual_machine("vm", "debian")).await;
    cloud.until_ready::<Instance>("vm").await;
    cloud.create(&image("debian")).await;
    cloud.until_ready::<Image>("debian").await;
    cloud.delete::<ClusterImage>("debian").await;
    cloud.until_condition::<ClusterImage>("debian", "Ready", "False", Some("InUse")).await;
    cloud.delete::<Image>("debian").await;
    cloud.until_gone::<Image>("debian").await;
    cloud.delete::<Instance>("vm").await;
    cloud.until_gone::<ClusterImage>("debian").await;
}

#[tokio::test(start_paused = true)]
async fn an_image_of_another_namespace_is_never_seen() {
    let cloud = running_cloud().await;
    let namespaces: Api<Namespace> = Api::all(cloud.client.clone());
    let mut other = Namespace::default();
    other.metadata.name = Some("other".to_owned());
    namespaces.create(&PostParams::default(), &other).await.unwrap();
    let images: Api<Image> = Api::namespaced(cloud.client.clone(), "other");
    images.create(&PostParams::default(), &image("debian")).await.unwrap();
    cloud.create(&virtual_machine("vm", "debian")).await;
    let vm = cloud.until_condition::<Instance>("vm", "Ready", "False", Some("DependencyMissing")).await;
    assert!(message(&vm).contains("Image or ClusterImage `debian`"), "{}", message(&vm));
    cloud.pass(Duration::from_secs(700)).await;
    assert_eq!(cloud.engine.running(), 0);
    assert!(images.get("debian").await.unwrap().status.is_some_and(|status| status.image_id.is_some()));
    cloud.create(&image("debian")).await;
    cloud.until_ready::<Instance>("vm").await;
}

fn why(status: Option<ImageStatus>) -> String {
    condition(&status.unwrap().conditions, READY).unwrap().message.clone()
}

#[tokio::test(start_paused = true)]
async fn an_image_waits_for_its_snapshot_and_outlives_it() {
    let cloud = running_cloud().await;
    cloud.create(&image_of_snapshot("golden", "before")).await;
    cloud.create(&cluster_image_of_snapshot("everybodys", "before")).await;
    let golden = cloud.until_condition::<Image>("golden", "Ready", "False", Some("DependencyMissing")).await;
    assert!(why(golden.status).contains("InstanceSnapshot `before` does not exist"));
    cloud.create(&cluster_image("debian", "debian.qcow2")).await;
    cloud.create(&virtual_machine("vm", "debian")).await;
    cloud.create(&instance_snapshot("before", "vm")).await;
    cloud.until_ready::<Image>("golden").await;
    cloud.until_ready::<ClusterImage>("everybodys").await;
    let disk = cloud.engine.machine_disk(cloud.uid::<Instance>("vm").await);

    cloud.delete::<InstanceSnapshot>("before").await;
    cloud.until_gone::<InstanceSnapshot>("before").await;
    cloud.pass(Duration::from_secs(700)).await;
    for (name, image) in [("one", "golden"), ("other", "everybodys")] {
        cloud.create(&virtual_machine(name, image)).await;
        cloud.until_ready::<Instance>(name).await;
        assert_eq!(cloud.engine.machine_disk(cloud.uid::<Instance>(name).await), disk, "{name} has the data");
    }
}

#[tokio::test(start_paused = true)]
async fn no_image_is_made_from_the_snapshot_of_a_container() {
    let cloud = running_cloud().await;
    cloud.create(&instance("web", "web:1")).await;
    cloud.create(&instance_snapshot("before", "web")).await;
    cloud.until_ready::<InstanceSnapshot>("before").await;
    cloud.create(&image_of_snapshot("golden", "before")).await;
    let golden = cloud.until_condition::<Image>("golden", "Stalled", "True", Some("Invalid")).await;
    assert!(why(golden.status).contains("of a container"));
}
