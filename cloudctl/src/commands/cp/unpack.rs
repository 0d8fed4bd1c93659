//! Writes what a machine's `tar` packed. Decides what of it may be written: only what was asked for, below the
//! destination, whatever the archive says; a machine is not trusted. It never talks to a machine.

use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use tar::{Archive, EntryType};

/// What bits of a mode count here: nothing runs as somebody else because a machine says so.
const MODE: u32 = 0o777;

/// Where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Into this folder, under its own name.
    Inside(PathBuf),
    /// Here, under this path's last name.
    As(PathBuf),
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// How many entries were written.
    pub(super) entries: usize,
    /// What was left out, and why.
    pub(super) skipped: Vec<String>,
}

/// Writes the archive; everything in it is named `base` or below it.
pub(super) fn unpack(archive: impl Read, base: &str, place: &Place) -> io::Result<Unpacked> {
    match place {
        Place::Inside(folder) => into(archive, base, folder),
        Place::As(path) => {
            // Whole or not at all: it gets its name when all of it is there.
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let beside = tempfile::Builder::new().prefix(".cloudctl-cp-").tempdir_in(folder)?;
            let unpacked = into(archive, base, beside.path())?;
            if unpacked.entries > 0 {
                fs::rename(beside.path().join(base), path)?;
            }
            Ok(unpacked)
        }
    }
}

fn into(archive: impl Read, base: &str, folder: &Path) -> io::Result<Unpacked> {
    let mut archive = Archive::new(archive);
    archive.set_overwrite(true);
    let mut unpacked = Unpacked::default();
    // A folder that may not be written to gets its mode once all is in it.
    let mut modes = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = below(&entry.path()?, base)?;
        through_no_link(folder, &name)?;
        let path = folder.join(&name);
        match entry.header().entry_type() {
            EntryType::Directory => {
                if !fs::symlink_metadata(&path).is_ok_and(|known| known.is_dir()) {
                    fs::create_dir(&path)?;
                }
                modes.push((path, entry.header().mode()? & MODE));
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                entry.unpack_in(folder)?;
            }
            EntryType::Link => {
                below(&entry.link_name()?.unwrap_or_default(), base)?;
                make_way(&path)?;
                entry.unpack_in(folder)?;
            }
            EntryType::Symlink => {
                let target = entry.link_name()?.unwrap_or_default().into_owned();
                if !stays(&name, &target) {
                    unpacked.skipped.push(format!("{}: a link out of it, to {}", name.display(), target.display()));
                    continue;
                }
                make_way(&path)?;
                entry.unpack_in(folder)?;
            }
            EntryType::XGlobalHeader => continue,
            _ => {
                unpacked.skipped.push(format!("{}: neither a file, a folder nor a link", name.display()));
                continue;
            }
        }
        unpacked.entries += 1;
    }
    // What fills the last block up, too: whoever sends it is not cut off.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    for (path, mode) in modes.into_iter().rev() {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(unpacked)
}

/// A link takes the place of a file that is there, as a file does.
fn make_way(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(known) if !known.is_dir() => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// The name without its leading `./`, if it is `base` or below it.
fn below(name: &Path, base: &str) -> io::Result<PathBuf> {
    let mut parts = Vec::new();
    for part in name.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(stranger(name)),
        }
    }
    if parts.first().is_none_or(|first| *first != base) {
        return Err(stranger(name));
    }
    Ok(parts.into_iter().collect())
}

fn stranger(name: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the machine sent `{}`, which was not asked for; nothing more is written", name.display()),
    )
}

