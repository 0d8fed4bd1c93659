//! The story of a virtual machine: it waits for its image, comes, is made again from its snapshot, of which an image is
//! made, gets a disk and gives it back, gets other amounts and directories, more memory while it runs, is replaced, and goes.

use crds::compute::cluster_image::ClusterImage;
use crds::compute::image::Image;
use crds::compute::instance::Instance;
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::network::vpc::Vpc;
use crds::storage::volume::Volume;
use serde_json::json;

use crate::Cloud;
use crate::cloud::DISK_FILE;
use crate::objects::{
    block_volume, cluster_image, image, image_of_snapshot, instance_snapshot, published, restored, virtual_machine,
    volume, vpc,
};
use crate::story::{Diary, settled};

/// Tells the whole story to a cloud whose controllers run.
pub async fn tell(cloud: &Cloud) -> Diary {
    // It comes first: it waits for what isn't there yet.
    let mut machine = virtual_machine("vm", "debian");
    machine.spec.vpc = Some("lab".to_owned());
    machine.spec.ports = vec![published(80, Some(8080))];
    cloud.create(&machine).await;
    cloud.create(&vpc("lab", Some("10.78.0.0/24"))).await;
    cloud.create(&cluster_image("debian", DISK_FILE)).await;
    cloud.create(&image("own")).await;
    cloud.create(&block_volume("disk", "64Mi")).await;
    cloud.create(&volume("files", "64Mi")).await;
    cloud.until_ready::<ClusterImage>("debian").await;
    cloud.until_ready::<Image>("own").await;
    cloud.until_ready::<Instance>("vm").await;
    let mut again = restored(virtual_machine("again", ""), "vm-before");
    again.spec.vpc = Some("lab".to_owned());
    cloud.create(&again).await;
    cloud.create(&image_of_snapshot("golden", "vm-before")).await;
    cloud.create(&instance_snapshot("vm-before", "vm")).await;
    cloud.until_ready::<Instance>("again").await;
    cloud.until_ready::<Image>("golden").await;
    let made = settled(cloud).await;

    let disk = json!([{"mountPath": "/dev/disk", "volume": "disk"}]);
    cloud.change::<Instance>("vm", json!({"spec": {"volumes": disk}})).await;
    cloud.until_ready::<Instance>("vm").await;
    cloud.change::<Volume>("disk", json!({"spec": {"size": "128Mi"}})).await;
    cloud.until_ready::<Volume>("disk").await;
    // The guest doesn't let go at once: until then it is nobody else's, and isn't removed.
    let uid = cloud.uid::<Instance>("vm").await;
    cloud.engine.hold_on_to_devices(uid, true);
    cloud.change::<Instance>("vm", json!({"spec": {"volumes": []}})).await;
    cloud.until_condition::<Instance>("vm", "Ready", "False", Some("DetachPending")).await;
    cloud.delete::<Volume>("disk").await;
    cloud.until_condition::<Volume>("disk", "Ready", "False", Some("InUse")).await;
    cloud.engine.hold_on_to_devices(uid, false);
    cloud.until_ready::<Instance>("vm").await;
    cloud.until_gone::<Volume>("disk").await;

    let files = json!([{"mountPath": "/files", "volume": "files"}]);
    cloud.change::<Instance>("vm", json!({"spec": {"volumes": files}})).await;
    cloud.until_condition::<Instance>("vm", "Ready", "False", Some("RestartNeeded")).await;
    cloud
        .change::<Instance>("vm", json!({"spec": {"resources": {"cpu": "2", "memory": "2Gi", "maxMemory": "4Gi"}}}))
        .await;
    cloud.until_condition::<Instance>("vm", "Ready", "False", Some("RestartNeeded")).await;
    // A port more is no other machine.
    cloud.change::<Instance>("vm", json!({"spec": {"ports": [{"port": 80, "publish": {"port": 8081}}]}})).await;
    cloud.change::<Instance>("vm", json!({"spec": {"restartToken": "now"}})).await;
    cloud.until_ready::<Instance>("vm").await;
    // The guest takes more memory while it runs, once it comes to it.
    cloud.change::<Instance>("vm", json!({"spec": {"resources": {"memory": "3Gi"}}})).await;
    cloud.until_ready::<Instance>("vm").await;
    cloud.engine.ignore_memory(uid, true);
    cloud.change::<Instance>("vm", json!({"spec": {"resources": {"memory": "4Gi"}}})).await;
    cloud.until_condition::<Instance>("vm", "Ready", "False", Some("MemoryPending")).await;
    cloud.until_condition::<Instance>("vm", "Ready", "False", Some("RestartNeeded")).await;
    cloud.engine.ignore_memory(uid, false);
    cloud.until_ready::<Instance>("vm").await;
    cloud.change::<Instance>("vm", json!({"spec": {"powerState": "Stopped"}})).await;
    cloud.until_condition::<Instance>("vm", "Ready", "True", Some("Stopped")).await;
    cloud.change::<Instance>("vm", json!({"spec": {"powerState": "Running"}})).await;
    cloud.until_ready::<Instance>("vm").await;
    // Made anew from the namespace's own image.
    let told = json!({"spec": {"replaceToken": "anew", "image": "own", "cloudInit": {"userData": "#!/bin/sh"}}});
    cloud.change::<Instance>("vm", told).await;
    cloud.until_ready::<Instance>("vm").await;
    let changed = settled(cloud).await;

    cloud.delete::<ClusterImage>("debian").await;
    cloud.until_gone::<ClusterImage>("debian").await;
    cloud.delete::<Image>("own").await;
    cloud.until_condition::<Image>("own", "Ready", "False", Some("InUse")).await;
    cloud.delete::<InstanceSnapshot>("vm-before").await;
    cloud.until_condition::<InstanceSnapshot>("vm-before", "Ready", "False", Some("InUse")).await;
    cloud.delete::<Instance>("again").await;
    cloud.until_gone::<InstanceSnapshot>("vm-before").await;
    // The image is its own by now.
    cloud.until_ready::<Image>("golden").await;
    cloud.delete::<Image>("golden").await;
    cloud.until_gone::<Image>("golden").await;
    cloud.delete::<Instance>("vm").await;
    cloud.until_gone::<Instance>("vm").await;
    cloud.until_gone::<Image>("own").await;
    cloud.delete::<Volume>("files").await;
    cloud.until_gone::<Volume>("files").await;
    cloud.delete::<Vpc>("lab").await;
    cloud.until_gone::<Vpc>("lab").await;
    Diary { made, changed, gone: settled(cloud).await }
}
