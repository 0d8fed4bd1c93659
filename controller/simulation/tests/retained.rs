//! Data that outlives its object: it is adopted or stays an orphan, wherever a process is killed, and goes only when it is
//! purged by name.

use controller::orphans::{Adoption, Orphan, OrphanError};
use controller_backend::fake::{FaultKind, Operation};
use controller_simulation::story::Retold;
use controller_simulation::{
    Cloud, INSTALLATION, Tripwire, instance, instance_snapshot, restored, retained_tour, snapshot, volume, volume_mount,
};
use crds::compute::instance::{BackendName, Instance, InstancePhase};
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::storage::volume::{DeletionPolicy, Volume};
use crds::storage::volume_snapshot::VolumeSnapshot;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, ResourceExt};
use std::time::Duration;
use uuid::Uuid;

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_single_change_ends_in_the_same_state() {
    let mut story = Retold::begin(Cloud::new().await, retained_tour::tell).await;
    let expected = &story.expected;
    assert!(expected.changed.contains("volume Volume/default/heir"), "{}", expected.changed);
    assert!(expected.changed.contains("machine snapshot InstanceSnapshot/default/heir"), "{}", expected.changed);
    assert_eq!(expected.gone.trim(), "", "something is left over");
    assert!(story.changes > 20, "the story makes only {} changes", story.changes);
    story.crashed_after_each_change().await;
}

#[tokio::test(start_paused = true)]
async fn any_call_that_fails_once_ends_in_the_same_state() {
    let calls = [
        Operation::FindVolume,
        Operation::EnsureVolume,
        Operation::RetainVolume,
        Operation::RemoveVolume,
        Operation::FindSnapshot,
        Operation::EnsureSnapshot,
        Operation::RetainSnapshot,
        Operation::RemoveSnapshot,
        Operation::FindMachineSnapshot,
        Operation::EnsureMachineSnapshot,
        Operation::RetainMachineSnapshot,
        Operation::RemoveMachineSnapshot,
    ];
    let mut story = Retold::begin(Cloud::new().await, retained_tour::tell).await;
    story.with_each_call_failing(&calls, 1..=2).await;
}

async fn running_cloud() -> Cloud {
    let mut cloud = Cloud::new().await;
    cloud.start();
    cloud
}

/// Leaves the data of a Volume behind, and gives its uid.
async fn leave_volume(cloud: &Cloud, name: &str) -> Uuid {
    let mut kept = volume(name, "64Mi");
    kept.spec.deletion_policy = DeletionPolicy::Retain;
    cloud.create(&kept).await;
    cloud.until_ready::<Volume>(name).await;
    let uid = cloud.uid::<Volume>(name).await;
    cloud.delete::<Volume>(name).await;
    cloud.until_gone::<Volume>(name).await;
    uid
}

/// Leaves what an Instance had written behind, and gives its uid. The Instance goes too.
async fn leave_instance_snapshot(cloud: &Cloud, name: &str) -> Uuid {
    let mut kept = instance_snapshot(name, "web");
    kept.spec.deletion_policy = DeletionPolicy::Retain;
    cloud.create(&instance("web", "web:1")).await;
    cloud.create(&kept).await;
    cloud.until_ready::<InstanceSnapshot>(name).await;
    let uid = cloud.uid::<InstanceSnapshot>(name).await;
    cloud.delete::<Instance>("web").await;
    cloud.until_gone::<Instance>("web").await;
    cloud.delete::<InstanceSnapshot>(name).await;
    cloud.until_gone::<InstanceSnapshot>(name).await;
    uid
}

async fn listed(cloud: &Cloud) -> Vec<Orphan> {
    cloud.orphans(&Tripwire::default()).list().await.expect("orphans are listed")
}

async fn make_namespace(cloud: &Cloud, name: &str) {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    Api::all(cloud.client.clone()).create(&PostParams::default(), &namespace).await.expect("a namespace is made");
}

fn into(namespace: &str, name: &str) -> Adoption {
    Adoption { namespace: Some(namespace.to_owned()), name: Some(name.to_owned()) }
}

