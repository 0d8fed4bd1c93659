//! Data that outlives its object, until somebody adopts it or says that it may go.

use e2e::{Cloud, docker_is_there, eventually, skip_unless};
use serde_json::Value;

use crate::instance_snapshot::{restored, snapshot};
use crate::machine::{documents, sleeper, volume, vpc};
use crate::storage::{shell, user};
use crate::virtual_disks::{self, block, read, write};
use crate::virtual_machine::{self, IMAGE, SKIPPED, boots, page};

const BEFORE: &str = "apiVersion: thecloud.dev/v1alpha1\nkind: VolumeSnapshot\nmetadata:\n  name: before\nspec:\n  \
                      volume: data\n  deletionPolicy: Retain\n";

fn orphans(cloud: &Cloud) -> Vec<Value> {
    let told = cloud.cloudctl(&["admin", "orphans", "list", "-o", "json"]).ok();
    let told: Value = serde_json::from_str(&told).expect("-o json is JSON");
    told["items"].as_array().expect("a list").clone()
}

fn uid(orphan: &Value) -> &str {
    orphan["uid"].as_str().expect("it has a uid")
}

#[test]
fn retained_data_is_listed_adopted_under_another_name_and_purged() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::start();
    cloud.apply(&documents(&[volume("data", "32Mi") + "  deletionPolicy: Retain\n", user("web", "data")]));
    cloud.await_ready("instances", "web");
    shell(&cloud, "web", "echo precious > /data/file; sync");
    cloud.apply(BEFORE);
    cloud.await_ready("volumesnapshots", "before");
    assert_eq!(orphans(&cloud), Vec::<Value>::new());
    let _ = cloud.cloudctl(&["delete", "inst", "web"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
    let _ = cloud.cloudctl(&["delete", "vsnap", "before"]).ok();

    // It is found on the disk, not remembered.
    cloud.kill();
    cloud.launch();
    let left = orphans(&cloud);
    let told: Vec<_> = left.iter().map(|orphan| (orphan["of"].as_str(), orphan["name"].as_str())).collect();
    assert_eq!(told, [(Some("Volume"), Some("data")), (Some("VolumeSnapshot"), Some("before"))]);
    let table = cloud.cloudctl(&["admin", "orphans", "list"]).ok();
    assert!(table.contains(uid(&left[0])) && table.contains("32Mi") && table.contains("retained"), "{table}");

    // A tenant takes the snapshot over by its uid, in the same namespace.
    let (data, before) = (uid(&left[0]), uid(&left[1]));
    cloud.apply(&format!(
        "apiVersion: thecloud.dev/v1alpha1\nkind: VolumeSnapshot\nmetadata:\n  name: kept\nspec:\n  retained: {before}\n"
    ));
    cloud.await_ready("volumesnapshots", "kept");
    // An administrator brings the Volume's data elsewhere.
    let refused = cloud.cloudctl(&["admin", "orphans", "adopt", data, "-n", "team", "--name", "heir"]).failed();
    assert!(refused.contains("team"), "there is no such namespace: {refused}");
    cloud.apply("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: team\n");
    let _ = cloud.cloudctl(&["admin", "orphans", "adopt", data, "-n", "team", "--name", "heir"]).ok();
    let _ = cloud.cloudctl_with(&["apply", "-n", "team", "-f", "-"], &user("reader", "heir")).ok();
    let _ = cloud.cloudctl(&["wait", "-n", "team", "--for=condition=Ready", "--timeout=60s", "inst/reader"]).ok();
    let read = cloud.cloudctl(&["exec", "-n", "team", "reader", "--", "cat", "/data/file"]).ok();
    assert_eq!(read.trim(), "precious");
    assert_eq!(orphans(&cloud), Vec::<Value>::new());
    let refused = cloud.cloudctl(&["admin", "orphans", "purge", data]).failed();
    assert!(refused.contains("there is no data"), "{refused}");

    // What was adopted is retained again, and goes when it is purged.
    let heir = cloud.cloudctl(&["get", "-n", "team", "vol", "heir", "-o", "jsonpath={.metadata.uid}"]).ok();
    let refused = cloud.cloudctl(&["admin", "orphans", "purge", &heir]).failed();
    assert!(refused.contains("Volume `team/heir`"), "{refused}");
    let _ = cloud.cloudctl(&["delete", "namespace", "team"]).ok();
    assert_eq!(orphans(&cloud).iter().map(uid).collect::<Vec<_>>(), [heir.as_str()]);
    let gone = cloud.cloudctl(&["admin", "orphans", "purge", &heir]).ok();
    assert!(gone.contains("Volume team/heir"), "{gone}");
    let volumes = cloud.data_dir().join(cloud.installation()).join("volumes");
    assert_eq!(std::fs::read_dir(volumes).expect("the folder").count(), 0, "nothing is left of it");
}

#[test]
fn what_an_instance_had_written_outlives_its_snapshots_object_and_is_an_instance_again() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");
    shell(&cloud, "web", "echo precious > /file; sync");
    cloud.apply(&(snapshot("before", "web") + "  deletionPolicy: Retain\n"));
    cloud.await_ready("instancesnapshots", "before");
    let _ = cloud.cloudctl(&["delete", "inst", "web"]).ok();
    let _ = cloud.cloudctl(&["delete", "isnap", "before"]).ok();

    // It is found on the host, not remembered.
    cloud.kill();
    cloud.launch();
    let left = orphans(&cloud);
    let [orphan] = &left[..] else { panic!("there is one: {left:?}") };
    assert_eq!((&orphan["of"], &orphan["backend"]), (&"InstanceSnapshot".into(), &"docker".into()), "{orphan}");
    let table = cloud.cloudctl(&["admin", "orphans", "list"]).ok();
    assert!(table.contains(uid(orphan)) && table.contains("docker") && table.contains("retained"), "{table}");
    let _ = cloud.cloudctl(&["admin", "orphans", "adopt", uid(orphan), "--name", "heir"]).ok();
    cloud.apply(&restored(&sleeper("again", ""), "heir"));
    cloud.await_ready("instances", "again");
    assert_eq!(shell(&cloud, "again", "cat /file").trim(), "precious");
    assert_eq!(orphans(&cloud), Vec::<Value>::new());

    // What was adopted is retained again, and goes when it is purged.
    let heir = cloud.object("instancesnapshots", "heir")["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let refused = cloud.cloudctl(&["admin", "orphans", "purge", &heir]).failed();
    assert!(refused.contains("InstanceSnapshot `default/heir`"), "{refused}");
    let _ = cloud.cloudctl(&["delete", "inst", "again"]).ok();
    let _ = cloud.cloudctl(&["delete", "isnap", "heir"]).ok();
    let label = format!("label=thecloud.dev/installation={}", cloud.installation());
    let images = || cloud.docker().call(&["images", "--all", "--quiet", "--filter", &label]).ok();
    assert_ne!(images(), "", "it is still there");
    let _ = cloud.cloudctl(&["admin", "orphans", "purge", &heir]).ok();
    assert_eq!(images(), "", "nothing is left of it");
}

#[test]
fn what_a_virtual_machine_had_written_outlives_the_objects_and_another_one_boots_from_it() {
    let Some((mut cloud, _images)) = virtual_machine::cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let retain = "  deletionPolicy: Retain\n";
    let with_disk = |name: &str, does: &[&str]| virtual_disks::user(name, "{mountPath: /dev/data, volume: data}", does);
    let vm = with_disk("vm", &["echo precious > /www/file", &write("$disk", 8, "precious-too")]);
    cloud.apply(&documents(&[IMAGE.to_owned(), vpc("lab"), block("32Mi") + retain, vm]));
    assert_eq!(boots(&cloud.await_ready("instances", "vm")), 1);
    cloud.apply(&(snapshot("before", "vm") + retain));
    cloud.await_ready("instancesnapshots", "before");
    let _ = cloud.cloudctl(&["delete", "inst", "vm"]).ok();
    let _ = cloud.cloudctl(&["delete", "isnap", "before"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();

    // It is found on the host, not remembered.
    cloud.kill();
    cloud.launch();
    let of = |kind: &str| orphans(&cloud).into_iter().find(|orphan| orphan["of"] == kind).expect("it is an orphan");
    let (data, before) = (of("Volume"), of("InstanceSnapshot"));
    assert_eq!((&before["backend"], orphans(&cloud).len()), (&"libvirt".into(), 2), "{before}");
    let _ = cloud.cloudctl(&["admin", "orphans", "adopt", uid(&before), "--name", "heir"]).ok();
    cloud.apply(&(block("32Mi") + retain + &format!("  source:\n    retained: {}\n", uid(&data))));
    let found = format!("{} > /www/found", read("$disk", 8));
    cloud.apply(&restored(&with_disk("again", &[&found]), "heir"));
    let again = cloud.await_ready("instances", "again");
    assert_eq!(boots(&again), 2, "its disk remembers the boot of the first");
    let ip = again["status"]["ip"].as_str().expect("an address").to_owned();
    assert_eq!((page(&ip, "file").as_str(), page(&ip, "found").as_str()), ("precious\n", "precious-too\n"));
    assert_eq!(orphans(&cloud), Vec::<Value>::new());

    // What was adopted is retained again, and goes when it is purged.
    let _ = cloud.cloudctl(&["delete", "inst", "again"]).ok();
    let _ = cloud.cloudctl(&["delete", "isnap", "heir"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
    for orphan in [of("Volume"), of("InstanceSnapshot")] {
        let _ = cloud.cloudctl(&["admin", "orphans", "purge", uid(&orphan)]).ok();
    }
    assert_eq!(orphans(&cloud), Vec::<Value>::new());
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "lab"]).ok();
    eventually("nothing to be left", || {
        let left = cloud.leftovers();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

#[test]
fn a_volume_adopts_what_is_of_its_namespace_and_the_event_of_the_deletion_says_how() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::builder().fake().start();
    cloud.apply(&(volume("data", "32Mi") + "  deletionPolicy: Retain\n"));
    let uid = cloud.await_ready("volumes", "data")["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
    let events = cloud.cloudctl(&["events"]).ok();
    assert!(events.contains(&format!("source.retained: {uid}")), "{events}");
    let adopt = |name: &str, uid: &str| volume(name, "32Mi") + &format!("  source:\n    retained: {uid}\n");
    cloud.apply(&adopt("heir", &uid));
    cloud.await_ready("volumes", "heir");
    cloud.apply(&adopt("late", &uid));
    let late = cloud.await_object("volumes", "late", "to be told", |volume| {
        e2e::condition(volume, "Ready")["reason"] == "DependencyMissing"
    });
    let message = e2e::condition(&late, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains(&uid) && message.contains("cloudctl admin orphans list"), "{message}");
    let refused = cloud.cloudctl_with(&["apply", "-f", "-"], &adopt("wrong", "not-a-uid")).failed();
    assert!(refused.contains("retained"), "{refused}");
}
