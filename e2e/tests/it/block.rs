//! Volumes that machines get as a device.

use e2e::{Cloud, docker_is_there, skip_unless};

use crate::machine::{documents, sleeper, volume};
use crate::reboot::switch_off;
use crate::storage::shell;

fn block(name: &str) -> String {
    volume(name, "32Mi") + "  volumeMode: Block\n"
}

fn user(name: &str, volume: &str) -> String {
    sleeper(name, &format!("volumes:\n- name: data\n  mountPath: /dev/data\n  volume: {volume}"))
}

/// Writes a line to the device, and reads it back past every cache of this machine.
const WRITE: &str = "echo precious | dd of=/dev/data bs=512 seek=8 count=1 conv=sync,fsync 2>/dev/null";
const READ: &str = "dd if=/dev/data bs=512 skip=8 count=1 2>/dev/null | head -n 1";

#[test]
fn a_block_volume_is_a_device_that_grows_under_its_machine_and_keeps_its_data() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::start();
    cloud.apply(&documents(&[block("data"), block("spare"), user("web", "data"), user("other", "spare")]));
    cloud.await_ready("instances", "web");
    cloud.await_ready("instances", "other");
    assert_eq!(shell(&cloud, "web", "blockdev --getsize64 /dev/data").trim(), (32 << 20).to_string());
    shell(&cloud, "web", WRITE);
    shell(&cloud, "other", &WRITE.replace("precious", "spare"));
    let container = cloud.container("web");
    cloud.apply(&(volume("data", "64Mi") + "  volumeMode: Block\n"));
    cloud.await_object("volumes", "data", "to have grown", |volume| volume["status"]["size"] == "64Mi");
    assert_eq!(shell(&cloud, "web", "blockdev --getsize64 /dev/data").trim(), (64 << 20).to_string());
    assert_eq!(cloud.container("web"), container, "in place");
    let refused = cloud.cloudctl_with(&["apply", "-f", "-"], &volume("data", "64Mi").replace("64Mi", "16Mi")).failed();
    assert!(refused.contains("size can't shrink"), "{refused}");

    // After a reboot the devices have other numbers; each machine has its own data all the same.
    switch_off(&mut cloud);
    cloud.launch();
    for (name, content) in [("web", "precious"), ("other", "spare")] {
        e2e::eventually("the data", || {
            let read = cloud.cloudctl(&["exec", name, "--", "sh", "-c", READ]);
            if read.stdout.trim() == content { Ok(()) } else { Err(read.to_string()) }
        });
    }

    // A copy in use, and the data in another machine.
    cloud.apply(&(block("copy").replace("32Mi", "64Mi") + "  source:\n    volume: data\n"));
    cloud.await_ready("volumes", "copy");
    let _ = cloud.cloudctl(&["delete", "inst", "web"]).ok();
    cloud.apply(&documents(&[user("next", "data"), user("copied", "copy")]));
    for name in ["next", "copied"] {
        cloud.await_ready("instances", name);
        assert_eq!(shell(&cloud, name, READ).trim(), "precious");
    }
    let _ = cloud.cloudctl(&["delete", "inst", "next", "copied", "other"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data", "copy", "spare"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "--all"]);
    assert_eq!(cloud.leftovers(), Vec::<String>::new());
}
