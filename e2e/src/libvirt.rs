//! The libvirt under test, as its own command line shows it, and the removal of what an installation made.

use std::path::{Path, PathBuf};

use crate::run::{Output, run};

/// One libvirt daemon.
#[derive(Debug, Clone)]
pub struct Libvirt {
    uri: String,
}

impl Default for Libvirt {
    fn default() -> Self {
        Self::at("qemu:///system")
    }
}

impl Libvirt {
    /// The daemon that is reached this way.
    #[must_use]
    pub fn at(uri: &str) -> Self {
        Self { uri: uri.to_owned() }
    }

    /// The way to it.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// `virsh ARGUMENTS`.
    #[must_use]
    pub fn virsh(&self, arguments: &[&str]) -> Output {
        run("virsh", ["--quiet", "--connect", &self.uri].iter().chain(arguments), "")
    }

    /// The domains of an installation.
    fn domains(&self, installation: &str) -> Vec<String> {
        if run("sh", ["-c", "command -v virsh"], "").code != 0 {
            return Vec::new();
        }
        let all = self.virsh(&["list", "--all", "--uuid"]).stdout;
        let ours = |uuid: &&str| {
            let metadata = self.virsh(&["metadata", uuid, "https://thecloud.dev/libvirt/1"]);
            metadata.stdout.contains(installation)
        };
        all.lines().map(str::trim).filter(|uuid| !uuid.is_empty()).filter(ours).map(str::to_owned).collect()
    }

    /// Everything that an installation has at libvirt and in its directory.
    pub(crate) fn leftovers(&self, installation: &str, machine_dir: &Path) -> Vec<String> {
        let mut left: Vec<String> = self.domains(installation).into_iter().map(|id| format!("domain {id}")).collect();
        let files = std::fs::read_dir(machine_dir).into_iter().flatten().flatten();
        left.extend(files.map(|entry| format!("file {}", entry.path().display())));
        left
    }

    /// Removes an installation's domains; its files go with the test's directory.
    pub(crate) fn purge(&self, installation: &str) {
        for id in self.domains(installation) {
            let _ = self.virsh(&["destroy", &id]);
            let _ = self.virsh(&["undefine", &id]);
        }
    }
}

/// `virsh ARGUMENTS` on the host's libvirt.
#[must_use]
pub fn virsh(arguments: &[&str]) -> Output {
    Libvirt::default().virsh(arguments)
}

/// The disk that the tests' virtual machines are made from, if this host can have any: libvirt answers, cloudd was built
/// with it, and the disk was built.
#[must_use]
pub fn tiny_vm() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("CLOUD_TINY_VM")?);
    let has_virsh = run("sh", ["-c", "command -v virsh"], "").code == 0;
    (path.is_file() && has_virsh && virsh(&["version"]).code == 0 && is_linked()).then_some(path)
}

/// Whether the cloudd under test was built with libvirt.
fn is_linked() -> bool {
    let cloudd = crate::cloud::binary("cloudd");
    run("ldd", [cloudd], "").stdout.contains("libvirt.so")
}
