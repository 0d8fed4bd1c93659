//! Block Volumes in virtual machines: disks of their own, with the data that a container sees too.

use e2e::{eventually, eventually_within};

use crate::machine::{documents, sleeper, volume, vpc};
use crate::storage::shell;
use crate::virtual_machine::{BOOT, IMAGE, SKIPPED, boots, cloud, machine, page};

/// The disk of this serial: the test's guest has no udev, which makes `/dev/disk/by-id`.
const FIND: &str = "'#!/bin/sh' 'for disk in /sys/block/vd*; do [ \"$(cat $disk/serial)\" = \"$1\" ] && echo /dev/${disk##*/}; \
                    done' > /bin/disk";

/// A virtual machine with a disk, which does this once it has booted; `$disk` is where the disk is.
pub(crate) fn user(name: &str, mount: &str, does: &[&str]) -> String {
    let mut yaml = machine(name).replace("  vpc: lab\n", &format!("  vpc: lab\n  volumes:\n  - {mount}\n"));
    yaml += &format!("        - printf '%s\\n' {FIND}\n        - chmod 755 /bin/disk\n        - disk=$(disk data)\n");
    for command in does {
        yaml += &format!("        - {command}\n");
    }
    yaml
}

pub(crate) fn block(size: &str) -> String {
    volume("data", size) + "  volumeMode: Block\n"
}

pub(crate) fn read(device: &str, block: u32) -> String {
    format!("dd if={device} bs=512 skip={block} count=1 2>/dev/null | head -n 1")
}

pub(crate) fn write(device: &str, block: u32, words: &str) -> String {
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

/// A virtual machine that tells at `cgi-bin/disk` what it has of the Volume now: its size, and a line; and which boot this is.
fn teller(volumes: &str, power: &str) -> String {
    let tells = "'#!/bin/sh' echo 'cat /proc/sys/kernel/random/boot_id' 'disk=$(disk data)' '[ -n \"$disk\" ] || exit 0' \
                 'cat /sys/block/${disk##*/}/size' 'dd if=$disk bs=512 skip=8 count=1 2>/dev/null | head -n 1'";
    machine("vm").replace("  vpc: lab\n", &format!("  vpc: lab\n  powerState: {power}\n{volumes}"))
        + &format!(
            "        - printf '%s\\n' {FIND}\n        - mkdir -p /www/cgi-bin\n        - printf '%s\\n' {tells} > \
             /www/cgi-bin/disk\n        - chmod 755 /bin/disk /www/cgi-bin/disk\n        - ln -s /settings /www/settings\n"
        )
}

#[test]
fn a_volume_is_plugged_into_a_running_virtual_machine_and_out_of_it_again() {
    let Some((cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let mount = "{mountPath: /dev/data, volume: data}";
    let with_data = format!("vpc: lab\nvolumes:\n- {mount}");
    let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n".to_owned();
    let all =
        [IMAGE.to_owned(), vpc("lab"), settings, block("32Mi"), sleeper("first", &with_data), teller("", "Running")];
    cloud.apply(&documents(&all));
    cloud.await_ready("instances", "first");
    shell(&cloud, "first", &write("/dev/data", 8, "from-the-container"));
    let vm = eventually_within(BOOT, "the machine to run", || {
        let vm = cloud.object("instances", "vm");
        if e2e::condition(&vm, "Ready")["status"] == "True" { Ok(vm) } else { Err(vm) }
    });
    boots(&vm);
    let ip = vm["status"]["ip"].as_str().expect("an address").to_owned();
    let told = || page(&ip, "cgi-bin/disk").lines().map(str::to_owned).collect::<Vec<_>>();
    let boot = told();
    assert_eq!(boot.len(), 1, "{boot:?}");
    let await_told = |size: u64| {
        let wanted = [boot[0].clone(), (size / 512).to_string(), "from-the-container".to_owned()];
        eventually("the guest to see the Volume", || if told() == wanted { Ok(()) } else { Err(told()) });
    };
    let await_reason = |name: &str, reason: &str| {
        cloud.await_object("instances", name, reason, |object| e2e::condition(object, "Ready")["reason"] == reason)
    };

    // It waits for whoever has it, and runs on; then it has it, without a restart.
    cloud.apply(&teller(&format!("  volumes:\n  - {mount}\n"), "Running"));
    await_reason("vm", "VolumeInUse");
    assert_eq!(told(), boot);
    let _ = cloud.cloudctl(&["delete", "inst", "first"]).ok();
    cloud.await_ready("instances", "vm");
    await_told(32 << 20);
    cloud.apply(&block("64Mi"));
    await_told(64 << 20);
    assert_eq!(cloud.object("volumes", "data")["status"]["attachedTo"][0], "vm");

    // A guest that is frozen lets go of nothing, and so nobody else gets it.
    cloud.apply(&teller("", "Paused"));
    let pending = await_reason("vm", "DetachPending");
    assert_eq!(pending["status"]["volumes"][0], "data");
    cloud.apply(&sleeper("next", &with_data));
    await_reason("next", "VolumeInUse");
    assert_eq!(cloud.object("volumes", "data")["status"]["attachedTo"][0], "vm");
    cloud.apply(&teller("", "Running"));
    cloud.await_ready("instances", "vm");
    cloud.await_ready("instances", "next");
    assert_eq!(shell(&cloud, "next", &read("/dev/data", 8)).trim(), "from-the-container");
    assert_eq!(told(), boot, "without a restart");
    let events = cloud.cloudctl(&["get", "events"]).ok();
    assert!(events.contains("VolumeAttached") && events.contains("VolumeDetached"), "{events}");

    // What can't be plugged in waits for the next start, and says so.
    cloud.apply(&teller("  volumes:\n  - {mountPath: /settings, configMap: settings}\n", "Running"));
    let waiting = await_reason("vm", "RestartNeeded");
    let message = e2e::condition(&waiting, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("`/settings`") && message.contains("cloudctl restart vm"), "{message}");
    assert_eq!(told(), boot);
    let _ = cloud.cloudctl_for(120, &["restart", "vm"], "").ok();
    eventually_within(BOOT, "the guest to mount it", || match page(&ip, "settings/colour").as_str() {
        "blue" => Ok(()),
        other => Err(other.to_owned()),
    });
    let _ = cloud.cloudctl(&["delete", "inst", "vm", "next"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "lab"]).ok();
    eventually("nothing to be left", || {
        let left = cloud.leftovers();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}
