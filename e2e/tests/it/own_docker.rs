//! A Docker daemon of a test's own, in a network namespace of its own.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use e2e::{Docker, eventually, run};

use crate::own_host::make_namespace;

/// A second daemon. Its containers and files go with it.
pub(crate) struct Daemon {
    folder: tempfile::TempDir,
    namespace: String,
    process: Option<Child>,
}

impl Daemon {
    /// With this configuration, and the image of the tests' machines.
    pub(crate) fn start(config: &str) -> Self {
        let namespace = format!("tc-dockerd-{}", std::process::id());
        make_namespace(&namespace);
        Self::start_in(namespace, config)
    }

    /// The same, in this network.
    pub(crate) fn start_in(namespace: String, config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("tc-dockerd-").tempdir().unwrap();
        // Containers that aren't root on the host go through it too.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
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

    /// The way to it.
    pub(crate) fn docker(&self) -> Docker {
        Docker::at(self.path("docker.sock").to_str().unwrap())
    }

    /// Starts it again.
    pub(crate) fn launch(&mut self) {
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

    /// Stops it in order.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = run("kill", [process.id().to_string()], "");
            let _ = process.wait();
        }
    }

    /// `kill -9`: whatever it was doing, it does no more.
    pub(crate) fn kill(&mut self) {
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