#[tokio::test(start_paused = true)]
async fn data_of_a_volume_and_a_snapshot_is_listed_and_adopted_into_another_namespace() {
    let cloud = running_cloud().await;
    make_namespace(&cloud, "elsewhere").await;
    cloud.create(&volume("page", "64Mi")).await;
    let mut before = snapshot("before", "page");
    before.spec.deletion_policy = DeletionPolicy::Retain;
    cloud.create(&before).await;
    cloud.until_ready::<VolumeSnapshot>("before").await;
    cloud.delete::<VolumeSnapshot>("before").await;
    cloud.until_gone::<VolumeSnapshot>("before").await;
    let uid = leave_volume(&cloud, "kept").await;
    let data = cloud.engine.volume_incarnation(INSTALLATION, uid);

    let orphans = listed(&cloud).await;
    let told: Vec<String> = orphans.iter().map(|orphan| orphan.owner.to_string()).collect();
    assert_eq!(told, ["Volume/default/kept", "VolumeSnapshot/default/before"], "what has an object is no orphan");
    let service = cloud.orphans(&Tripwire::default());
    for orphan in &orphans {
        let adopted = service.adopt(orphan.owner.uid, &into("elsewhere", "heir")).await.expect("it is adopted");
        assert_eq!((adopted.namespace.as_str(), adopted.name.as_str()), ("elsewhere", "heir"));
    }
    let api: Api<Volume> = Api::namespaced(cloud.client.clone(), "elsewhere");
    let heir = until_available(&api, "heir").await;
    assert_eq!(cloud.engine.volume_incarnation(INSTALLATION, heir), data);
    cloud.pass(Duration::from_secs(60)).await;
    assert_eq!(listed(&cloud).await, []);
    let again = service.adopt(uid, &into("elsewhere", "second")).await.expect_err("nobody gets it twice");
    assert!(matches!(again, OrphanError::Missing { .. }), "{again:?}");
}

