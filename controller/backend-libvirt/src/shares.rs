//! Decides how directories of the host show inside a machine. Each is a virtiofs of its own, served by a process on the
//! host: the host's kernel alone reads and writes the file system, and the machine only asks for files. What the machine
//! mounts where, it is told at every boot, by a script that cloud-init runs early. Pure, but for the program that serves
//! read-only.

use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::devices::Device;
use crate::domain_xml::escape;

/// What a machine's memory must be where anything is shared: who serves the files answers in it.
pub(crate) const MEMORY: &str = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>";

/// A directory of the host, as a machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    /// By which the machine asks for it: at most 36 bytes.
    pub(crate) tag: String,
    /// The directory.
    pub(crate) directory: PathBuf,
    /// Where it shows inside.
    pub(crate) path: String,
    /// Whether nothing can be written, whatever the machine tries.
    pub(crate) read_only: bool,
}

/// A directory in the machine's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Where it shows inside.
    pub(crate) path: String,
    /// The most that it holds.
    pub(crate) size_bytes: u64,
}

/// All that is mounted in a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mounts {
    pub(crate) shares: Vec<Share>,
    pub(crate) memory: Vec<Memory>,
    /// Disks of which the machine makes what it will.
    pub(crate) devices: Vec<Device>,
}

/// The tag of a machine's mount, by its place in the list.
pub(crate) fn tag(number: usize) -> String {
    format!("cloud{number}")
}

/// The devices. `read_only` serves those that the machine must not write to.
pub(crate) fn devices(shares: &[Share], read_only: &Path) -> String {
    let mut xml = String::new();
    for share in shares {
        xml.push_str("<filesystem type='mount' accessmode='passthrough'><driver type='virtiofs'/>");
        if share.read_only {
            let _ = write!(xml, "<binary path='{}'/>", escape(&read_only.to_string_lossy()));
        }
        let directory = share.directory.to_string_lossy();
        let _ =
            write!(xml, "<source dir='{}'/><target dir='{}'/></filesystem>", escape(&directory), escape(&share.tag));
    }
    xml
}

/// What a shell does in the machine at every boot; nothing where nothing is mounted.
pub(crate) fn commands(mounts: &Mounts) -> String {
    let mut text = String::new();
    let mut mount = |path: &str, command: String| {
        let path = quoted(path);
        let _ = writeln!(text, "mkdir -p {path}; mountpoint -q {path} || {command} {path}");
    };
    for Share { tag, path, read_only, .. } in &mounts.shares {
        let options = if *read_only { "-o ro " } else { "" };
        mount(path, format!("mount -t virtiofs {options}{tag}"));
    }
    for Memory { path, size_bytes } in &mounts.memory {
        mount(path, format!("mount -t tmpfs -o nosuid,nodev,mode=1777,size={size_bytes} tmpfs"));
    }
    text
}

/// A word of a shell that means nothing but itself.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What libvirt runs in place of virtiofsd, whose older versions can't be told not to write: in a mount namespace of its
/// own the directory is read-only, for it and for nobody else.
const READ_ONLY: &str = r#"#!/bin/sh
# Made by cloudd. virtiofsd, over a directory that can't be written to. Arguments are virtiofsd's.
for word in "$@"; do
    case $word in
        *source=*) directory=${word#*source=}; directory=${directory%%,*} ;;
        --shared-dir=*) directory=${word#*=} ;;
    esac
done
for program in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd /usr/lib/virtiofsd $(command -v virtiofsd); do
    [ -x "$program" ] || continue
    export directory program
    exec unshare --mount --propagation private /bin/sh -c '
        mount --bind "$directory" "$directory" && mount -o remount,bind,ro "$directory" || exit 1
        exec "$program" "$@"' virtiofsd "$@"
done
echo "virtiofsd is not installed" >&2
exit 1
"#;

/// Puts the program that serves read-only in place.
pub(crate) fn make_read_only(program: &Path) -> io::Result<()> {
    if std::fs::read(program).is_ok_and(|found| found == READ_ONLY.as_bytes()) {
        return Ok(());
    }
    let next = program.with_extension("new");
    std::fs::write(&next, READ_ONLY)?;
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(&next, program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(path: &str, read_only: bool) -> Share {
        Share { tag: tag(0), directory: "/srv/a'b".into(), path: path.to_owned(), read_only }
    }

    #[test]
    fn machine_is_told_what_to_mount_where_and_a_path_is_never_a_command() {
        let memory = vec![Memory { path: "/tmp/x".to_owned(), size_bytes: 4096 }];
        let text = commands(&Mounts { shares: vec![share("/data/it's; reboot", false)], memory, devices: Vec::new() });
        let path = r"'/data/it'\''s; reboot'";
        let first = format!("mkdir -p {path}; mountpoint -q {path} || mount -t virtiofs cloud0 {path}\n");
        assert!(text.starts_with(&first), "{text}");
        assert!(text.contains("mount -t tmpfs -o nosuid,nodev,mode=1777,size=4096 tmpfs '/tmp/x'\n"), "{text}");
        assert_eq!(commands(&Mounts::default()), "");
    }

    #[test]
    fn what_must_not_be_written_is_served_by_another_program() {
        let program = Path::new("/srv/read-only");
        assert!(!devices(&[share("/data", false)], program).contains("<binary"));
        let device = devices(&[share("/data", true)], program);
        assert!(device.contains("<binary path='/srv/read-only'/><source dir='/srv/a&apos;b'/>"), "{device}");
    }
}