/// Refuses a name that leads through a link: what is behind it may be anywhere.
fn through_no_link(folder: &Path, name: &Path) -> io::Result<()> {
    let above: Vec<_> = name.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).collect();
    for above in above.into_iter().rev() {
        if fs::symlink_metadata(folder.join(above)).is_ok_and(|known| known.is_symlink()) {
            let text = format!("`{}` leads through the link `{}`; remove that first", name.display(), above.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
    }
    Ok(())
}

/// Whether a link at this name, to this target, stays below the first part of the name.
fn stays(name: &Path, target: &Path) -> bool {
    let mut ups = 0;
    let mut went_down = false;
    for part in target.components() {
        match part {
            Component::ParentDir if went_down => return false,
            Component::ParentDir => ups += 1,
            Component::Normal(_) => went_down = true,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    ups + 2 <= name.components().count()
}

#[cfg(test)]
mod tests {
    use tar::{Builder, Header};
    use tempfile::tempdir;

    use super::*;

    /// An archive of entries: type, name, mode, and content or link target.
    fn archive(entries: &[(EntryType, &str, u32, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, name, mode, content) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(*mode);
            header.set_mtime(1_700_000_000);
            // As a hostile machine writes it: the library's own writer refuses such names.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            let is_link = matches!(kind, EntryType::Link | EntryType::Symlink);
            if is_link {
                header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
            }
            let data = if is_link { &b""[..] } else { content.as_bytes() };
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    use EntryType::{Directory, Fifo, Link, Regular, Symlink};

    #[test]
    fn files_folders_links_and_modes_come_through() {
        let home = tempdir().unwrap();
        let sent = archive(&[
            (Directory, "./data/", 0o755, ""),
            (Directory, "./data/sealed", 0o555, ""),
            (Regular, "./data/sealed/run.sh", 0o4750, "#!/bin/sh"),
            (Link, "./data/sealed/same.sh", 0o750, "./data/sealed/run.sh"),
            (Symlink, "./data/run", 0o777, "sealed/run.sh"),
            (Symlink, "./data/sealed/up", 0o777, "../run"),
        ]);
        let unpacked = unpack(&sent[..], "data", &Place::Inside(home.path().to_owned())).unwrap();
        assert_eq!(unpacked, Unpacked { entries: 6, skipped: Vec::new() });
        let data = home.path().join("data");
        assert_eq!(fs::read_to_string(data.join("sealed/up")).unwrap(), "#!/bin/sh");
        assert_eq!((mode(&data.join("sealed")), mode(&data.join("run"))), (0o555, 0o750), "and no set-uid bit");
        // The same once more replaces what is there.
        fs::set_permissions(data.join("sealed"), Permissions::from_mode(0o755)).unwrap();
        unpack(&sent[..], "data", &Place::Inside(home.path().to_owned())).unwrap();

        let renamed = home.path().join("copy");
        unpack(&sent[..], "data", &Place::As(renamed.clone())).unwrap();
        assert!(renamed.join("run").exists());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "nothing is left beside it");
    }

    #[test]
    fn hostile_archive_writes_nothing_that_was_not_asked_for() {
        for (kind, name, content) in [
            (Regular, "other", "x"),
            (Regular, "../evil", "x"),
            (Regular, "data/../../evil", "x"),
            (Regular, "/tmp/cloudctl-evil", "x"),
            (Regular, ".ssh/authorized_keys", "x"),
            (Link, "data/secret", "../../etc/passwd"),
            (Link, "data/secret", "private"),
        ] {
            let home = tempdir().unwrap();
            let folder = home.path().join("here");
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("private"), "mine").unwrap();
            let sent = archive(&[(Directory, "data", 0o755, ""), (kind, name, 0o644, content)]);
            let error = unpack(&sent[..], "data", &Place::Inside(folder.clone())).unwrap_err();
            assert!(error.to_string().contains("which was not asked for"), "{name}: {error}");
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "{name}");
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "{name}");
            assert_eq!(fs::read_dir(folder.join("data")).unwrap().count(), 0, "{name}");
            assert!(unpack(&sent[..], "data", &Place::As(folder.join("copy"))).is_err());
            assert!(!folder.join("copy").exists(), "all or nothing");
        }
    }

    #[test]
    fn no_link_leads_out_and_nothing_is_written_through_one() {
        for target in ["/etc", "..", "../..", "sub/../..", "../data2"] {
            let home = tempdir().unwrap();
            let sent = archive(&[
                (Directory, "data", 0o755, ""),
                (Symlink, "data/out", 0o777, target),
                (Regular, "data/file", 0o644, "x"),
            ]);
            let unpacked = unpack(&sent[..], "data", &Place::Inside(home.path().to_owned())).unwrap();
            assert_eq!((unpacked.entries, unpacked.skipped.len()), (2, 1), "{target}");
            assert!(fs::symlink_metadata(home.path().join("data/out")).is_err(), "{target}");
        }
        let home = tempdir().unwrap();
        let sent = archive(&[
            (Directory, "data", 0o755, ""),
            (Symlink, "data/link", 0o777, "."),
            (Regular, "data/link/file", 0o644, "x"),
        ]);
        let error = unpack(&sent[..], "data", &Place::Inside(home.path().to_owned())).unwrap_err();
        assert!(error.to_string().contains("leads through the link `data/link`"), "{error}");
    }

    #[test]
    fn all_that_is_sent_is_taken() {
        let home = tempdir().unwrap();
        let mut sent = archive(&[(Regular, "data", 0o644, "x")]);
        sent.resize(10 * 1024, 0);
        let mut rest = &sent[..];
        unpack(&mut rest, "data", &Place::As(home.path().join("copy"))).unwrap();
        assert!(rest.is_empty(), "{} bytes are left", rest.len());
    }

    #[test]
    fn devices_are_left_out_and_an_archive_that_breaks_off_is_an_error() {
        let home = tempdir().unwrap();
        let place = Place::Inside(home.path().to_owned());
        let sent = archive(&[(Directory, "data", 0o755, ""), (Fifo, "data/pipe", 0o644, "")]);
        let unpacked = unpack(&sent[..], "data", &place).unwrap();
        assert_eq!(unpacked.skipped, ["data/pipe: neither a file, a folder nor a link"]);
        let sent = archive(&[(Regular, "data", 0o644, &"x".repeat(2000))]);
        assert!(unpack(&sent[..1500], "data", &Place::As(home.path().join("half"))).is_err());
        assert!(!home.path().join("half").exists());
        assert_eq!(unpack(&b""[..], "data", &place).unwrap().entries, 0);
    }
}