async fn until_available(api: &Api<Volume>, name: &str) -> Uuid {
    for _ in 0..6000 {
        let volume = api.get(name).await.expect("the Volume is there");
        if volume.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Available")) {
            return volume.uid().and_then(|uid| uid.parse().ok()).expect("a uid is a UUID");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{name} is never available");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_adopts_only_what_is_of_the_namespace() {
    let cloud = running_cloud().await;
    make_namespace(&cloud, "elsewhere").await;
    let uid = leave_volume(&cloud, "kept").await;
    let mut thief = volume("thief", "64Mi");
    thief.spec.source =
        Some(crds::storage::volume::VolumeSource { retained: Some(uid.to_string()), ..Default::default() });
    let api: Api<Volume> = Api::namespaced(cloud.client.clone(), "elsewhere");
    api.create(&PostParams::default(), &thief).await.expect("the object is accepted");
    cloud.pass(Duration::from_secs(1200)).await;
    let told = serde_json::to_string(&api.get("thief").await.expect("it is there").status).unwrap_or_default();
    assert!(told.contains("DependencyMissing") && !told.contains("kept"), "{told}");
    assert!(matches!(&listed(&cloud).await[..], [orphan] if orphan.owner.uid == uid && orphan.claimed_by.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_adopts_no_instance_snapshot_of_another_namespace_and_learns_nothing_of_it() {
    let cloud = running_cloud().await;
    make_namespace(&cloud, "elsewhere").await;
    let uid = leave_instance_snapshot(&cloud, "kept").await;
    let mut thief = instance_snapshot("thief", "");
    (thief.spec.instance, thief.spec.retained) = (None, Some(uid.to_string()));
    let api: Api<InstanceSnapshot> = Api::namespaced(cloud.client.clone(), "elsewhere");
    api.create(&PostParams::default(), &thief).await.expect("the object is accepted");
    cloud.pass(Duration::from_secs(1200)).await;
    let told = serde_json::to_string(&api.get("thief").await.expect("it is there").status).unwrap_or_default();
    assert!(told.contains("DependencyMissing") && !told.contains("kept"), "{told}");
    assert!(matches!(&listed(&cloud).await[..], [orphan] if orphan.owner.uid == uid && orphan.claimed_by.is_none()));
}

#[tokio::test(start_paused = true)]
async fn an_adoption_that_is_killed_anywhere_leaves_it_adopted_or_an_orphan() {
    for at in 1..=3 {
        let cloud = running_cloud().await;
        make_namespace(&cloud, "elsewhere").await;
        let uid = leave_volume(&cloud, "kept").await;
        let data = cloud.engine.volume_incarnation(INSTALLATION, uid);
        let wire = Tripwire::default();
        wire.set(at);
        let service = cloud.orphans(&wire);
        let wish = into("elsewhere", "heir");
        let killed = tokio::select! {
            _ = service.adopt(uid, &wish) => false,
            () = wire.tripped() => true,
        };
        assert!(killed, "it makes {at} changes");
        cloud.pass(Duration::from_secs(60)).await;
        let again = cloud.orphans(&Tripwire::default()).adopt(uid, &wish).await;
        let was_adopted = matches!(again, Err(OrphanError::Missing { .. }));
        assert!(was_adopted || again.is_ok(), "{again:?}");
        let heir = until_available(&Api::namespaced(cloud.client.clone(), "elsewhere"), "heir").await;
        assert_eq!(cloud.engine.volume_incarnation(INSTALLATION, heir), data);
        assert_eq!(listed(&cloud).await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_an_owner_is_neither_purged_nor_adopted_and_the_refusal_names_it() {
    let cloud = running_cloud().await;
    let service = cloud.orphans(&Tripwire::default());
    cloud.create(&volume("data", "64Mi")).await;
    let mut user = instance("web", "web:1");
    user.spec.volumes = vec![volume_mount("data", "/data")];
    cloud.create(&user).await;
    cloud.until_ready::<Instance>("web").await;
    let used = cloud.uid::<Volume>("data").await;
    for error in [
        service.purge(used).await.expect_err("it has an owner"),
        service.adopt(used, &Adoption::default()).await.map(drop).expect_err("it has an owner"),
    ] {
        assert_eq!(error.to_string(), format!("the data `{used}` is that of Volume `default/data`"));
    }
    // Whoever names it in time has it.
    let uid = leave_volume(&cloud, "kept").await;
    let mut heir = volume("heir", "16Mi");
    heir.spec.source =
        Some(crds::storage::volume::VolumeSource { retained: Some(uid.to_string()), ..Default::default() });
    cloud.create(&heir).await;
    cloud.until_condition::<Volume>("heir", "Ready", "False", Some("Invalid")).await;
    let error = service.purge(uid).await.expect_err("somebody wants it");
    assert_eq!(error.to_string(), format!("the data `{uid}` is about to be adopted by Volume `default/heir`"));
    cloud.delete::<Volume>("heir").await;
    cloud.until_gone::<Volume>("heir").await;

    cloud.pass(Duration::from_secs(7200)).await;
    service.purge(uid).await.expect("it is nobody's");
    let error = service.purge(uid).await.expect_err("it is gone");
    assert_eq!(error.to_string(), format!("there is no data `{uid}` without an object"));
    assert!(cloud.engine.backend(INSTALLATION).volumes.find(used).await.expect("find").is_some());
}

#[tokio::test(start_paused = true)]
async fn data_whose_object_vanished_without_a_word_is_listed_and_kept_and_can_be_adopted() {
    let mut cloud = running_cloud().await;
    cloud.create(&volume("data", "64Mi")).await;
    cloud.until_ready::<Volume>("data").await;
    let uid = cloud.uid::<Volume>("data").await;
    let data = cloud.engine.volume_incarnation(INSTALLATION, uid);
    // As a restore of an older backup does it: no controller sees it go.
    cloud.kill();
    lose::<Volume>(&cloud, "data").await;
    cloud.start();
    cloud.pass(Duration::from_secs(7200)).await;
    assert!(matches!(&listed(&cloud).await[..], [orphan] if orphan.owner.uid == uid && orphan.retained));
    let service = cloud.orphans(&Tripwire::default());
    service.adopt(uid, &Adoption::default()).await.expect("it is adopted under its own name");
    cloud.until_ready::<Volume>("data").await;
    let heir = cloud.uid::<Volume>("data").await;
    assert_eq!(cloud.engine.volume_incarnation(INSTALLATION, heir), data);
}

#[tokio::test(start_paused = true)]
async fn what_an_instance_had_written_is_adopted_elsewhere_and_instances_are_made_from_it() {
    let cloud = running_cloud().await;
    make_namespace(&cloud, "elsewhere").await;
    let uid = leave_instance_snapshot(&cloud, "before").await;
    let disk = cloud.engine.snapshot_disk(INSTALLATION, uid);
    let orphans = listed(&cloud).await;
    let [orphan] = &orphans[..] else { panic!("there is one: {orphans:?}") };
    assert_eq!(orphan.owner.to_string(), "InstanceSnapshot/default/before");
    assert!(orphan.retained && orphan.taken_at.is_some());
    assert_eq!((orphan.size().0.as_str(), orphan.backend()), ("3Mi", Some(BackendName::Docker)));

    let service = cloud.orphans(&Tripwire::default());
    service.adopt(uid, &into("elsewhere", "heir")).await.expect("it is adopted");
    let again = restored(instance("again", ""), "heir");
    let instances: Api<Instance> = Api::namespaced(cloud.client.clone(), "elsewhere");
    instances.create(&PostParams::default(), &again).await.expect("the object is accepted");
    cloud.pass(Duration::from_secs(60)).await;
    let snapshots: Api<InstanceSnapshot> = Api::namespaced(cloud.client.clone(), "elsewhere");
    let heir = snapshots.get("heir").await.expect("it is there");
    assert_eq!(heir.status.as_ref().and_then(|status| status.ready_to_use), Some(true), "{heir:?}");
    let heir = heir.uid().and_then(|uid| uid.parse().ok()).expect("a uid is a UUID");
    assert_eq!(cloud.engine.snapshot_disk(INSTALLATION, heir), disk);
    let again = instances.get("again").await.expect("it is there").status.unwrap_or_default();
    assert_eq!(again.phase, Some(InstancePhase::Running), "{again:?}");
    assert_eq!(listed(&cloud).await, []);
    let refused = service.purge(heir).await.expect_err("it has an owner").to_string();
    assert!(refused.contains("InstanceSnapshot `elsewhere/heir`"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn no_sweep_and_no_start_removes_what_lost_its_object_and_only_a_purge_does() {
    let mut cloud = running_cloud().await;
    cloud.create(&instance("web", "web:1")).await;
    cloud.create(&instance_snapshot("before", "web")).await;
    cloud.create(&volume("data", "64Mi")).await;
    cloud.create(&snapshot("before", "data")).await;
    cloud.until_ready::<InstanceSnapshot>("before").await;
    cloud.until_ready::<VolumeSnapshot>("before").await;
    // As a restore of an older backup does it: no controller sees them go.
    cloud.kill();
    lose::<InstanceSnapshot>(&cloud, "before").await;
    lose::<VolumeSnapshot>(&cloud, "before").await;
    lose::<Volume>(&cloud, "data").await;
    lose::<Instance>(&cloud, "web").await;
    for _ in 0..3 {
        cloud.start();
        cloud.pass(Duration::from_secs(7200)).await;
        cloud.kill();
    }
    let left = listed(&cloud).await;
    let told: Vec<String> = left.iter().map(|orphan| orphan.owner.to_string()).collect();
    let expected = ["InstanceSnapshot/default/before", "Volume/default/data", "VolumeSnapshot/default/before"];
    assert_eq!(told, expected);
    assert!(left.iter().all(|orphan| orphan.retained), "{left:?}");
    assert!(!cloud.engine.state(INSTALLATION).contains("machine Instance"), "a machine is no data, and is swept");
    let service = cloud.orphans(&Tripwire::default());
    for (orphan, others) in left.iter().zip((0..3).rev()) {
        service.purge(orphan.owner.uid).await.expect("it is nobody's");
        assert_eq!(listed(&cloud).await.len(), others);
    }
}

/// Has an object vanish without a word to its controller.
async fn lose<K>(cloud: &Cloud, name: &str)
where
    K: controller_simulation::Reached + Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    cloud.change::<K>(name, serde_json::json!({"metadata": {"finalizers": null}})).await;
    cloud.api::<K>().delete(name, &DeleteParams::default()).await.expect("the deletion is accepted");
    cloud.until_gone::<K>(name).await;
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_does_not_answer_is_told_of_and_nothing_less_is_shown() {
    let cloud = running_cloud().await;
    let uid = leave_volume(&cloud, "kept").await;
    cloud.engine.fail_always(Operation::ListMachineSnapshots, FaultKind::Unavailable);
    let service = cloud.orphans(&Tripwire::default());
    let error = service.list().await.expect_err("one of them does not answer");
    assert_eq!(error.to_string(), "list the InstanceSnapshots' data");
    assert!(service.purge(uid).await.is_err() && service.adopt(uid, &Adoption::default()).await.is_err());
    cloud.engine.clear_faults();
    assert_eq!(listed(&cloud).await.len(), 1);
}
