//! Changed YAML becomes changed machines: in place where that is possible, by replacement where it is not.

use e2e::{Cloud, docker_is_there, skip_unless};

use crate::machine::{documents, sleeper, volume};

#[test]
fn cpu_and_memory_change_in_place() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");
    let container = cloud.container("web");

    cloud.apply(&sleeper("web", "resources: {cpu: 100m, memory: 48Mi}"));
    let web = cloud.await_ready("instances", "web");
    assert_eq!(cloud.container("web"), container);
    let limits = cloud
        .docker()
        .call(&[
            "inspect",
            "--format",
            "{{.HostConfig.CpuQuota}}/{{.HostConfig.CpuPeriod}} {{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.RestartCount}}",
            &container,
        ])
        .ok();
    assert_eq!(limits.trim(), format!("10000/100000 {} {} 0", 48 << 20, 48 << 20));
    assert_eq!(web["status"]["resources"]["memory"], "48Mi");
    assert_eq!(web["status"]["restartCount"].as_i64().unwrap_or(0), 0);
}

#[test]
fn a_changed_machine_is_replaced_and_keeps_address_name_and_data() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let spec = "volumes: [{volume: data, mountPath: /data}]";
    cloud.apply(&documents(&[volume("data", "32Mi"), sleeper("web", spec)]));
    let before = cloud.await_ready("instances", "web");
    let container = cloud.container("web");
    let _ = cloud.cloudctl(&["exec", "web", "--", "sh", "-c", "echo kept > /data/file"]).ok();

    cloud.apply(&sleeper("web", &format!("{spec}\nenv: [{{name: COLOUR, value: blue}}]")));
    let after = cloud.await_ready("instances", "web");
    let replaced = cloud.container("web");
    assert_ne!(replaced, container);
    assert_eq!(after["status"]["ip"], before["status"]["ip"]);
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    let kept = cloud.cloudctl(&["exec", "web", "--", "sh", "-c", "cat /data/file; echo $COLOUR; hostname"]).ok();
    assert_eq!(kept, "kept\nblue\nweb\n");
}

#[test]
fn writing_past_the_size_of_a_volume_fails_as_on_a_full_disk() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let spec = "volumes: [{volume: data, mountPath: /data}]";
    cloud.apply(&documents(&[volume("data", "32Mi"), sleeper("web", spec)]));
    cloud.await_ready("instances", "web");
    let said =
        cloud.cloudctl(&["exec", "web", "--", "dd", "if=/dev/zero", "of=/data/big", "bs=1M", "count=64"]).failed();
    assert!(said.contains("No space left on device"), "{said}");
    let listed = cloud.cloudctl(&["exec", "web", "--", "ls", "/data"]).ok();
    assert_eq!(listed, "big\n", "lost+found doesn't show");
}

#[test]
fn a_stopped_machine_is_ready_and_starts_again() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");
    cloud.apply(&sleeper("web", "powerState: Stopped"));
    let stopped = cloud.await_ready("instances", "web");
    assert_eq!(stopped["status"]["phase"], "Stopped");
    assert_eq!(e2e::condition(&stopped, "Ready")["reason"], "Stopped");
    cloud.apply(&sleeper("web", "powerState: Running"));
    assert_eq!(cloud.await_ready("instances", "web")["status"]["phase"], "Running");
}
