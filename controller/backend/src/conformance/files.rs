//! What every adapter promises about projected files.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Fixture;
use crate::{FileSet, MachineSpec, Mount, MountSource, ProjectedFile};

/// A set of files.
pub fn set(name: &str, files: &[(&str, &str)]) -> FileSet {
    let files: BTreeMap<String, ProjectedFile> = files
        .iter()
        .map(|(path, content)| {
            let content = Bytes::copy_from_slice(content.as_bytes());
            ((*path).to_owned(), ProjectedFile { content, mode: 0o644 })
        })
        .collect();
    FileSet { name: name.to_owned(), files }
}

/// Sets are made, changed and removed any number of times, and the owners are told.
pub async fn file_sets_come_and_go(fixture: &Fixture) {
    let files = &fixture.backend.files;
    assert!(files.list().await.expect("list").is_empty());
    let owner = fixture.owner("Instance", "reader", 2);
    let first = [set("settings", &[("colour", "blue"), ("deep/shape", "round")])];
    files.ensure(&owner, &first).await.expect("ensure");
    files.ensure(&owner, &first).await.expect("ensure again");
    files.ensure(&owner, &[set("settings", &[("colour", "red")])]).await.expect("change");
    assert_eq!(files.list().await.expect("list"), [owner.uid]);
    assert!(fixture.stranger.files.list().await.expect("list").is_empty());
    files.remove(owner.uid).await.expect("remove");
    files.remove(owner.uid).await.expect("removing again changes nothing");
    assert!(files.list().await.expect("list").is_empty());
}

/// A set that is wanted no more goes, and the owner with its last one.
pub async fn sets_that_are_wanted_no_more_go(fixture: &Fixture) {
    let files = &fixture.backend.files;
    let owner = fixture.owner("Instance", "reader", 2);
    let (one, other) = (set("one", &[("a", "1")]), set("other", &[("b", "2")]));
    files.ensure(&owner, &[one.clone(), other]).await.expect("ensure both");
    files.ensure(&owner, std::slice::from_ref(&one)).await.expect("ensure one");
    let reads = |name: &str| Mount {
        path: "/settings".to_owned(),
        read_only: true,
        source: MountSource::Files(name.to_owned()),
    };
    let mut spec = MachineSpec { mounts: vec![reads("other")], ..fixture.machine("reader", 2) };
    assert!(fixture.backend.machines.create(&spec).await.expect_err("its files are gone").is_not_found());
    spec.mounts = vec![reads("one")];
    let id = fixture.backend.machines.create(&spec).await.expect("the other set is there");
    fixture.backend.machines.remove(&id).await.expect("remove");
    files.ensure(&owner, &[]).await.expect("ensure none");
    assert!(files.list().await.expect("list").is_empty());
}

/// What is refreshed changes, and nothing comes or goes by it.
pub async fn sets_that_are_refreshed_are_those_that_are_there(fixture: &Fixture) {
    let files = &fixture.backend.files;
    let owner = fixture.owner("Instance", "reader", 2);
    files.refresh(&owner, &[set("one", &[("a", "1")])]).await.expect("nothing to refresh");
    assert!(files.list().await.expect("list").is_empty());
    files.ensure(&owner, &[set("one", &[("a", "1")]), set("other", &[("a", "2")])]).await.expect("ensure");
    files.refresh(&owner, &[set("one", &[("a", "3")]), set("third", &[("a", "4")])]).await.expect("refresh");
    for (name, text) in [("one", Some("3")), ("other", Some("2")), ("third", None)] {
        let source = MountSource::Files(name.to_owned());
        let mounts = vec![Mount { path: "/settings".to_owned(), read_only: true, source }];
        let spec = MachineSpec { mounts, ..fixture.machine("reader", 2) };
        match (fixture.backend.machines.create(&spec).await, text) {
            (Ok(id), Some(_)) => fixture.backend.machines.remove(&id).await.expect("remove"),
            (Err(error), None) => assert!(error.is_not_found(), "{error:?}"),
            (made, _) => panic!("{name}: {made:?}"),
        }
        let read = |folder: std::path::PathBuf| std::fs::read_to_string(folder.join("a")).ok();
        if let Some(folder) = files.directory(owner.uid, name) {
            assert_eq!(read(folder).as_deref(), text, "{name}");
        }
    }
    files.remove(owner.uid).await.expect("remove");
}

/// A path never leaves its set.
pub async fn paths_that_leave_the_set_are_refused(fixture: &Fixture) {
    let owner = fixture.owner("Instance", "reader", 2);
    for path in ["../outside", "/etc/passwd", "a/../../b", "", "a//b", "..data"] {
        let error = fixture.backend.files.ensure(&owner, &[set("settings", &[(path, "x")])]).await.expect_err(path);
        assert!(matches!(error, crate::Error::Invalid { .. }), "{error:?}");
    }
    let both = set("settings", &[("a", "file"), ("a/b", "in a folder")]);
    assert!(fixture.backend.files.ensure(&owner, &[both]).await.is_err());
    assert!(fixture.backend.files.list().await.expect("list").is_empty());
}

/// An empty directory leaves nothing behind: it is the machine's own memory.
pub async fn empty_directories_leave_nothing_behind(fixture: &Fixture) {
    let source = MountSource::Empty { size_bytes: 1 << 20 };
    let mounts = vec![Mount { path: "/scratch".to_owned(), read_only: false, source }];
    let spec = MachineSpec { mounts, ..fixture.machine("scribbler", 2) };
    let id = fixture.start(&spec).await;
    assert!(fixture.backend.files.list().await.expect("list").is_empty());
    fixture.backend.machines.remove(&id).await.expect("remove");
}
