//! Docker runs containers in a user namespace: their root is somebody without rights on the host. The daemon is the test's
//! own.

use std::fs;

use e2e::{Cloud, condition, docker_is_there, run, skip_unless};

use crate::machine::{documents, sleeper, volume};
use crate::own_docker::Daemon;
use crate::storage::shell;

/// Who root of a container is on the host.
const ROOT: u32 = 1_300_000;

/// The ids that the host gives to containers, in place of those that it has in its files while this is there.
struct SubordinateIds {
    _file: tempfile::NamedTempFile,
}

impl SubordinateIds {
    const FILES: [&str; 2] = ["/etc/subuid", "/etc/subgid"];

    fn are_there() -> bool {
        Self::FILES.iter().all(|file| fs::exists(file).unwrap_or_default())
    }

    fn lay_over() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("nobody:{ROOT}:65536\nnogroup:{ROOT}:65536\n")).unwrap();
        let path = file.path().to_str().unwrap();
        for place in Self::FILES {
            let _ = run("mount", ["--bind", path, place], "").ok();
        }
        Self { _file: file }
    }
}

impl Drop for SubordinateIds {
    fn drop(&mut self) {
        run("umount", Self::FILES, "");
    }
}

#[test]
fn machines_have_their_volumes_and_secrets_where_root_in_a_container_is_nobody_on_the_host() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    skip_unless!(SubordinateIds::are_there(), "the host gives nobody any more ids: /etc/subuid is missing");
    let ids = SubordinateIds::lay_over();
    let daemon = Daemon::start("{\"userns-remap\": \"nobody:nogroup\"}");
    // They are read at the start only.
    drop(ids);
    let cloud = Cloud::builder().docker(daemon.docker()).start();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {word: open sesame}\n";
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata: {motto: hello}\n";
    let block = "apiVersion: thecloud.dev/v1alpha1\nkind: Volume\nmetadata: {name: disk}\nspec: {size: 32Mi, volumeMode: Block}\n";
    let with_device = sleeper("raw", "volumes: [{mountPath: /dev/data, volume: disk}]");
    let machine = sleeper(
        "web",
        "env: [{name: WORD, valueFrom: {secretKeyRef: {name: key, key: word}}}]\nvolumes:\n\
         - {mountPath: /data, volume: data}\n- {mountPath: /key, secret: key}\n\
         - {mountPath: /config, configMap: config}",
    );
    cloud.apply(&documents(&[
        secret.to_owned(),
        config.to_owned(),
        block.to_owned(),
        volume("data", "32Mi"),
        machine,
        with_device,
    ]));
    cloud.await_ready("instances", "web");

    let root = format!("0 {ROOT} 65536");
    let map = shell(&cloud, "web", "cat /proc/self/uid_map");
    assert_eq!(map.split_whitespace().collect::<Vec<_>>().join(" "), root);
    let read = shell(&cloud, "web", "echo $WORD; cat /key/word; echo; cat /config/motto");
    assert_eq!(read.trim_end(), "open sesame\nopen sesame\nhello");
    let written = shell(&cloud, "web", "echo kept > /data/file && cat /data/file && stat -c %u /data");
    assert_eq!(written, "kept\n0\n");
    let refused = cloud.await_object("instances", "raw", "to say what can't be had", |raw| {
        condition(raw, "Ready")["reason"] == "Invalid"
    });
    let message = condition(&refused, "Ready")["message"].clone();
    assert!(message.as_str().is_some_and(|message| message.contains("they get no Block Volume")), "{message}");

    let _ = cloud.cloudctl(&["delete", "inst", "web", "raw"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data", "disk"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "default"]).ok();
    assert_eq!(cloud.leftovers(), Vec::<String>::new());
}
