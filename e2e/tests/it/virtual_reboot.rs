//! A host with virtual machines is switched off: its guests, both daemons, mounts, loop devices, bridges and rules of the
//! packet filter are gone at once. What comes back is the same.

use e2e::{condition, eventually, eventually_within, run};

use crate::machine::{documents, sleeper, volume, vpc};
use crate::own_docker::Daemon;
use crate::own_host::on_a_host_of_its_own;
use crate::own_libvirt::Libvirtd;
use crate::reboot::{mounts_and_devices, switch_off};
use crate::virtual_disks::{block, read, user, write};
use crate::virtual_machine::{BOOT, IMAGE, SKIPPED, boots, builder, domain, page};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: hush\nstringData:\n  key: hushed\n";

/// A machine with a Volume of each kind and a Secret, which writes once and serves what it has.
fn keeper() -> String {
    let mounts = "{mountPath: /dev/data, volume: data}\n  - {mountPath: /files, volume: files}\n  - {mountPath: /hush, secret: hush}";
    let tell =
        format!("printf '%s\\n' '#!/bin/sh' echo 'disk=$(disk data)' '{}' > /www/cgi-bin/disk", read("$disk", 8));
    let written = write("$disk", 8, "precious");
    user(
        "keeper",
        mounts,
        &[
            "mkdir -p /www/cgi-bin",
            &tell,
            "chmod 755 /www/cgi-bin/disk",
            &written,
            "echo kept > /files/kept",
            "ln -s /files /www/files",
            "ln -s /hush /www/hush",
            "sync",
            "echo written > /www/done",
            "sync",
        ],
    )
}

#[test]
fn after_a_reboot_virtual_machines_are_the_same_and_have_their_data() {
    let Some((builder, _images)) = builder() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let test = "virtual_reboot::after_a_reboot_virtual_machines_are_the_same_and_have_their_data";
    on_a_host_of_its_own(test, |namespace| {
        let mut docker = Daemon::start_in(namespace, "{}");
        let mut libvirt = Libvirtd::start();
        let mut cloud = builder.docker(docker.docker()).libvirt(libvirt.libvirt()).start();
        let files = volume("files", "32Mi");
        let all = [IMAGE.to_owned(), vpc("lab"), SECRET.to_owned(), block("32Mi"), files, keeper()];
        cloud.apply(&documents(&all));
        cloud.apply(&sleeper("neighbour", "vpc: lab"));
        let before = eventually_within(BOOT, "the machine to run", || {
            let keeper = cloud.object("instances", "keeper");
            if condition(&keeper, "Ready")["status"] == "True" { Ok(keeper) } else { Err(keeper) }
        });
        cloud.await_ready("instances", "neighbour");
        assert_eq!(boots(&before), 1);
        let ip = before["status"]["ip"].as_str().expect("an address").to_owned();
        let is_there = || {
            for (path, content) in [
                ("done", "written\n"),
                ("files/kept", "kept\n"),
                ("cgi-bin/disk", "precious\n"),
                ("hush/key", "hushed"),
            ] {
                eventually(&format!("{path} to be served"), || {
                    let found = page(&ip, path);
                    if found == content { Ok(()) } else { Err(found) }
                });
            }
        };
        is_there();
        let devices = mounts_and_devices(&cloud).len();

        cloud.kill();
        libvirt.switch_off();
        switch_off(&mut cloud);
        docker.kill();
        let forget = "nft flush ruleset; for link in $(ip -o link show type bridge | cut -d: -f2); do ip link delete $link; done";
        let _ = run("sh", ["-c", forget], "").ok();
        assert_eq!(libvirt.processes(&domain(&before)), Vec::<String>::new());
        docker.launch();
        libvirt.switch_on();
        cloud.launch();

        let after = eventually_within(BOOT, "the guest to boot again", || {
            let keeper = cloud.object("instances", "keeper");
            let count = page(&ip, "boots").lines().filter(|line| *line == "boot").count();
            if count == 2 && condition(&keeper, "Ready")["status"] == "True" {
                Ok(keeper)
            } else {
                Err((count, keeper))
            }
        });
        assert_eq!((domain(&after), &after["status"]["ip"]), (domain(&before), &before["status"]["ip"]));
        is_there();
        assert_eq!(mounts_and_devices(&cloud).len(), devices, "as many as before: {:#?}", mounts_and_devices(&cloud));
        let url = format!("http://{ip}:8080/");
        eventually("its neighbour to reach it", || {
            let seen = cloud.cloudctl(&["exec", "neighbour", "--", "timeout", "5", "wget", "-qO-", &url]);
            if seen.stdout == "keeper\n" { Ok(()) } else { Err(seen) }
        });

        let _ = cloud.cloudctl(&["delete", "inst", "--all"]).ok();
        let _ = cloud.cloudctl(&["delete", "vol", "--all"]).ok();
        let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
        let _ = cloud.cloudctl(&["delete", "vpc", "--all"]).ok();
        eventually("nothing to be left", || {
            let left = cloud.leftovers();
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
    });
}
