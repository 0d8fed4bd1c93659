//! A virtual machine's memory: more of it while it runs, where its guest takes it, and after a restart in any case.

use std::time::Instant;

use e2e::{Cloud, condition, eventually, eventually_within};
use serde_json::Value;

use crate::machine::{documents, vpc};
use crate::virtual_machine::{BOOT, IMAGE, SKIPPED, boots, cloud, machine, page};

/// A virtual machine that tells at `cgi-bin/memory` which boot this is and how many KiB its kernel has, and at `cgi-bin/reboot`
/// boots anew; `does` is what it does besides, once.
fn teller(memory: &str, does: &[&str]) -> String {
    let tells = "'#!/bin/sh' echo 'cat /proc/sys/kernel/random/boot_id' 'grep MemTotal /proc/meminfo'";
    let mut yaml = machine("vm")
        .replace("memory: 128Mi", memory)
        .replace("  vpc: lab\n", "  vpc: lab\n  volumes:\n  - {mountPath: /settings, configMap: settings}\n");
    yaml += &format!(
        "        - mkdir -p /www/cgi-bin\n        - printf '%s\\n' {tells} > /www/cgi-bin/memory\n        \
         - printf '%s\\n' '#!/bin/sh' echo 'reboot -f' > /www/cgi-bin/reboot\n        \
         - chmod 755 /www/cgi-bin/memory /www/cgi-bin/reboot\n        - ln -s /settings /www/settings\n"
    );
    for command in does {
        yaml += &format!("        - {command}\n");
    }
    yaml
}

const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n";

/// Which boot it is and the KiB that the guest's kernel has, once it tells.
fn told(ip: &str) -> (String, u64) {
    eventually_within(BOOT, "the guest to tell of its memory", || {
        let page = page(ip, "cgi-bin/memory");
        let mut lines = page.lines();
        let told = lines.next().zip(lines.next()).map(|(boot, total)| (boot.to_owned(), total.to_owned()));
        told.and_then(|(boot, total)| Some((boot, total.split_whitespace().nth(1)?.parse().ok()?))).ok_or(page)
    })
}

fn until_it_has(ip: &str, least_kib: u64) -> (String, u64) {
    eventually_within(BOOT, &format!("the guest to have {least_kib} KiB"), || match told(ip) {
        (boot, kib) if kib >= least_kib => Ok((boot, kib)),
        less => Err(less),
    })
}

fn patch(cloud: &Cloud, resources: &str) -> e2e::Output {
    let patch = format!("{{\"spec\":{{\"resources\":{resources}}}}}");
    cloud.kubectl(&["patch", "inst", "vm", "--type=merge", "-p", &patch])
}

fn memory(vm: &Value) -> &str {
    vm["status"]["resources"]["memory"].as_str().unwrap_or_default()
}

fn run_one(cloud: &Cloud, yaml: String) -> String {
    cloud.apply(&documents(&[IMAGE.to_owned(), vpc("lab"), SETTINGS.to_owned(), yaml]));
    let vm = eventually_within(BOOT, "the machine to run", || {
        let vm = cloud.object("instances", "vm");
        if condition(&vm, "Ready")["status"] == "True" { Ok(vm) } else { Err(vm) }
    });
    boots(&vm);
    vm["status"]["ip"].as_str().expect("an address").to_owned()
}

#[test]
fn memory_grows_while_the_machine_runs_and_shrinks_by_a_restart() {
    let Some((cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    cloud.apply("apiVersion: v1\nkind: ResourceQuota\nmetadata:\n  name: memory\nspec:\n  hard:\n    memory: 448Mi\n");
    let ip = run_one(&cloud, teller("memory: 192Mi, maxMemory: 640Mi", &[]));
    let (boot, before) = told(&ip);

    let refused = patch(&cloud, "{\"maxMemory\":\"64Mi\"}").failed();
    assert!(refused.contains("maxMemory is less than memory"), "{refused}");
    let refused = patch(&cloud, "{\"memory\":\"512Mi\"}").failed();
    assert!(refused.contains("exceeded quota: memory"), "{refused}");

    let begun = Instant::now();
    let _ = patch(&cloud, "{\"memory\":\"448Mi\"}").ok();
    let (same, after) = until_it_has(&ip, before + (240 << 10));
    eprintln!("patched to taken: {:?}; from {before} to {after} KiB", begun.elapsed());
    assert_eq!(same, boot, "without a reboot");
    let vm = cloud.await_ready("instances", "vm");
    assert_eq!(memory(&vm), "448Mi");
    assert_eq!(page(&ip, "settings/colour"), "blue", "what is shared is shared by way of any memory");

    // A guest that boots anew by itself has it again, and no less.
    let _ = page(&ip, "cgi-bin/reboot");
    eventually_within(BOOT, "another boot", || match told(&ip) {
        (now, _) if now != boot => Ok(()),
        (now, _) => Err(now),
    });
    let (boot, _) = until_it_has(&ip, after);
    cloud.await_ready("instances", "vm");

    let _ = patch(&cloud, "{\"memory\":\"192Mi\"}").ok();
    let waiting = cloud
        .await_object("instances", "vm", "to need a restart", |vm| condition(vm, "Ready")["reason"] == "RestartNeeded");
    let message = condition(&waiting, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("less memory") && message.contains("cloudctl restart vm"), "{message}");
    assert_eq!(told(&ip), (boot, after), "nothing has happened to it");
    let _ = cloud.cloudctl_for(120, &["restart", "vm"], "").ok();
    eventually_within(BOOT, "the guest to have less", || match told(&ip) {
        (_, kib) if kib <= before => Ok(()),
        other => Err(other),
    });
    assert_eq!(memory(&cloud.await_ready("instances", "vm")), "192Mi");
    let _ = cloud.cloudctl(&["delete", "inst", "vm"]).ok();
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "lab"]).ok();
    eventually("nothing to be left", || {
        let left = cloud.leftovers();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

#[test]
fn a_guest_that_takes_no_memory_is_waited_for_and_has_it_after_a_restart() {
    let Some((cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let ip = run_one(&cloud, teller("memory: 192Mi, maxMemory: 320Mi", &["rmmod virtio_mem"]));
    let (boot, before) = told(&ip);
    let _ = patch(&cloud, "{\"memory\":\"320Mi\"}").ok();
    let waiting = cloud.await_object("instances", "vm", "to wait for its guest", |vm| {
        condition(vm, "Ready")["reason"] == "MemoryPending"
    });
    assert_eq!(memory(&waiting), "192Mi");
    assert_eq!(told(&ip), (boot, before));
    let _ = cloud.cloudctl_for(120, &["restart", "vm"], "").ok();
    until_it_has(&ip, before + (120 << 10));
    assert_eq!(memory(&cloud.await_ready("instances", "vm")), "320Mi");
    let _ = cloud.cloudctl(&["delete", "inst", "vm"]).ok();
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
}
