//! Virtual machines that write where the host has no room.

use controller_simulation::{cluster_image, virtual_machine};
use crds::compute::instance::PowerState;

use super::*;

/// A cloud in which the virtual machine `vm` runs.
async fn with_vm() -> (Cloud, Uuid) {
    let cloud = running_cloud().await;
    cloud.create(&cluster_image("debian", "debian.qcow2")).await;
    cloud.create(&virtual_machine("vm", "debian")).await;
    cloud.until_ready::<Instance>("vm").await;
    let uid = cloud.uid::<Instance>("vm").await;
    (cloud, uid)
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_room_says_so_once_and_goes_on_by_itself() {
    let (cloud, uid) = with_vm().await;
    let started = cloud.engine.machines_of(uid)[0].started_at;
    let known = cloud.events("vm").await;
    cloud.engine.give_room(uid, false);
    let vm = cloud.until_condition::<Instance>("vm", "Ready", "False", Some("NoRoom")).await;
    assert_eq!(
        message(&vm),
        "The machine stands still: the host's disk that its root disk is on is full. It goes on by itself when there is room."
    );
    assert_eq!(vm.status.unwrap().phase, Some(InstancePhase::Failed));
    let calls = || cloud.engine.calls().get(&Operation::UnpauseMachine).copied().unwrap_or_default();
    let (before, written) = (calls(), vm.metadata.resource_version);
    cloud.pass(Duration::from_secs(600)).await;
    assert!((18..=24).contains(&(calls() - before)), "{} attempts in ten minutes", calls() - before);
    assert_eq!(cloud.get::<Instance>("vm").await.unwrap().metadata.resource_version, written);

    cloud.engine.give_room(uid, true);
    cloud.pass(Duration::from_secs(31)).await;
    cloud.until_condition::<Instance>("vm", "Ready", "True", Some("Running")).await;
    assert_eq!(cloud.engine.machines_of(uid)[0].started_at, started, "it goes on, and isn't started anew");
    let mut events = cloud.events("vm").await;
    events.retain(|event| !known.contains(event));
    assert_eq!(events, ["NoRoom x1", "Resumed x1"]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_room_can_be_paused_stopped_started_and_deleted() {
    let (cloud, uid) = with_vm().await;
    let want = async |state: PowerState| {
        let state = serde_json::to_value(state).unwrap();
        cloud.change::<Instance>("vm", json!({"spec": {"powerState": state}})).await;
    };
    cloud.engine.give_room(uid, false);
    cloud.until_condition::<Instance>("vm", "Ready", "False", Some("NoRoom")).await;
    want(PowerState::Paused).await;
    let vm = cloud.until_condition::<Instance>("vm", "Ready", "True", Some("Paused")).await;
    assert_eq!(vm.status.unwrap().phase, Some(InstancePhase::Paused));
    want(PowerState::Stopped).await;
    cloud.until_condition::<Instance>("vm", "Ready", "True", Some("Stopped")).await;
    want(PowerState::Running).await;
    cloud.until_condition::<Instance>("vm", "Ready", "False", Some("NoRoom")).await;
    cloud.delete::<Instance>("vm").await;
    cloud.until_gone::<Instance>("vm").await;
    assert!(cloud.engine.machines_of(uid).is_empty());
}
