//! The Docker daemon goes away and comes back. The daemon is the test's own, in a network namespace of its own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use e2e::{Cloud, Docker, condition, docker_is_there, eventually, run, skip_unless};
use serde_json::Value;

use crate::machine::{documents, sleeper, volume};
use crate::storage::shell;

/// A second daemon. Its containers and files go with it.
struct Daemon {
    folder: tempfile::TempDir,
    namespace: String,
    process: Option<Child>,
}

impl Daemon {
    /// With this configuration, and the image of the tests' machines.
    fn start(config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("tc-dockerd-").tempdir().unwrap();
        let namespace = format!("tc-dockerd-{}", std::process::id());
        let _ = run("ip", ["netns", "add", &namespace], "").ok();
        let _ = run("ip", ["-n", &namespace, "link", "set", "lo", "up"], "").ok();
        fs::write(folder.path().join("daemon.json"), config).unwrap();
        let mut daemon = Self { folder, namespace, process: None };
        daemon.launch();
        let socket = daemon.path("docker.sock").display().to_string();
        let load = format!("docker save busybox:stable | docker --host unix://{socket} load");
        let _ = run("sh", ["-c", &load], "").ok();
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

    /// `kill -9`: whatever it was doing, it does no more.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
        // One that restores live leaves its folder mounted.
        if let Some(data) = self.path("data").to_str() {
            run("umount", ["--recursive", "--lazy", "--quiet", data], "");
        }
        let _ = run("ip", ["netns", "delete", &self.namespace], "");
    }
}

#[test]
fn instances_wait_for_a_stopped_docker_and_are_back_with_it() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut daemon = Daemon::start("{}");
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

/// Two Instances, one of them with data, run while the daemon is stopped or killed, and started again. What they are
/// afterwards: their containers, and how often each was restarted.
fn restarted(daemon: &mut Daemon) -> Vec<(bool, Value)> {
    let cloud = Cloud::builder().docker(daemon.docker()).start();
    let with_data = sleeper("data", "volumes: [{name: data, mountPath: /data, volume: data}]");
    cloud.apply(&documents(&[volume("data", "32Mi"), with_data, sleeper("web", "")]));
    let names = ["data", "web"];
    let before: Vec<String> = names
        .map(|name| {
            cloud.await_ready("instances", name);
            cloud.container(name)
        })
        .to_vec();
    shell(&cloud, "data", "echo kept > /data/file; sync");
    let mut told = Vec::new();
    for end in [Daemon::stop, Daemon::kill] {
        end(daemon);
        daemon.launch();
        for (name, container) in names.iter().zip(&before) {
            let object = cloud.await_object("instances", name, "to be Ready, and its container to run", |object| {
                let state = cloud.docker().call(&["inspect", "--format", "{{.State.Running}}", container]).stdout;
                condition(object, "Ready")["status"] == "True" && state.trim() == "true"
            });
            told.push((cloud.container(name) == *container, object["status"]["restartCount"].clone()));
        }
        assert_eq!(shell(&cloud, "data", "cat /data/file"), "kept\n");
    }
    let _ = cloud.cloudctl(&["delete", "inst", "data", "web"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "default"]).ok();
    // What Docker itself held on to goes with the next Volume, once it was started anew.
    daemon.stop();
    daemon.launch();
    cloud.apply(&volume("other", "32Mi"));
    cloud.await_ready("volumes", "other");
    let _ = cloud.cloudctl(&["delete", "vol", "other"]).ok();
    assert_eq!(cloud.leftovers(), Vec::<String>::new());
    told
}

#[test]
fn where_docker_restores_live_its_restart_is_not_noticed() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut daemon = Daemon::start("{\"live-restore\": true}");
    for (is_same, restarts) in restarted(&mut daemon) {
        assert_eq!((is_same, restarts.as_i64().unwrap_or_default()), (true, 0));
    }
}

#[test]
fn where_docker_takes_its_containers_down_they_are_started_again() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut daemon = Daemon::start("{\"live-restore\": false}");
    let told = restarted(&mut daemon);
    assert!(told.iter().all(|(is_same, _)| *is_same), "the same containers: {told:?}");
    let restarts: Vec<i64> = told.iter().map(|(_, restarts)| restarts.as_i64().unwrap_or_default()).collect();
    assert_eq!(restarts, [1, 1, 2, 2]);
}
