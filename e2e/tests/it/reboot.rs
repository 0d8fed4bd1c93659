//! Everything that a host forgets when it is switched off: mounts, loop devices, running containers. It comes back with
//! cloudd, and nothing of it is left when what it was for is gone.

use std::fs;
use std::time::Duration;

use e2e::{Cloud, docker_is_there, run, skip_unless};

use crate::machine::{documents, volume};
use crate::storage::{shell, user};

/// The lines of a table that tell of something below a folder.
fn lines_about(table: &str, folder: &str) -> Vec<String> {
    table.lines().filter(|line| line.contains(folder)).map(str::to_owned).collect()
}

/// The mounts and loop devices of a cloud.
pub(crate) fn mounts_and_devices(cloud: &Cloud) -> Vec<String> {
    let folder = cloud.data_dir().display().to_string();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the table of mounts");
    let mut found = lines_about(&mounts, &folder);
    found.extend(lines_about(&run("losetup", ["--list", "--output", "NAME,BACK-FILE"], "").ok(), &folder));
    found
}

/// Takes away what a reboot takes away.
pub(crate) fn switch_off(cloud: &mut Cloud) {
    cloud.kill();
    for container in cloud.docker().containers(&cloud.installation()) {
        let _ = cloud.docker().call(&["kill", &container]);
    }
    let folder = cloud.data_dir().display().to_string();
    let table = fs::read_to_string("/proc/self/mountinfo").expect("the table of mounts");
    for line in lines_about(&table, &folder).iter().rev() {
        let point = line.split(' ').nth(4).expect("where it is mounted");
        let _ = run("umount", [point], "").ok();
    }
    // The machines of other tests may have copies of the mounts, where those of the host are private, while they start.
    e2e::eventually_within(Duration::from_secs(180), "everything to be taken away", || {
        let table = run("losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"], "").ok();
        for line in lines_about(&table, &folder) {
            let device = line.split_whitespace().next().expect("a device").to_owned();
            let _ = run("losetup", ["--detach", &device], "");
        }
        let left = mounts_and_devices(cloud);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

#[test]
fn after_a_reboot_machines_and_their_data_come_back() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::start();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: key\nstringData:\n  key: hush\n".to_owned();
    let web = user("web", "data") + "  - name: key\n    mountPath: /key\n    secret: key\n";
    cloud.apply(&documents(&[secret, volume("data", "32Mi"), volume("spare", "32Mi"), web, user("other", "spare")]));
    for name in ["web", "other"] {
        cloud.await_ready("instances", name);
        shell(&cloud, name, &format!("echo {name} > /data/file; sync"));
    }
    let devices = mounts_and_devices(&cloud).len();
    for _ in 0..2 {
        switch_off(&mut cloud);
        cloud.launch();
        for name in ["web", "other"] {
            cloud.await_object("instances", name, "to run again", |instance| {
                e2e::condition(instance, "Ready")["status"] == "True" && instance["status"]["phase"] == "Running"
            });
            e2e::eventually("the data", || {
                let read = cloud.cloudctl(&["exec", name, "--", "cat", "/data/file"]);
                if read.stdout.trim() == name { Ok(()) } else { Err(read.to_string()) }
            });
        }
        assert_eq!(shell(&cloud, "web", "cat /key/key"), "hush");
        assert_eq!(mounts_and_devices(&cloud).len(), devices, "as many as before: {:#?}", mounts_and_devices(&cloud));
    }
}

#[test]
fn when_everything_is_deleted_no_mount_device_or_file_is_left() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::start();
    let snapshot = "apiVersion: thecloud.dev/v1alpha1\nkind: VolumeSnapshot\nmetadata:\n  name: before\nspec:\n  \
                    volume: data\n"
        .to_owned();
    let copy = volume("copy", "48Mi") + "  source:\n    snapshot: before\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: key\nstringData:\n  key: hush\n".to_owned();
    let web = user("web", "data") + "  - name: key\n    mountPath: /key\n    secret: key\n";
    let all = documents(&[secret, volume("data", "32Mi"), snapshot, copy, web, user("reader", "copy")]);
    cloud.apply(&all);
    cloud.await_ready("instances", "web");
    cloud.await_ready("instances", "reader");
    // Grown, crashed and rebooted on the way: each leaves something to clear up.
    cloud.apply(&volume("data", "64Mi"));
    cloud.kill();
    cloud.launch();
    switch_off(&mut cloud);
    cloud.launch();
    cloud.await_ready("volumesnapshots", "before");
    let _ = cloud.cloudctl_with(&["delete", "--wait=false", "-f", "-"], &all).ok();
    cloud.kill();
    cloud.launch();
    e2e::eventually("everything to be gone", || {
        let objects = cloud.cloudctl(&["get", "inst,vol,vsnap"]).stdout;
        if objects.is_empty() { Ok(()) } else { Err(objects) }
    });
    let _ = cloud.cloudctl(&["delete", "vpc", "--all"]);
    assert_eq!(cloud.leftovers(), Vec::<String>::new());
    let root = cloud.data_dir().join(cloud.installation());
    for folder in ["volumes", "snapshots"] {
        let left: Vec<_> =
            fs::read_dir(root.join(folder)).expect("the folder").map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
