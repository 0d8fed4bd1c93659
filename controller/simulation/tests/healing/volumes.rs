//! Volumes that are used by several, lost, grown or left behind.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_volume_that_can_not_be_made_is_said_without_wavering() {
    let cloud = running_cloud().await;
    let history = cloud.watch::<Volume>().await;
    cloud.engine.fail_always(Operation::EnsureVolume, FaultKind::Fail);
    cloud.create(&volume("data", "64Mi")).await;
    cloud.pass(Duration::from_secs(600)).await;
    let reasons = |volume: &Volume| condition(&volume.status.as_ref()?.conditions, READY).map(|it| it.reason.clone());
    let mut said: Vec<String> = history.so_far().iter().filter_map(reasons).collect();
    said.dedup();
    assert_eq!(said, ["Provisioning", "BackendFailed"]);
    cloud.engine.clear_faults();
    cloud.until_ready::<Volume>("data").await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_has_one_writer_and_the_next_gets_it_when_the_first_is_gone() {
    let cloud = running_cloud().await;
    cloud.create(&volume("data", "64Mi")).await;
    for name in ["first", "second"] {
        let mut wanted = instance(name, "web:1");
        wanted.spec.volumes = vec![volume_mount("data", "/data")];
        cloud.create(&wanted).await;
        if name == "first" {
            cloud.until_ready::<Instance>("first").await;
        }
    }
    let second = cloud.until_condition::<Instance>("second", "Ready", "False", Some("VolumeInUse")).await;
    assert!(message(&second).contains("`first`"), "{}", message(&second));
    let data =
        cloud.until("data", "attached", |data: &Volume| !data.status.as_ref().unwrap().attached_to.is_empty()).await;
    assert_eq!(data.status.unwrap().attached_to, ["first"]);
    cloud.delete::<Instance>("first").await;
    cloud.until_ready::<Instance>("second").await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_volume_gets_it_when_the_other_lets_go_of_it() {
    let cloud = running_cloud().await;
    cloud.create(&volume("data", "64Mi")).await;
    for name in ["first", "second"] {
        let mut wanted = instance(name, "web:1");
        wanted.spec.volumes = vec![volume_mount("data", "/data")];
        cloud.create(&wanted).await;
        if name == "first" {
            cloud.until_ready::<Instance>("first").await;
        }
    }
    cloud.until_condition::<Instance>("second", "Ready", "False", Some("VolumeInUse")).await;
    // The first machine has the Volume until it is replaced by one without.
    cloud.change::<Instance>("first", json!({"spec": {"volumes": null}})).await;
    let start = cloud.clock.elapsed();
    cloud.until_ready::<Instance>("second").await;
    assert!(cloud.clock.elapsed() - start < Duration::from_secs(60), "only the resync woke it");
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_grows_only_at_rest_does_so_when_its_machine_ends() {
    let cloud = running_cloud().await;
    cloud.engine.let_volumes_grow_at_rest_only();
    cloud.create(&volume("data", "64Mi")).await;
    let mut wanted = instance("web", "web:1");
    wanted.spec.volumes = vec![volume_mount("data", "/data")];
    wanted.spec.restart_policy = RestartPolicy::Never;
    cloud.create(&wanted).await;
    cloud.until_ready::<Instance>("web").await;
    cloud.change::<Volume>("data", json!({"spec": {"size": "128Mi"}})).await;
    let waiting = cloud.until_condition::<Volume>("data", "Ready", "False", Some("InUse")).await;
    assert_eq!(waiting.status.unwrap().size.unwrap().0, "64Mi");
    // By now attempts are half a minute apart, and the next is not near.
    cloud.pass(Duration::from_secs(100)).await;
    cloud.engine.crash(cloud.uid::<Instance>("web").await, 0);
    let start = cloud.clock.elapsed();
    let grown = cloud.until_ready::<Volume>("data").await;
    assert_eq!(grown.status.unwrap().size.unwrap().0, "128Mi");
    assert!(cloud.clock.elapsed() - start < Duration::from_secs(3), "only the next attempt woke it");
}

#[tokio::test(start_paused = true)]
async fn lost_data_is_said_and_never_replaced_by_an_empty_volume() {
    let mut cloud = running_cloud().await;
    cloud.create(&volume("data", "64Mi")).await;
    cloud.until_ready::<Volume>("data").await;
    let uid = cloud.uid::<Volume>("data").await;
    cloud.kill();
    cloud.engine.backend(INSTALLATION).volumes.remove(uid).await.unwrap();
    cloud.start();
    cloud.until_condition::<Volume>("data", "Ready", "False", Some("DataMissing")).await;
    cloud.pass(Duration::from_secs(3600)).await;
    assert!(cloud.engine.backend(INSTALLATION).volumes.find(uid).await.unwrap().is_none());
    cloud.delete::<Volume>("data").await;
    cloud.until_gone::<Volume>("data").await;
}

#[tokio::test(start_paused = true)]
async fn a_size_that_can_not_be_enforced_is_said_and_machines_run_on_it() {
    let cloud = running_cloud().await;
    cloud.engine.cannot_enforce_sizes(Some("no loop devices"));
    cloud.create(&volume("data", "64Mi")).await;
    let mut user = instance("web", "web:1");
    user.spec.volumes = vec![volume_mount("data", "/data")];
    cloud.create(&user).await;
    cloud.until_ready::<Instance>("web").await;
    cloud.until_condition::<Volume>("data", "SizeEnforced", "False", Some("NoLoopMount")).await;
    // What was made so stays so; what is made later is not.
    cloud.engine.cannot_enforce_sizes(None);
    cloud.create(&volume("later", "64Mi")).await;
    cloud.until_condition::<Volume>("later", "SizeEnforced", "True", None).await;
    cloud.pass(Duration::from_secs(1200)).await;
    cloud.until_condition::<Volume>("data", "SizeEnforced", "False", Some("NoLoopMount")).await;
    assert_eq!(cloud.events("data").await, ["Provisioned x1", "SizeNotEnforced x1"]);
}

#[tokio::test(start_paused = true)]
async fn readers_share_a_volume() {
    let cloud = running_cloud().await;
    cloud.create(&volume("data", "64Mi")).await;
    for name in ["first", "second"] {
        let mut wanted = instance(name, "web:1");
        wanted.spec.volumes = vec![volume_mount("data", "/data")];
        wanted.spec.volumes[0].read_only = true;
        cloud.create(&wanted).await;
        cloud.until_ready::<Instance>(name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn retained_data_outlives_its_object() {
    let cloud = running_cloud().await;
    let mut data = volume("data", "64Mi");
    data.spec.deletion_policy = DeletionPolicy::Retain;
    cloud.create(&data).await;
    cloud.until_ready::<Volume>("data").await;
    cloud.delete::<Volume>("data").await;
    cloud.until_gone::<Volume>("data").await;
    assert!(cloud.engine.state(INSTALLATION).contains("retained=true"));
    // Nor does the sweep take it, ever.
    cloud.pass(Duration::from_secs(7200)).await;
    assert!(cloud.engine.state(INSTALLATION).contains("retained=true"));
}
