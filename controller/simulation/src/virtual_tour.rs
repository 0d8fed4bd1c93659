//! The story of a virtual machine: it waits for its image, comes, gets other amounts, is replaced, and goes.

use crds::compute::cluster_image::ClusterImage;
use crds::compute::instance::Instance;
use crds::network::vpc::Vpc;
use serde_json::json;

use crate::Cloud;
use crate::cloud::DISK_FILE;
use crate::objects::{cluster_image, published, virtual_machine, vpc};
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
    cloud.until_ready::<ClusterImage>("debian").await;
    cloud.until_ready::<Instance>("vm").await;
    let made = settled(cloud).await;

    cloud.change::<Instance>("vm", json!({"spec": {"resources": {"cpu": "2"}}})).await;
    cloud.until_condition::<Instance>("vm", "Ready", "False", Some("RestartNeeded")).await;
    // A port more is no other machine.
    cloud.change::<Instance>("vm", json!({"spec": {"ports": [{"port": 80, "publish": {"port": 8081}}]}})).await;
    cloud.change::<Instance>("vm", json!({"spec": {"restartToken": "now"}})).await;
    cloud.until_ready::<Instance>("vm").await;
    cloud.change::<Instance>("vm", json!({"spec": {"powerState": "Stopped"}})).await;
    cloud.until_condition::<Instance>("vm", "Ready", "True", Some("Stopped")).await;
    cloud.change::<Instance>("vm", json!({"spec": {"powerState": "Running"}})).await;
    cloud.until_ready::<Instance>("vm").await;
    let told = json!({"spec": {"replaceToken": "anew", "cloudInit": {"userData": "#!/bin/sh"}}});
    cloud.change::<Instance>("vm", told).await;
    cloud.until_ready::<Instance>("vm").await;
    let changed = settled(cloud).await;

    cloud.delete::<ClusterImage>("debian").await;
    cloud.until_condition::<ClusterImage>("debian", "Ready", "False", Some("InUse")).await;
    cloud.delete::<Instance>("vm").await;
    cloud.until_gone::<Instance>("vm").await;
    cloud.until_gone::<ClusterImage>("debian").await;
    cloud.delete::<Vpc>("lab").await;
    cloud.until_gone::<Vpc>("lab").await;
    Diary { made, changed, gone: settled(cloud).await }
}
