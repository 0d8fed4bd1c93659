//! A log on a real disk: what is written, found again, and noticed when somebody lays hands on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apiserver_store::memory::MemoryStore;
use apiserver_store::{Storage, StorageOptions};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::SystemClock;

fn open_with(folder: &Path, file_bytes: u64, files: usize) -> Audit {
    let folder = folder.to_owned();
    let options = AuditOptions { folder, policy: Policy::default(), file_bytes, files, clock: Arc::new(SystemClock) };
    Audit::open(options).unwrap()
}

fn open(folder: &Path) -> Audit {
    open_with(folder, 1 << 20, 3)
}

async fn storage() -> Storage {
    let store = Arc::new(MemoryStore::new(Uuid::from_u128(1)));
    Storage::open(store, StorageOptions::default()).await.unwrap()
}

async fn write(audit: &Audit, count: usize) {
    for number in 0..count {
        audit.log(event::of_log("test", "number", &number.to_string(), audit.clock.now())).await;
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    Folder::open(folder).unwrap().list().unwrap().into_iter().map(|file| file.path).collect()
}

async fn problems(audit: &Audit, storage: &Storage) -> Vec<String> {
    audit.verify(storage, None).await.unwrap().problems
}

/// Has the store note the newest line.
async fn note(audit: &Arc<Audit>, storage: &Storage) {
    let ended = CancellationToken::new();
    ended.cancel();
    Arc::clone(audit).keep_noted(storage.clone(), ended).await;
}

#[tokio::test]
async fn log_goes_on_where_it_was_and_is_whole() {
    let place = tempfile::tempdir().unwrap();
    let storage = storage().await;
    let audit = open(place.path());
    write(&audit, 3).await;
    drop(audit);
    let audit = open(place.path());
    write(&audit, 2).await;
    let report = audit.verify(&storage, None).await.unwrap();
    assert_eq!((report.lines, report.first, report.last, &report.problems[..]), (5, 1, 5, &[][..]));
    let again = audit.verify(&storage, Some((5, &report.hash))).await.unwrap();
    assert_eq!(again.problems, Vec::<String>::new());
}

#[tokio::test]
async fn line_that_was_changed_taken_out_or_put_in_is_noticed() {
    let place = tempfile::tempdir().unwrap();
    let storage = storage().await;
    let audit = open(place.path());
    write(&audit, 4).await;
    let file = &files(place.path())[0];
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let changed = text.replace("\"number\":\"1\"", "\"number\":\"7\"");
    let without_second = [lines[0], lines[2], lines[3], ""].join("\n");
    let without_last = [lines[0], lines[1], lines[2], ""].join("\n");
    let doubled = [lines[0], lines[1], lines[1], lines[2], lines[3], ""].join("\n");
    for (what, expected) in [
        (&changed, "line 2 is not what it was when this one was written"),
        (&without_second, "lines 2 to 2 are missing"),
        (&without_last, "lines 4 to 4 are missing at the end"),
        (&doubled, "is line 2 again"),
        (&"{}\n".to_owned(), "is no line of the log"),
    ] {
        fs::write(file, what).unwrap();
        let found = problems(&audit, &storage).await;
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:?}");
    }
    fs::write(file, &text).unwrap();
    assert_eq!(problems(&audit, &storage).await, Vec::<String>::new());
}

#[tokio::test]
async fn log_that_was_made_anew_while_the_server_was_away_is_noticed_for_ever() {
    for cut in [false, true] {
        let place = tempfile::tempdir().unwrap();
        let storage = storage().await;
        let audit = Arc::new(open(place.path()));
        write(&audit, 4).await;
        note(&audit, &storage).await;
        drop(audit);
        let mut forged = Vec::new();
        let mut head = Head::NONE;
        for _ in 0..if cut { 2 } else { 4 } {
            head.append(&event::of_log("forged", "number", "0", SystemClock.now()), &mut forged);
        }
        fs::write(&files(place.path())[0], forged).unwrap();

        for _ in 0..2 {
            let audit = Arc::new(open(place.path()));
            note(&audit, &storage).await;
            write(&audit, 1).await;
            let found = problems(&audit, &storage).await;
            assert!(!found.is_empty(), "cut: {cut}");
            assert!(found.iter().any(|problem| problem.contains("found when the server started")), "{found:?}");
            let lines: String = files(place.path()).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
            assert_eq!(lines.matches(event::FINDING).count(), 1, "it is found once: {lines}");
        }
    }
}

