//! What every adapter promises about projected files.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Fixture;
use crate::{FileSet, MachineSpec, Mount, MountSource, ProjectedFile};

/// A set of files for an owner.
pub fn set(fixture: &Fixture, number: u32, files: &[(&str, &str)]) -> FileSet {
    let files: BTreeMap<String, ProjectedFile> = files
        .iter()
        .map(|(path, content)| {
            let content = Bytes::copy_from_slice(content.as_bytes());
            ((*path).to_owned(), ProjectedFile { content, mode: 0o644 })
        })
        .collect();
    FileSet { owner: fixture.owner("Instance", "reader", number), name: "settings".to_owned(), files }
}

/// Sets are made, changed and removed any number of times, and the owners are told.
pub async fn file_sets_come_and_go(fixture: &Fixture) {
    let files = &fixture.backend.files;
    assert!(files.list().await.expect("list").is_empty());
    let first = set(fixture, 2, &[("colour", "blue"), ("deep/shape", "round")]);
    files.ensure(&first).await.expect("ensure");
    files.ensure(&first).await.expect("ensure again");
    files.ensure(&set(fixture, 2, &[("colour", "red")])).await.expect("change");
    assert_eq!(files.list().await.expect("list"), [first.owner.uid]);
    assert!(fixture.stranger.files.list().await.expect("list").is_empty());
    files.remove(first.owner.uid).await.expect("remove");
    files.remove(first.owner.uid).await.expect("removing again changes nothing");
    assert!(files.list().await.expect("list").is_empty());
}

/// A path never leaves its set.
pub async fn paths_that_leave_the_set_are_refused(fixture: &Fixture) {
    for path in ["../outside", "/etc/passwd", "a/../../b", "", "a//b", "..data"] {
        let error = fixture.backend.files.ensure(&set(fixture, 2, &[(path, "x")])).await.expect_err(path);
        assert!(matches!(error, crate::Error::Invalid { .. }), "{error:?}");
    }
    let both = set(fixture, 2, &[("a", "file"), ("a/b", "in a folder")]);
    assert!(fixture.backend.files.ensure(&both).await.is_err());
    assert!(fixture.backend.files.list().await.expect("list").is_empty());
}

/// An empty directory belongs to the machine's owner and goes with its files.
pub async fn empty_directories_are_told_of_and_removed(fixture: &Fixture) {
    let source = MountSource::Empty("scratch".to_owned());
    let mounts = vec![Mount { path: "/scratch".to_owned(), read_only: false, source }];
    let spec = MachineSpec { mounts, ..fixture.machine("scribbler", 2) };
    let id = fixture.start(&spec).await;
    assert_eq!(fixture.backend.files.list().await.expect("list"), [spec.owner.uid]);
    fixture.backend.machines.remove(&id).await.expect("remove");
    fixture.backend.files.remove(spec.owner.uid).await.expect("remove");
    assert!(fixture.backend.files.list().await.expect("list").is_empty());
}
