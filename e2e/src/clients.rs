//! Finds the real clients that `scripts/clients.sh` fetched, and every version of kubectl that the machine has.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One kubectl of those that are tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubectlVersion {
    /// Major and minor: `1.37`.
    pub version: String,
    /// The program.
    pub program: PathBuf,
}

/// What `scripts/clients.sh` keeps under this name; nothing where it could not be fetched.
#[must_use]
pub fn client(name: &str) -> Option<PathBuf> {
    let path = clients_dir()?.join(name);
    path.exists().then_some(path)
}

/// Every kubectl there is, oldest first, one of each version: those in `KUBECTL_DIR` (or beside the kubectl on `PATH`,
/// where that is a link into such a directory) and those that were fetched.
#[must_use]
pub fn kubectls() -> Vec<KubectlVersion> {
    let given = std::env::var_os("KUBECTL_DIR").map(PathBuf::from).or_else(beside_kubectl);
    let mut found = Vec::new();
    for folder in given.into_iter().chain(clients_dir()) {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Some(version) = version_in(&entry.file_name()) else { continue };
            if found.iter().all(|known: &KubectlVersion| known.version != version) {
                found.push(KubectlVersion { version, program: entry.path() });
            }
        }
    }
    found.sort_by_key(|kubectl| kubectl.version.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>());
    found
}

/// A command that ends after a minute at the latest, so that a client that hangs can be shown with what it said.
#[must_use]
pub fn limited(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "60"]).arg(program);
    command
}

/// `1.33` of `kubectl.1.33` or `kubectl-1.33`.
fn version_in(file: &OsStr) -> Option<String> {
    let version = file.to_str()?.strip_prefix("kubectl")?.strip_prefix(['.', '-'])?;
    let numbers = version.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    (numbers && version.contains('.')).then(|| version.to_owned())
}

fn beside_kubectl() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let kubectl = std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file())?;
    kubectl.canonicalize().ok()?.parent().map(Path::to_owned)
}

fn clients_dir() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
    Some(cache.join("the-cloud/clients"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_name_of_a_file() {
        let version = |name: &str| version_in(OsStr::new(name));
        assert_eq!(version("kubectl.1.27").as_deref(), Some("1.27"));
        assert_eq!(version("kubectl-1.37").as_deref(), Some("1.37"));
        for other in ["kubectl", "kubectl-convert", "kubectl.1", "kubectl.1.x", "kubelet.1.30"] {
            assert_eq!(version(other), None, "{other}");
        }
    }
}