#[tokio::test]
async fn line_that_somebody_wrote_down_is_compared() {
    let place = tempfile::tempdir().unwrap();
    let storage = storage().await;
    let audit = open(place.path());
    write(&audit, 2).await;
    let found = audit.verify(&storage, Some((1, &"0".repeat(64)))).await.unwrap().problems;
    assert!(found[0].contains("line 1 is not what it was when you wrote it down"), "{found:?}");
    let found = audit.verify(&storage, Some((9, &"0".repeat(64)))).await.unwrap().problems;
    assert!(found[0].contains("line 9 is missing"), "{found:?}");
    assert!(audit.verify(&storage, Some((1, "x"))).await.is_err());
}

#[tokio::test]
async fn log_that_is_gone_altogether_is_told_of() {
    let place = tempfile::tempdir().unwrap();
    let (folder, storage) = (place.path().join("audit"), storage().await);
    let audit = Arc::new(open(&folder));
    write(&audit, 3).await;
    note(&audit, &storage).await;
    drop(audit);
    fs::remove_dir_all(&folder).unwrap();
    let found = problems(&open(&folder), &storage).await;
    assert!(found[0].contains("a log of 3 lines"), "{found:?}");
}

#[tokio::test]
async fn oldest_files_go_and_the_rest_is_whole() {
    let place = tempfile::tempdir().unwrap();
    let storage = storage().await;
    let audit = open_with(place.path(), 2000, 2);
    write(&audit, 50).await;
    assert_eq!(files(place.path()).len(), 2);
    let report = audit.verify(&storage, None).await.unwrap();
    assert!(report.first > 1 && report.problems.is_empty(), "{report:?}");
    drop(audit);

    let audit = open_with(place.path(), 2000, 2);
    write(&audit, 1).await;
    assert_eq!(problems(&audit, &storage).await, Vec::<String>::new());
    fs::remove_file(&files(place.path())[0]).unwrap();
    let found = problems(&audit, &storage).await;
    assert!(found.iter().any(|problem| problem.contains("not removed for their age")), "{found:?}");
}

#[tokio::test]
async fn beginning_of_a_line_that_a_power_cut_left_goes() {
    let place = tempfile::tempdir().unwrap();
    let storage = storage().await;
    let audit = open(place.path());
    write(&audit, 2).await;
    drop(audit);
    let file = &files(place.path())[0];
    let mut text = fs::read(file).unwrap();
    text.extend_from_slice(b"{\"kind\":\"Ev");
    fs::write(file, text).unwrap();
    let audit = open(place.path());
    write(&audit, 1).await;
    assert_eq!(problems(&audit, &storage).await, Vec::<String>::new());
}

#[tokio::test]
async fn second_process_does_not_write_into_the_same_log() {
    let place = tempfile::tempdir().unwrap();
    let _audit = open(place.path());
    let options = AuditOptions {
        folder: place.path().to_owned(),
        policy: Policy::default(),
        file_bytes: 1,
        files: 1,
        clock: Arc::new(SystemClock),
    };
    assert!(matches!(Audit::open(options), Err(AuditError::Taken(_))));
}

#[tokio::test]
async fn log_that_cannot_be_written_keeps_nobody_waiting_and_says_why() {
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", place.path().join("audit-0000000000000001.jsonl")).unwrap();
    let audit = open(place.path());
    for when in ["what fails first", "what comes while it is tried again"] {
        tokio::time::timeout(Duration::from_secs(10), write(&audit, 1)).await.expect(when);
    }
    assert!(audit.standing.failure().unwrap().is_full, "{:?}", audit.standing.failure());
}
