//! Block Volumes in virtual machines: disks of their own, with the data that a container sees too.

use e2e::{eventually, eventually_within};

use crate::machine::{documents, sleeper, volume, vpc};
use crate::storage::shell;
use crate::virtual_machine::{BOOT, IMAGE, SKIPPED, boots, cloud, machine, page};

/// The disk of this serial: the test's guest has no udev, which makes `/dev/disk/by-id`.
const FIND: &str = "'#!/bin/sh' 'for disk in /sys/block/vd*; do [ \"$(cat $disk/serial)\" = \"$1\" ] && echo /dev/${disk##*/}; \
                    done' > /bin/disk";

/// A virtual machine with a disk, which does this once it has booted; `$disk` is where the disk is.
fn user(name: &str, mount: &str, does: &[&str]) -> String {
    let mut yaml = machine(name).replace("  vpc: lab\n", &format!("  vpc: lab\n  volumes:\n  - {mount}\n"));
    yaml += &format!("        - printf '%s\\n' {FIND}\n        - chmod 755 /bin/disk\n        - disk=$(disk data)\n");
    for command in does {
        yaml += &format!("        - {command}\n");
    }
    yaml
}

fn block(size: &str) -> String {
    volume("data", size) + "  volumeMode: Block\n"
}

fn read(device: &str, block: u32) -> String {
    format!("dd if={device} bs=512 skip={block} count=1 2>/dev/null | head -n 1")
}

fn write(device: &str, block: u32, words: &str) -> String {
    format!("echo {words} | dd of={device} bs=512 seek={block} count=1 conv=sync,fsync 2>/dev/null")
}

#[test]
fn a_block_volume_moves_between_a_container_and_a_virtual_machine_with_its_data() {
    let Some((cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let mount = "{mountPath: /dev/data, volume: data}";
    let with_data = format!("vpc: lab\nvolumes:\n- {mount}");
    cloud.apply(&documents(&[IMAGE.to_owned(), vpc("lab"), block("32Mi"), sleeper("first", &with_data)]));
    cloud.await_ready("instances", "first");
    shell(&cloud, "first", &write("/dev/data", 8, "from-the-container"));
    let _ = cloud.cloudctl(&["delete", "inst", "first"]).ok();

    let found = format!("{} > /www/found", read("$disk", 8));
    let answer = write("$disk", 16, "from-the-machine");
    let size = "cat /sys/block/${disk##*/}/size > /www/size";
    cloud.apply(&user("second", mount, &[&found, &answer, size]));
    let second = eventually_within(BOOT, "the machine to run", || {
        let second = cloud.object("instances", "second");
        if e2e::condition(&second, "Ready")["status"] == "True" { Ok(second) } else { Err(second) }
    });
    boots(&second);
    let ip = second["status"]["ip"].as_str().expect("an address").to_owned();
    assert_eq!(page(&ip, "found"), "from-the-container\n");
    assert_eq!(page(&ip, "size").trim(), ((32 << 20) / 512).to_string());
    let _ = cloud.cloudctl(&["delete", "inst", "second"]).ok();

    // Only to be read: what is tried is refused by the disk itself.
    let tried = format!("{} || echo refused > /www/tried", write("$disk", 16, "overwritten"));
    let found = format!("{} > /www/found", read("$disk", 16));
    cloud.apply(&user("third", "{mountPath: /dev/data, volume: data, readOnly: true}", &[&tried, &found]));
    boots(&cloud.await_ready("instances", "third"));
    let ip = cloud.object("instances", "third")["status"]["ip"].as_str().expect("an address").to_owned();
    assert_eq!((page(&ip, "tried").as_str(), page(&ip, "found").as_str()), ("refused\n", "from-the-machine\n"));
    let _ = cloud.cloudctl(&["delete", "inst", "third"]).ok();

    // And back.
    cloud.apply(&sleeper("fourth", &with_data));
    cloud.await_ready("instances", "fourth");
    assert_eq!(shell(&cloud, "fourth", &read("/dev/data", 16)).trim(), "from-the-machine");
    let _ = cloud.cloudctl(&["delete", "inst", "fourth"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "lab"]).ok();
    eventually("nothing to be left", || {
        let left = cloud.leftovers();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}
