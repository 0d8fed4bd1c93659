//! Images that are missing, late or corrected.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_image_that_does_not_exist_is_named_and_used_as_soon_as_it_does() {
    let cloud = running_cloud().await;
    cloud.create(&instance("web", "web:3")).await;
    let web = cloud.until_condition::<Instance>("web", "Ready", "False", Some("ImageNotFound")).await;
    assert_eq!(message(&web), "There is no image `web:3`.");
    cloud.engine.set_registry_reachable(false);
    let web = cloud.until_condition::<Instance>("web", "Ready", "False", Some("ImagePullFailed")).await;
    assert!(message(&web).contains("`web:3`"));
    cloud.engine.set_registry_reachable(true);
    cloud.engine.add_registry_image("web:3", Program::Runs);
    cloud.until_ready::<Instance>("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_image_is_said_without_wavering_and_tried_after_longer_and_longer_pauses() {
    let (cloud, _) = with_web().await;
    cloud.delete::<Instance>("web").await;
    cloud.until_gone::<Instance>("web").await;
    let history = cloud.watch::<Instance>().await;
    cloud.create(&instance("web", "web:3")).await;
    let web = cloud.until_condition::<Instance>("web", "Stalled", "True", Some("ImageNotFound")).await;
    assert_eq!(web.status.unwrap().phase, Some(InstancePhase::Failed));
    cloud.pass(Duration::from_secs(600)).await;
    let events = cloud.events("web").await;
    assert!(events.iter().filter(|event| event.starts_with("ImageNotFound")).count() == 1, "{events:?}");
    cloud.pass(Duration::from_secs(3000)).await;
    let status = cloud.get::<Instance>("web").await.unwrap().status.unwrap();
    // After 10, 20, 40, 80 and 160 s, then every 300 s.
    let attempts = cloud.engine.calls()[&Operation::PullImage];
    assert!((15..=17).contains(&attempts), "{attempts} attempts in an hour");
    assert_eq!(status.pull_failures.map(i64::from), i64::try_from(attempts).ok());
    let next = status.next_pull.expect("the next try is shown").0;
    assert!(next > cloud.clock.time(), "{next} is in the past");
    let said = verdicts(&history.so_far());
    assert_eq!(said, ["False PullingImage Provisioning", "False ImageNotFound Failed"]);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_comes_to_the_host_or_is_corrected_ends_the_waiting_at_once() {
    let cloud = running_cloud().await;
    for name in ["loaded", "corrected"] {
        cloud.create(&instance(name, "web:3")).await;
    }
    cloud.pass(Duration::from_secs(3600)).await;
    let start = cloud.clock.elapsed();
    cloud.change::<Instance>("corrected", json!({"spec": {"image": "web:1"}})).await;
    let corrected = cloud.until_ready::<Instance>("corrected").await.status.unwrap();
    assert_eq!((corrected.pull_failures, corrected.next_pull), (None, None));
    assert!(!corrected.conditions.iter().any(|condition| condition.type_ == "Stalled"));
    cloud.engine.add_image("web:3", Program::Runs);
    let loaded = cloud.until_ready::<Instance>("loaded").await.status.unwrap();
    assert_eq!((loaded.pull_failures, loaded.next_pull), (None, None));
    assert!(cloud.clock.elapsed() - start < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_pauses_between_attempts_to_fetch_an_image_outlive_the_process() {
    let mut cloud = running_cloud().await;
    cloud.create(&instance("web", "web:3")).await;
    // Not when an attempt is due: one that is cut off is made again.
    cloud.pass(Duration::from_secs(3603)).await;
    let attempts = cloud.engine.calls()[&Operation::PullImage];
    for _ in 0..10 {
        cloud.kill();
        cloud.start();
        cloud.pass(Duration::from_secs(5)).await;
    }
    let now = cloud.engine.calls()[&Operation::PullImage];
    assert!(now <= attempts + 1, "a restart must not ask the registry again: {attempts} attempts, then {now}");
}

#[tokio::test(start_paused = true)]
async fn ready_is_false_from_the_end_of_a_machine_until_it_runs_again() {
    let (cloud, uid) = with_web().await;
    let history = cloud.watch::<Instance>().await;
    cloud.engine.crash(uid, 137);
    cloud.until("web", "restarted", |web: &Instance| web.status.as_ref().unwrap().restart_count == Some(1)).await;
    cloud.until_ready::<Instance>("web").await;
    cloud.engine.remove_by_hand(uid);
    cloud.pass(Duration::from_secs(5)).await;
    let said = verdicts(&history.so_far());
    let expected = [
        "True Running Running",
        "False Restarting Provisioning",
        "True Running Running",
        "False Provisioning Provisioning",
        "True Running Running",
    ];
    assert_eq!(said, expected);
}
