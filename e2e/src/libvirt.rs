//! The host's libvirt, as its own command line shows it, and the removal of what an installation made.

use std::path::{Path, PathBuf};

use crate::run::{Output, run};

/// `virsh ARGUMENTS` on the host's libvirt.
#[must_use]
pub fn virsh(arguments: &[&str]) -> Output {
    run("virsh", ["--quiet", "--connect", "qemu:///system"].iter().chain(arguments), "")
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

/// The domains of an installation.
fn domains(installation: &str) -> Vec<String> {
    if run("sh", ["-c", "command -v virsh"], "").code != 0 {
        return Vec::new();
    }
    let all = virsh(&["list", "--all", "--uuid"]).stdout;
    let ours = |uuid: &&str| virsh(&["metadata", uuid, "https://thecloud.dev/libvirt/1"]).stdout.contains(installation);
    all.lines().map(str::trim).filter(|uuid| !uuid.is_empty()).filter(ours).map(str::to_owned).collect()
}

/// Everything that an installation has at libvirt and in its directory.
pub(crate) fn leftovers(installation: &str, machine_dir: &Path) -> Vec<String> {
    let mut left: Vec<String> = domains(installation).into_iter().map(|id| format!("domain {id}")).collect();
    let files = std::fs::read_dir(machine_dir).into_iter().flatten().flatten();
    left.extend(files.map(|entry| format!("file {}", entry.path().display())));
    left
}

/// Removes an installation's domains; its files go with the test's directory.
pub(crate) fn purge(installation: &str) {
    for id in domains(installation) {
        let _ = virsh(&["destroy", &id]);
        let _ = virsh(&["undefine", &id]);
    }
}
