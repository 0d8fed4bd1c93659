//! Guests that were frozen for a snapshot by a process that was killed.

use controller_simulation::{cluster_image, instance_snapshot, virtual_machine};
use crds::compute::instance_snapshot::InstanceSnapshot;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_guest_that_a_killed_process_left_frozen_goes_on_though_nobody_wants_the_snapshot_any_more() {
    let mut cloud = running_cloud().await;
    cloud.create(&cluster_image("debian", "debian.qcow2")).await;
    cloud.create(&virtual_machine("vm", "debian")).await;
    cloud.until_ready::<Instance>("vm").await;
    let uid = cloud.uid::<Instance>("vm").await;
    cloud.create(&instance_snapshot("before", "vm")).await;
    cloud.until_ready::<InstanceSnapshot>("before").await;
    cloud.kill();
    cloud.engine.leave_frozen(uid);
    cloud.start();
    cloud.delete::<InstanceSnapshot>("before").await;
    cloud.until_gone::<InstanceSnapshot>("before").await;
    cloud.pass(Duration::from_secs(5)).await;
    assert!(!cloud.engine.machines_of(uid)[0].left_frozen);
    let events = cloud.events("vm").await;
    assert_eq!(events.iter().filter(|event| event.starts_with("Thawed")).count(), 1, "{events:?}");
    cloud.until_ready::<Instance>("vm").await;
}

#[tokio::test(start_paused = true)]
async fn a_guest_whose_agent_does_not_answer_is_asked_again_and_its_instance_says_so() {
    let mut cloud = running_cloud().await;
    cloud.create(&cluster_image("debian", "debian.qcow2")).await;
    cloud.create(&virtual_machine("vm", "debian")).await;
    cloud.until_ready::<Instance>("vm").await;
    let uid = cloud.uid::<Instance>("vm").await;
    cloud.kill();
    cloud.engine.leave_frozen(uid);
    cloud.engine.fail_always(Operation::ThawMachine, FaultKind::Fail);
    cloud.start();
    let vm = cloud.until("vm", "not ready", |vm: &Instance| message(vm).contains("thaw")).await;
    assert_eq!(vm.status.unwrap().phase, Some(InstancePhase::Running));
    // What else is wanted of it is done all the same.
    cloud.change::<Instance>("vm", json!({"spec": {"resources": {"cpu": "3"}}})).await;
    cloud.pass(Duration::from_secs(300)).await;
    assert_eq!(cloud.engine.machines_of(uid)[0].resources.cpu_millis, 3000);
    cloud.engine.clear_faults();
    cloud.pass(Duration::from_secs(600)).await;
    assert!(!cloud.engine.machines_of(uid)[0].left_frozen);
    cloud.until_ready::<Instance>("vm").await;
}
