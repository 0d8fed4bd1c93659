//! What the disk of a machine held, and machines made from it.

use e2e::{Cloud, condition, docker_is_there, eventually, skip_unless};

use crate::machine::{documents, sleeper, vpc};
use crate::storage::shell;
use crate::virtual_machine::{self, IMAGE, SKIPPED, boots, domain, machine, page};

const SECRET: &str = "correct-horse-battery-staple";

pub(crate) fn snapshot(name: &str, instance: &str) -> String {
    format!(
        "apiVersion: thecloud.dev/v1alpha1\nkind: InstanceSnapshot\nmetadata:\n  name: {name}\nspec:\n  instance: {instance}\n"
    )
}

/// The same Instance, made from this snapshot instead.
pub(crate) fn restored(instance: &str, snapshot: &str) -> String {
    let line = instance.lines().find(|line| line.trim_start().starts_with("image: ")).expect("it has an image");
    instance.replace(line, &format!("  imageSnapshot: {snapshot}"))
}

/// An image of this kind made from a snapshot.
fn image(name: &str, kind: &str, snapshot: &str) -> String {
    format!(
        "apiVersion: thecloud.dev/v1alpha1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n  source:\n    snapshot: {snapshot}\n"
    )
}

/// Its deletion waits as long as this Instance is made from it.
fn is_kept_for(cloud: &Cloud, name: &str, user: &str) {
    let _ = cloud.cloudctl(&["delete", "isnap", name, "--wait=false"]).ok();
    cloud.await_object("instancesnapshots", name, "to say who uses it", |snapshot| {
        let ready = condition(snapshot, "Ready");
        ready["reason"] == "InUse" && ready["message"].as_str().is_some_and(|text| text.contains(user))
    });
}

#[test]
fn a_container_is_made_again_from_what_it_wrote_without_its_secrets() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: key\nstringData:\n  key: {SECRET}\n");
    let web = sleeper(
        "web",
        "env:\n- name: TOKEN\n  valueFrom: {secretKeyRef: {name: key, key: key}}\n\
         command: [sh, -c, \"echo $(TOKEN) > /dev/null; exec sleep 1000000\"]\n\
         volumes:\n- mountPath: /etc/key\n  secret: key",
    );
    // The copy is asked for first: it waits for what it is made from.
    let again = restored(&sleeper("again", ""), "before");
    cloud.apply(&documents(&[again, secret, web]));
    cloud.await_ready("instances", "web");
    let waiting = cloud.await_object("instances", "again", "to wait for the snapshot", |again| {
        condition(again, "Ready")["reason"] == "DependencyMissing"
    });
    let message = condition(&waiting, "Ready")["message"].as_str().unwrap_or_default();
    assert!(message.contains("InstanceSnapshot `before`"), "{message}");
    assert_eq!(shell(&cloud, "web", "echo $TOKEN; cat /etc/key/key").trim(), format!("{SECRET}\n{SECRET}"));

    shell(&cloud, "web", "echo old > /file");
    cloud.apply(&snapshot("before", "web"));
    let before = cloud.await_ready("instancesnapshots", "before");
    let status = &before["status"];
    assert_eq!((&status["readyToUse"], &status["consistency"]), (&true.into(), &"Frozen".into()), "{before}");
    shell(&cloud, "web", "echo new > /file");

    let image = status["imageId"].as_str().expect("it has an image").to_owned();
    for told in [vec!["image", "inspect", &image], vec!["history", "--no-trunc", &image]] {
        let told = cloud.docker().call(&told).ok();
        assert!(!told.contains(SECRET) && !told.contains("TOKEN"), "{told}");
    }
    cloud.await_ready("instances", "again");
    assert_eq!(shell(&cloud, "again", "cat /file; env | grep -c TOKEN; ls /etc/key").trim(), "old\n0");
    assert_eq!(shell(&cloud, "web", "cat /file").trim(), "new");

    // It outlives what it is of, also where cloudd is killed, and not what is made from it.
    let _ = cloud.cloudctl(&["delete", "inst", "web"]).ok();
    let mut cloud = cloud;
    cloud.kill();
    cloud.launch();
    cloud.await_ready("instancesnapshots", "before");
    is_kept_for(&cloud, "before", "again");
    let _ = cloud.cloudctl(&["delete", "inst", "again"]).ok();
    eventually("nothing of it to be left", || {
        let images = cloud
            .docker()
            .call(&[
                "images",
                "--quiet",
                "--filter",
                &format!("reference=*/instance-snapshot:{}", before["metadata"]["uid"].as_str().unwrap_or_default()),
            ])
            .stdout;
        let objects = cloud.cloudctl(&["get", "isnap"]).stdout;
        if images.is_empty() && objects.is_empty() { Ok(()) } else { Err((images, objects)) }
    });
}

#[test]
fn a_virtual_machine_is_made_again_from_its_disk_while_the_first_goes_on() {
    let Some((cloud, _images)) = virtual_machine::cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    cloud.apply(&documents(&[IMAGE.to_owned(), vpc("lab"), machine("vm")]));
    let vm = cloud.await_ready("instances", "vm");
    assert_eq!(boots(&vm), 1);
    cloud.apply(&snapshot("before", "vm"));
    let before = cloud.await_ready("instancesnapshots", "before");
    let status = &before["status"];
    assert_eq!((&status["readyToUse"], &status["consistency"]), (&true.into(), &"Crash".into()), "{before}");
    assert_eq!(status["diskSize"], "256Mi");
    let goes_on = cloud.object("instances", "vm");
    assert_eq!((domain(&goes_on), &goes_on["status"]["startedAt"]), (domain(&vm), &vm["status"]["startedAt"]));
    assert_eq!(boots(&vm), 1, "it serves as before");

    cloud.apply(&restored(&machine("again"), "before"));
    let again = cloud.await_ready("instances", "again");
    assert_eq!(boots(&again), 2, "its disk remembers the boot of the first");
    let address = again["status"]["ip"].as_str().expect("it has an address");
    assert_eq!(page(address, ""), "again\n", "it was told its own name at a first boot of its own");

    cloud.apply(&image("golden", "Image", "before"));
    cloud.apply(&image("for-all", "ClusterImage", "{namespace: default, name: before}"));
    let golden = cloud.await_ready("images", "golden");
    assert_eq!(golden["status"]["diskSize"], "256Mi");
    cloud.await_ready("clusterimages", "for-all");
    is_kept_for(&cloud, "before", "again");
    let _ = cloud.cloudctl(&["delete", "inst", "vm", "again"]).ok();
    // The images are their own: they outlive what they are made from.
    eventually("the snapshot to be gone", || {
        let snapshots = cloud.cloudctl(&["get", "isnap"]).stdout;
        if snapshots.is_empty() { Ok(()) } else { Err(snapshots) }
    });
    for (name, image) in [("third", "golden"), ("fourth", "for-all")] {
        cloud.apply(&machine(name).replace("image: tiny", &format!("image: {image}")));
        assert_eq!(boots(&cloud.await_ready("instances", name)), 2, "its disk remembers the boot of the first");
        let _ = cloud.cloudctl(&["delete", "inst", name]).ok();
    }
    let _ = cloud.cloudctl(&["delete", "image", "golden"]).ok();
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny", "for-all"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "lab"]).ok();
    eventually("nothing to be left", || {
        let (left, objects) =
            (cloud.leftovers(), cloud.cloudctl(&["get", "inst,isnap,vpc,images,clusterimages"]).stdout);
        if left.is_empty() && objects.is_empty() { Ok(()) } else { Err((left, objects)) }
    });
}
