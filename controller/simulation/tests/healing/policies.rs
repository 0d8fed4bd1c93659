//! Machines that may do more than others while an InstancePolicy says so.

use controller_simulation::{asking, instance_policy};
use crds::compute::instance_policy::InstancePolicy;

use super::*;

const CAPABILITY: &str = "NET_ADMIN";

#[tokio::test(start_paused = true)]
async fn a_machine_comes_and_goes_with_the_policy_that_allows_it() {
    let (cloud, uid) = with_web().await;
    cloud.create(&asking(instance("router", "web:1"), CAPABILITY)).await;
    let refused = cloud.until_condition::<Instance>("router", "Ready", "False", Some("NotAllowed")).await;
    assert!(message(&refused).contains("may not have the capability NET_ADMIN"), "{}", message(&refused));
    assert_eq!(refused.status.unwrap().machine_id, None);
    cloud.create(&instance_policy("net", "elsewhere", CAPABILITY)).await;
    cloud.pass(Duration::from_secs(60)).await;
    assert_eq!(cloud.get::<Instance>("router").await.unwrap().status.unwrap().machine_id, None);
    cloud.change::<InstancePolicy>("net", json!({"spec": {"namespaces": ["default"]}})).await;
    let router = cloud.until_ready::<Instance>("router").await;
    let made = router.status.unwrap().machine_id;

    cloud.delete::<InstancePolicy>("net").await;
    cloud.until_condition::<Instance>("router", "Stalled", "True", Some("NotAllowed")).await;
    let is_down = |router: &Instance| router.status.as_ref().unwrap().phase == Some(InstancePhase::Failed);
    cloud.until("router", "to be stopped", is_down).await;
    let web = &cloud.engine.machines_of(uid)[0];
    assert_eq!(web.state, MachineState::Running, "others go on");
    cloud.create(&instance_policy("net", "*", CAPABILITY)).await;
    let router = cloud.until_ready::<Instance>("router").await;
    assert_eq!(router.status.unwrap().machine_id, made, "it was kept, with what it had written");
}
