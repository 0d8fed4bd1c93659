//! What cloudctl does with machines that run: their power, their files, their ports.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use e2e::{Cloud, Docker, Running, docker_is_there, skip_unless};
use serde_json::Value;

use crate::machine::sleeper;

fn web() -> Cloud {
    let cloud = Cloud::start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");
    cloud
}

/// When the container of an Instance was last started, or that it isn't running.
fn running_since(container: &str) -> Option<String> {
    let format = "{{.State.Running}} {{.State.StartedAt}}";
    let shown = Docker::default().call(&["inspect", "--format", format, container]).ok();
    shown.trim().strip_prefix("true ").map(str::to_owned)
}

#[test]
fn stop_start_and_restart_come_back_when_it_is_so() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = web();
    let status = || cloud.object("instances", "web")["status"].clone();
    let container = status()["machineId"].as_str().unwrap().to_owned();
    let first = running_since(&container).expect("it runs");

    assert_eq!(cloud.cloudctl(&["restart", "web"]).ok(), "instance.thecloud.dev/web restarted\n");
    let second = running_since(&container).expect("it runs again");
    assert_ne!(first, second);
    assert_eq!((&status()["restartCount"], &status()["lastExit"]["reason"]), (&0.into(), &"Stopped".into()));

    assert_eq!(cloud.cloudctl(&["stop", "web"]).ok(), "instance.thecloud.dev/web stopped\n");
    assert_eq!(running_since(&container), None);
    let refused = cloud.cloudctl(&["restart", "web"]);
    assert_eq!((refused.code, refused.stderr.contains("`cloudctl start web` starts it")), (1, true), "{refused}");
    assert_eq!(cloud.cloudctl(&["stop", "web"]).ok(), "instance.thecloud.dev/web is stopped already\n");

    // What isn't there doesn't keep the others from being started.
    let mixed = cloud.cloudctl(&["start", "web", "missing"]);
    assert_eq!((mixed.code, mixed.stdout.as_str()), (3, "instance.thecloud.dev/web started\n"), "{mixed}");
    assert!(running_since(&container).is_some_and(|third| third != second));
    assert_eq!(status()["machineId"], Value::from(container));
}

#[test]
fn files_go_in_and_come_out_as_they_were() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = web();
    let home = tempfile::tempdir().unwrap();
    let site = home.path().join("site");
    std::fs::create_dir_all(site.join("deep")).unwrap();
    std::fs::write(site.join("deep/run.sh"), "#!/bin/sh\necho ran\n").unwrap();
    std::fs::set_permissions(site.join("deep/run.sh"), Permissions::from_mode(0o750)).unwrap();
    std::fs::write(site.join("large"), vec![7; 3 << 20]).unwrap();
    let here = |name: &str| home.path().join(name).display().to_string();

    let _ = cloud.cloudctl(&["cp", &here("site"), "web:/srv"]).ok();
    assert_eq!(cloud.cloudctl(&["exec", "web", "--", "/srv/deep/run.sh"]).ok(), "ran\n");
    // Into a folder that is there, under its own name.
    let _ = cloud.cloudctl(&["cp", &here("site/large"), "web:/tmp"]).ok();
    assert_eq!(cloud.cloudctl(&["exec", "web", "--", "wc", "-c", "/tmp/large"]).ok(), "3145728 /tmp/large\n");

    let _ = cloud.cloudctl(&["cp", "web:/srv", &here("back")]).ok();
    assert_eq!(std::fs::read(home.path().join("back/large")).unwrap(), vec![7; 3 << 20]);
    let mode = std::fs::metadata(home.path().join("back/deep/run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
    let _ = cloud.cloudctl(&["cp", "web:/etc/hostname", home.path().to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(home.path().join("hostname")).unwrap(), "web\n");

    let missing = cloud.cloudctl(&["cp", "web:/nothing", &here("nothing")]);
    assert_eq!((missing.code, missing.stderr.contains("No such file")), (1, true), "{missing}");
    assert!(!home.path().join("nothing").exists());
    let _ = cloud.cloudctl(&["exec", "web", "--", "rm", "/bin/tar"]).ok();
    for words in [["cp", "web:/srv", &here("again")], ["cp", &here("site"), "web:/other"]] {
        let lacks = cloud.cloudctl(&words);
        assert!(lacks.code == 1 && lacks.stderr.contains("has no `tar`"), "{lacks}");
    }
}

/// A machine that serves a page on port 8080 and publishes nothing.
fn page(cloud: &Cloud) {
    let command = "echo a page > /tmp/index.html; exec httpd -f -p 8080 -h /tmp";
    let check = "healthCheck: {tcp: {port: 8080}, periodSeconds: 1}";
    cloud.apply(&sleeper("page", &format!("command: [sh, -c]\nargs: [\"{command}\"]\n{check}")));
    let _ = cloud.cloudctl(&["wait", "--for=condition=Available", "inst/page"]).ok();
}

fn cloudctl(cloud: &Cloud) -> Command {
    let mut command = Command::new(e2e::binary("cloudctl"));
    command.arg("--kubeconfig").arg(cloud.kubeconfig());
    command
}

#[test]
fn forwarded_port_carries_every_connection_and_says_what_cannot_be_reached() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = web();
    page(&cloud);
    let forwarding = Running::start(cloudctl(&cloud).args(["port-forward", "page", ":8080", ":9"]));
    forwarding.await_line(&["Forwarding 127.0.0.1:", "to port 9 of"]);
    let address = |port: &str| {
        let said = forwarding.said();
        let line = said.iter().find(|line| line.contains(&format!("to port {port} "))).unwrap();
        line.split(' ').nth(1).unwrap().to_owned()
    };
    let served = address("8080");
    let readers: Vec<_> = (0..20)
        .map(|_| {
            let address = served.clone();
            std::thread::spawn(move || get(&address))
        })
        .collect();
    for reader in readers {
        let answer = reader.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("a page\n"), "{answer}");
    }
    assert_eq!(get(&address("9")), "");
    forwarding.await_line(&["port 9 can't be reached", "refused"]);
    drop(forwarding);

    let piped =
        e2e::run_command(cloudctl(&cloud).args(["port-forward", "--stdio", "8080", "page"]), "GET / HTTP/1.0\r\n\r\n");
    assert!(piped.clone().ok().ends_with("a page\n"), "{piped}");
    let _ = cloud.cloudctl(&["stop", "page"]).ok();
    let stopped = cloud.cloudctl(&["port-forward", "--stdio", "8080", "page"]);
    assert_eq!((stopped.code, stopped.stderr.contains("not running")), (1, true), "{stopped}");
    assert_eq!(cloud.cloudctl(&["port-forward", "missing", "80"]).code, 3);
}

