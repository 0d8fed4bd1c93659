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
