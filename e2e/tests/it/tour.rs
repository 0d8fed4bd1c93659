//! The tour: YAML in, running machines out, and nothing left when it is deleted.

use e2e::{Cloud, docker_is_there, eventually, run, skip_unless};

/// The tour's files.
pub(crate) fn tour() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/tour");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    text.join("---\n")
}

/// What a GET of this address answers.
pub(crate) fn get(address: &str) -> String {
    run("curl", ["--silent", "--max-time", "5", &format!("http://{address}/")], "").stdout
}

#[test]
fn the_tour_becomes_running_machines_and_deleting_it_leaves_nothing() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let said = cloud.apply(&tour());
    for line in
        ["vpc.thecloud.dev/tour created", "volume.thecloud.dev/page created", "instance.thecloud.dev/web created"]
    {
        assert!(said.contains(line), "{said}");
    }
    let web = cloud.await_ready("instances", "web");
    cloud.await_ready("instances", "client");

    let address = web["status"]["published"].as_str().expect("the port is published").to_owned();
    eventually("the page on the published port", || {
        let page = get(&address);
        if page == "Hello from The Cloud\n" { Ok(()) } else { Err(page) }
    });
    eventually("the client to reach the web server by name", || {
        let log = cloud.cloudctl(&["logs", "client"]);
        if log.stdout.contains("Hello from The Cloud") { Ok(()) } else { Err(log.to_string()) }
    });

    let again = cloud.apply(&tour());
    assert_eq!(again.matches("unchanged").count(), 4, "{again}");

    let _ = cloud.cloudctl_with(&["delete", "-f", "-"], &tour()).ok();
    assert_eq!(cloud.cloudctl(&["get", "inst,vol,vpc"]).ok(), "");
    eventually("nothing to be left", || {
        let left = cloud.leftovers();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}
