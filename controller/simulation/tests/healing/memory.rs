//! Virtual machines whose guests take memory late, or none.

use controller_simulation::{cluster_image, virtual_machine};

use super::*;

/// A cloud in which the virtual machine `vm` runs, whose memory can grow.
async fn with_vm() -> (Cloud, Uuid) {
    let cloud = running_cloud().await;
    cloud.create(&cluster_image("debian", "debian.qcow2")).await;
    let mut vm = virtual_machine("vm", "debian");
    vm.spec.resources = Some(serde_json::from_value(json!({"memory": "1Gi", "maxMemory": "4Gi"})).unwrap());
    cloud.create(&vm).await;
    cloud.until_ready::<Instance>("vm").await;
    let uid = cloud.uid::<Instance>("vm").await;
    (cloud, uid)
}

async fn want(cloud: &Cloud, memory: &str) {
    cloud.change::<Instance>("vm", json!({"spec": {"resources": {"memory": memory}}})).await;
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_takes_no_memory_is_told_of_once_and_has_all_of_it_after_a_restart() {
    let (cloud, uid) = with_vm().await;
    let known = cloud.events("vm").await;
    cloud.engine.ignore_memory(uid, true);
    want(&cloud, "2Gi").await;
    let vm = cloud.until_condition::<Instance>("vm", "Ready", "False", Some("MemoryPending")).await;
    let memory = |vm: &Instance| vm.status.clone().unwrap().resources.unwrap().memory.unwrap().0;
    assert_eq!(memory(&vm), "1Gi");
    let vm = cloud.until_condition::<Instance>("vm", "Ready", "False", Some("RestartNeeded")).await;
    assert!(message(&vm).contains("virtio_mem") && message(&vm).contains("cloudctl restart vm"), "{}", message(&vm));
    cloud.pass(Duration::from_secs(600)).await;
    let later = cloud.get::<Instance>("vm").await.unwrap();
    assert_eq!(later.metadata.resource_version, vm.metadata.resource_version, "nothing is written again and again");
    cloud.change::<Instance>("vm", json!({"spec": {"restartToken": "now"}})).await;
    assert_eq!(memory(&cloud.until_ready::<Instance>("vm").await), "2Gi");
    let mut events = cloud.events("vm").await;
    events.retain(|event| !known.contains(event));
    assert_eq!(events, ["Started x2", "Resized x1", "RestartNeeded x1", "Stopped x1"]);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_takes_memory_late_is_ready_the_moment_it_has_it() {
    let (cloud, uid) = with_vm().await;
    let started = cloud.engine.machines_of(uid)[0].started_at;
    cloud.engine.ignore_memory(uid, true);
    want(&cloud, "2Gi").await;
    cloud.until_condition::<Instance>("vm", "Ready", "False", Some("MemoryPending")).await;
    cloud.engine.ignore_memory(uid, false);
    cloud.pass(Duration::from_secs(2)).await;
    cloud.until_condition::<Instance>("vm", "Ready", "True", Some("Running")).await;
    assert_eq!(cloud.engine.machines_of(uid)[0].started_at, started, "without a restart");
}

#[tokio::test(start_paused = true)]
async fn memory_that_the_guest_has_not_taken_is_given_up_without_a_restart() {
    let (cloud, uid) = with_vm().await;
    cloud.engine.ignore_memory(uid, true);
    want(&cloud, "2Gi").await;
    cloud.until_condition::<Instance>("vm", "Ready", "False", Some("MemoryPending")).await;
    want(&cloud, "1Gi").await;
    cloud.until_ready::<Instance>("vm").await;
    assert_eq!(cloud.engine.machines_of(uid)[0].resources.memory_bytes, 1 << 30);
}
