//! Packs a file or folder of this machine for a machine's `tar`. Links are packed as links, modes are kept, owners are not.

use std::io::{self, Write};
use std::path::Path;

use tar::Builder;

/// Writes `path`, named `name`.
pub(super) fn pack(path: &Path, name: &str, archive: impl Write) -> io::Result<()> {
    let mut builder = Builder::new(archive);
    builder.follow_symlinks(false);
    // What is named on the command line is meant itself, also where it is a link.
    let path = path.canonicalize()?;
    if path.is_dir() {
        builder.append_dir_all(name, &path)?;
    } else {
        builder.append_path_with_name(&path, name)?;
    }
    builder.into_inner()?.flush()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::unpack::{Place, unpack};
    use super::*;

    #[test]
    fn what_is_packed_unpacks_as_it_was_under_another_name() {
        let home = tempfile::tempdir().unwrap();
        let site = home.path().join("site");
        fs::create_dir(&site).unwrap();
        fs::write(site.join("run.sh"), "#!/bin/sh").unwrap();
        fs::set_permissions(site.join("run.sh"), Permissions::from_mode(0o750)).unwrap();
        symlink("run.sh", site.join("link")).unwrap();
        symlink("site", home.path().join("current")).unwrap();
        let mut sent = Vec::new();
        pack(&home.path().join("current"), "www", &mut sent).unwrap();
        let there = tempfile::tempdir().unwrap();
        let unpacked = unpack(&sent[..], "www", &Place::Inside(there.path().to_owned())).unwrap();
        assert_eq!((unpacked.entries, unpacked.skipped.len()), (3, 0));
        let link = there.path().join("www/link");
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("run.sh"));
        assert_eq!(fs::metadata(&link).unwrap().permissions().mode() & 0o777, 0o750);
    }
}