/// What a port answers to a plain request, to its end.
fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut answer = String::new();
    // One that is closed at once takes no request.
    let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn ssh_asks_the_machines_port_through_the_server() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = web();
    // No ssh server in the test image: one that greets like it shows that this host's `ssh` came through.
    let greeting = "while true; do echo greeted >> /tmp/log; printf 'SSH-1.0-old\\\\r\\\\n' | nc -l -p 22; done";
    cloud.apply(&sleeper("old", &format!("command: [sh, -c]\nargs: [\"{greeting}\"]")));
    cloud.await_ready("instances", "old");
    let home = tempfile::tempdir().unwrap();
    let tried = e2e::run_command(cloudctl(&cloud).env("CLOUD_HOME", home.path()).args(["ssh", "root@old"]), "");
    if tried.stderr.contains("`ssh` is not installed here") {
        assert_eq!(tried.code, 1, "{tried}");
        eprintln!("SKIPPED: no ssh here");
        return;
    }
    assert!(tried.code == 255 && tried.stderr.contains("major versions differ"), "{tried}");
    let absent = e2e::run_command(cloudctl(&cloud).env("PATH", "/nonexistent").args(["ssh", "root@old"]), "");
    assert!(absent.code == 1 && absent.stderr.contains("`ssh` is not installed here"), "{absent}");
}

#[test]
fn top_and_get_wide_tell_what_a_user_looks_for() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = web();
    cloud.apply(&sleeper("busy", "command: [sh, -c]\nargs: [\"while :; do :; done\"]"));
    cloud.await_ready("instances", "busy");
    let said = cloud.cloudctl(&["top", "inst"]).ok();
    let millis = |name: &str| {
        let row: Vec<_> = said.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect();
        assert!(row[3].ends_with("Mi/128Mi") && row[4].ends_with('%'), "{said}");
        row[1].strip_suffix("m/250m").unwrap().parse::<u32>().unwrap()
    };
    assert!(millis("busy") > 20 && millis("web") < 10, "{said}");
    assert_eq!(cloud.cloudctl(&["top", "web"]).ok().lines().count(), 2);

    let wide = cloud.cloudctl(&["get", "inst", "-o", "wide"]).ok();
    let headings: Vec<_> = wide.lines().next().unwrap().split_whitespace().collect();
    for wanted in ["NAME", "PHASE", "IP", "PUBLISHED", "BACKEND", "AGE"] {
        assert!(headings.contains(&wanted), "{wide}");
    }
    let _ = cloud.cloudctl(&["stop", "web"]).ok();
    let stopped = cloud.cloudctl(&["top", "web"]);
    assert!(stopped.code == 1 && stopped.stderr.contains("does not run: it is Stopped"), "{stopped}");
}
