//! Data that is copied while it is in use.

use e2e::{Cloud, docker_is_there, skip_unless};

use crate::machine::{documents, sleeper, volume};

const SNAPSHOT: &str = "apiVersion: thecloud.dev/v1alpha1\nkind: VolumeSnapshot\nmetadata:\n  name: before\nspec:\n  \
                        volume: data\n";
const COPIES: &str = "apiVersion: thecloud.dev/v1alpha1
kind: Volume
metadata:
  name: restored
spec:
  size: 96Mi
  source:
    snapshot: before
---
apiVersion: thecloud.dev/v1alpha1
kind: Volume
metadata:
  name: cloned
spec:
  size: 64Mi
  source:
    volume: data
";

pub(crate) fn user(name: &str, volume: &str) -> String {
    sleeper(name, &format!("volumes:\n- name: data\n  mountPath: /data\n  volume: {volume}"))
}

pub(crate) fn shell(cloud: &Cloud, instance: &str, script: &str) -> String {
    cloud.cloudctl(&["exec", instance, "--", "sh", "-c", script]).ok()
}

#[test]
fn a_snapshot_taken_in_use_is_restored_with_the_old_data_and_outlives_its_volume() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    // The copies are asked for first: they wait for what they are made from.
    cloud.apply(&documents(&[COPIES.to_owned(), user("web", "data"), user("old", "restored"), user("new", "cloned")]));
    let waits = |volume: &serde_json::Value| e2e::condition(volume, "Ready")["reason"] == "DependencyMissing";
    cloud.await_object("volumes", "restored", "to wait for the snapshot", waits);
    cloud.await_object("volumes", "cloned", "to wait for the volume", waits);
    cloud.apply(&volume("data", "64Mi"));
    cloud.await_ready("instances", "web");
    cloud.await_ready("instances", "new");
    assert_eq!(shell(&cloud, "new", "ls /data").trim(), "", "a copy of what was empty");
    shell(&cloud, "web", "echo old > /data/file; sync");
    cloud.apply(SNAPSHOT);
    let before = cloud.await_ready("volumesnapshots", "before");
    assert_eq!((&before["status"]["readyToUse"], &before["status"]["size"]), (&true.into(), &"64Mi".into()));
    shell(&cloud, "web", "echo new > /data/file; sync");

    cloud.await_ready("volumes", "restored");
    cloud.await_ready("instances", "old");
    assert_eq!(shell(&cloud, "old", "cat /data/file").trim(), "old");
    assert_eq!(shell(&cloud, "web", "cat /data/file").trim(), "new");

    let _ = cloud.cloudctl(&["delete", "inst", "web", "new"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data", "cloned"]).ok();
    cloud.await_ready("volumesnapshots", "before");
    assert_eq!(shell(&cloud, "old", "cat /data/file").trim(), "old");
}

#[test]
fn where_no_file_can_be_mounted_a_directory_serves_and_the_volume_says_so() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    // As root without the capability that mounting takes: what a container without privileges is.
    let less = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--ambient-caps=-sys_admin"];
    let mut cloud = Cloud::builder().through(&less).start();
    cloud.apply(&documents(&[volume("data", "16Mi") + "  deletionPolicy: Retain\n", user("web", "data")]));
    cloud.await_ready("instances", "web");
    let data = cloud.await_ready("volumes", "data");
    let told = e2e::condition(&data, "SizeEnforced");
    assert_eq!((&told["status"], &told["reason"]), (&"False".into(), &"NoLoopMount".into()));
    let message = told["message"].as_str().unwrap_or_default();
    assert!(message.contains("can't mount a file (mount:"), "{message}");
    assert!(cloud.cloudctl(&["events"]).ok().contains("SizeNotEnforced"));
    shell(&cloud, "web", "echo precious > /data/file; dd if=/dev/zero of=/data/more bs=1M count=32; sync");

    // It stays what it is, and grows in name.
    cloud.kill();
    cloud.launch();
    cloud.apply(&volume("data", "32Mi"));
    let _ = cloud.cloudctl(&["patch", "vol", "data", "-p", r#"{"spec":{"deletionPolicy":"Retain"}}"#]).ok();
    cloud.await_object("volumes", "data", "to have grown", |volume| volume["status"]["size"] == "32Mi");
    cloud.apply(SNAPSHOT);
    let refused = cloud.await_object("volumesnapshots", "before", "to be refused", |snapshot| {
        e2e::condition(snapshot, "Stalled")["status"] == "True"
    });
    let message = e2e::condition(&refused, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("plain directory"), "{message}");
    let _ = cloud.cloudctl(&["delete", "vsnap", "before"]).ok();

    let uid = data["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let _ = cloud.cloudctl(&["delete", "inst", "web"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
    let _ = cloud.cloudctl(&["admin", "orphans", "adopt", &uid, "--name", "heir"]).ok();
    cloud.apply(&user("reader", "heir"));
    cloud.await_ready("instances", "reader");
    assert_eq!(shell(&cloud, "reader", "cat /data/file").trim(), "precious");
    let _ = cloud.cloudctl(&["delete", "inst", "reader"]).ok();
    let _ = cloud.cloudctl(&["patch", "vol", "heir", "-p", r#"{"spec":{"deletionPolicy":"Delete"}}"#]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "heir"]).ok();
    let volumes = cloud.data_dir().join(cloud.installation()).join("volumes");
    assert_eq!(std::fs::read_dir(volumes).expect("the folder").count(), 0, "nothing is left of it");
}
