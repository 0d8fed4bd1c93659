//! The disk that a cloud keeps everything on is full, and then it is not any more.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use e2e::{Cloud, docker_is_there, skip_unless};

use crate::machine::{documents, volume};
use crate::storage::{shell, user};

fn note(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  text: \"{}\"\n", "x".repeat(20_000))
}

/// Takes every byte that is left.
fn fill(folder: &Path) {
    let mut filler = fs::File::create(folder.join("filler")).expect("a file");
    for size in [1 << 20, 4096, 1] {
        while filler.write_all(&vec![1; size]).is_ok() {}
    }
    let _ = filler.sync_all();
}

#[test]
fn a_full_disk_refuses_writes_with_its_name_and_everything_goes_on_when_there_is_room() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::builder().small_disk(192 << 20).start();
    cloud.apply(&documents(&[volume("data", "32Mi"), user("web", "data")]));
    cloud.await_ready("instances", "web");
    shell(&cloud, "web", "echo precious > /data/file; sync");
    fill(&cloud.data_dir());

    // What is acknowledged is kept; the rest is refused by name, and reading goes on.
    let mut acknowledged = Vec::new();
    let refused = (0..400)
        .find_map(|number| {
            let name = format!("note-{number}");
            let told = cloud.cloudctl_with(&["apply", "-f", "-"], &note(&name));
            if told.code == 0 {
                acknowledged.push(name);
                return None;
            }
            Some(told.failed())
        })
        .expect("the disk is full some time");
    assert!(refused.contains("disk") && refused.contains("full"), "{refused}");
    assert_eq!(cloud.object("instances", "web")["status"]["phase"], "Running");
    let refused = cloud.cloudctl_with(&["apply", "-f", "-"], &volume("more", "64Mi")).failed();
    assert!(refused.contains("full"), "{refused}");
    std::thread::park_timeout(std::time::Duration::from_secs(10));
    let lines = cloud.log().lines().count();
    assert!(lines < 2_000, "it loops: {lines} lines in the log");

    // With room again everything goes on by itself.
    fs::remove_file(cloud.data_dir().join("filler")).expect("there is room again");
    for name in &acknowledged {
        assert!(!cloud.object("configmaps", name).is_null(), "{name} is lost");
    }
    cloud.apply(&note("after"));
    cloud.apply(&volume("more", "32Mi"));
    cloud.await_ready("volumes", "more");
    cloud.kill();
    cloud.launch();
    cloud.await_ready("instances", "web");
    assert_eq!(shell(&cloud, "web", "cat /data/file").trim(), "precious");
}
