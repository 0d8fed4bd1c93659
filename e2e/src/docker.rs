//! The Docker daemon under test, as its own command line shows it, and the removal of what an installation made.

use std::path::Path;

use crate::run::{Output, run};

/// One Docker daemon.
#[derive(Debug, Clone)]
pub struct Docker {
    socket: String,
}

/// Whether the machine's own daemon answers.
#[must_use]
pub fn docker_is_there() -> bool {
    Docker::default().call(&["version", "--format", "{{.Server.Version}}"]).code == 0
}

impl Default for Docker {
    fn default() -> Self {
        Self::at("/var/run/docker.sock")
    }
}

impl Docker {
    /// The daemon behind this socket.
    #[must_use]
    pub fn at(socket: &str) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// `docker ARGUMENTS`.
    #[must_use]
    pub fn call(&self, arguments: &[&str]) -> Output {
        let host = format!("unix://{}", self.socket);
        run("docker", ["--host", &host].into_iter().chain(arguments.iter().copied()), "")
    }

    /// Ids of an installation's containers, running or not.
    #[must_use]
    pub fn containers(&self, installation: &str) -> Vec<String> {
        self.ids(&["ps", "--all", "--quiet", "--no-trunc"], installation)
    }

    /// Ids of an installation's networks.
    #[must_use]
    pub fn networks(&self, installation: &str) -> Vec<String> {
        self.ids(&["network", "ls", "--quiet", "--no-trunc"], installation)
    }

    /// Names of an installation's Docker volumes.
    #[must_use]
    pub fn volumes(&self, installation: &str) -> Vec<String> {
        self.ids(&["volume", "ls", "--quiet"], installation)
    }

    fn ids(&self, list: &[&str], installation: &str) -> Vec<String> {
        let filter = format!("label=thecloud.dev/installation={installation}");
        let arguments: Vec<&str> = list.iter().copied().chain(["--filter", &filter]).collect();
        self.call(&arguments).stdout.lines().map(str::to_owned).collect()
    }

    /// Everything real that an installation has: containers, networks, Docker volumes, mounts and loop devices.
    #[must_use]
    pub fn leftovers(&self, installation: &str, data_dir: &Path) -> Vec<String> {
        let mut left: Vec<String> = Vec::new();
        left.extend(self.containers(installation).into_iter().map(|id| format!("container {id}")));
        left.extend(self.networks(installation).into_iter().map(|id| format!("network {id}")));
        left.extend(self.volumes(installation).into_iter().map(|id| format!("docker volume {id}")));
        left.extend(mounts_below(data_dir).into_iter().map(|path| format!("mount {path}")));
        left.extend(loops_below(data_dir).into_iter().map(|device| format!("loop device {device}")));
        left
    }

    /// Removes everything real that an installation has.
    pub fn purge(&self, installation: &str, data_dir: &Path) {
        for id in self.containers(installation) {
            let _ = self.call(&["rm", "--force", "--volumes", &id]);
        }
        for id in self.networks(installation) {
            let _ = self.call(&["network", "rm", &id]);
        }
        for name in self.volumes(installation) {
            let _ = self.call(&["volume", "rm", "--force", &name]);
        }
        let digits = installation.replace('-', "");
        if let (Some(table), Some(mark)) = (digits.get(..8), digits.get(..6)) {
            for family in ["inet", "bridge"] {
                let _ = run("nft", ["delete", "table", family, &format!("thecloud_{table}")], "");
            }
            let mark = format!("0x7c{mark}");
            let _ = run("iptables", ["-w", "-D", "DOCKER-USER", "-m", "mark", "--mark", &mark, "-j", "ACCEPT"], "");
        }
        for path in mounts_below(data_dir) {
            let _ = run("umount", ["--lazy", &path], "");
        }
        for device in loops_below(data_dir) {
            let _ = run("losetup", ["--detach", &device], "");
        }
    }
}

/// Mount points below a directory, deepest first.
fn mounts_below(folder: &Path) -> Vec<String> {
    let prefix = format!("{}/", folder.display());
    let mut found: Vec<String> = run("findmnt", ["-rno", "TARGET"], "")
        .stdout
        .lines()
        .filter(|target| target.starts_with(&prefix))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.reverse();
    found
}

/// Loop devices whose file is below a directory.
fn loops_below(folder: &Path) -> Vec<String> {
    let prefix = format!("{}/", folder.display());
    run("losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"], "")
        .stdout
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .filter(|(_, file)| file.trim().starts_with(&prefix))
        .map(|(device, _)| device.to_owned())
        .collect()
}
