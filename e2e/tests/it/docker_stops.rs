//! The Docker daemon goes away and comes back. The daemon is the test's own, in a network namespace of its own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use e2e::{Cloud, Docker, condition, docker_is_there, eventually, run, skip_unless};

use crate::machine::sleeper;

/// A second daemon. Its containers and files go with it.
struct Daemon {
    folder: tempfile::TempDir,
    namespace: String,
    process: Option<Child>,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("tc-dockerd-").tempdir().unwrap();
        let namespace = format!("tc-e2e-{}", std::process::id());
        let _ = run("ip", ["netns", "add", &namespace], "").ok();
        let _ = run("ip", ["-n", &namespace, "link", "set", "lo", "up"], "").ok();
        fs::write(folder.path().join("daemon.json"), "{}").unwrap();
        let mut daemon = Self { folder, namespace, process: None };
        daemon.launch();
        daemon
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn docker(&self) -> Docker {
        Docker::at(self.path("docker.sock").to_str().unwrap())
    }

    fn launch(&mut self) {
        // Both files of a killed daemon would keep the next from starting.
        let _ = fs::remove_file(self.path("docker.pid"));
        let _ = fs::remove_file(self.path("exec/containerd/containerd.pid"));
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .args(["dockerd", "--cgroup-parent", &format!("/{}", self.namespace), "--bip", "10.209.0.1/24"])
            .arg("--host")
            .arg(format!("unix://{}", self.path("docker.sock").display()))
            .arg("--data-root")
            .arg(self.path("data"))
            .arg("--exec-root")
            .arg(self.path("exec"))
            .arg("--pidfile")
            .arg(self.path("docker.pid"))
            .arg("--config-file")
            .arg(self.path("daemon.json"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
        let docker = self.docker();
        eventually("the test's own dockerd to answer", || {
            if docker.call(&["version"]).code == 0 { Ok(()) } else { Err(fs::read_to_string(self.path("log"))) }
        });
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = run("kill", [process.id().to_string()], "");
            let _ = process.wait();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
        let _ = run("ip", ["netns", "delete", &self.namespace], "");
    }
}

#[test]
fn instances_wait_for_a_stopped_docker_and_are_back_with_it() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut daemon = Daemon::start();
    let image = run(
        "sh",
        [
            "-c",
            &format!("docker save busybox:stable | docker --host unix://{} load", daemon.path("docker.sock").display()),
        ],
        "",
    );
    let _ = image.ok();
    let cloud = Cloud::builder().docker(daemon.docker()).start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");

    daemon.stop();
    cloud.apply(&sleeper("late", ""));
    let late = cloud.await_object("instances", "late", "to say that Docker is away", |late| {
        condition(late, "Ready")["reason"] == "BackendUnavailable"
    });
    assert!(condition(&late, "Ready")["message"].as_str().unwrap_or_default().contains("Docker"), "{late}");

    daemon.launch();
    cloud.await_ready("instances", "web");
    cloud.await_ready("instances", "late");
    let _ = cloud.cloudctl(&["delete", "inst", "web", "late"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "default"]).ok();
    assert_eq!(cloud.leftovers(), Vec::<String>::new());
}
