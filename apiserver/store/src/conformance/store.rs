//! The guarantees of the port.

use std::sync::Arc;

use futures::future::join_all;
use uuid::Uuid;

use crate::{
    Accepted, Batch, Change, Committed, Expect, Key, Operation, Rejection, ResourceId, Revision, Store, StoreError,
    StoredObject, Write,
};

use super::{Database, batch, create, delete, key, others, put, things};

const UID: Uuid = Uuid::from_u128(0x1234);

async fn commit(store: &Arc<dyn Store>, writes: Vec<Write>) -> Committed {
    store.commit(&batch(store, writes).await).await.expect("a batch can be committed")
}

async fn objects(store: &Arc<dyn Store>) -> Vec<StoredObject> {
    let mut objects = Vec::new();
    store.load(&mut |object| objects.push(object)).await.expect("the objects can be loaded");
    objects.sort_by(|one, other| one.key.cmp(&other.key));
    objects
}

fn revisions(committed: &Committed) -> Vec<Option<u64>> {
    let number = |result: &Result<Accepted, Rejection>| result.ok().map(|accepted| accepted.revision.0);
    committed.results.iter().map(number).collect()
}

pub(super) async fn new_store_is_empty(database: &dyn Database) {
    let store = database.open().await;
    let meta = store.meta().await.expect("there is meta data");
    assert_eq!((meta.revision, meta.compacted), (Revision::ZERO, Revision::ZERO));
    assert_eq!(meta.seal_check, None);
    assert!(!meta.installation.is_nil() && !meta.epoch.is_nil());
    assert_eq!(objects(&store).await, []);
    assert_eq!(store.changes(Revision::ZERO, 10).await.expect("no changes"), []);
}

pub(super) async fn accepted_writes_have_dense_revisions(database: &dyn Database) {
    let store = database.open().await;
    let first = commit(&store, vec![create(key("a"), "1"), create(key("b"), "1"), create(key("a"), "2")]).await;
    assert_eq!(revisions(&first), [Some(1), Some(2), None]);
    assert_eq!((first.base, first.revision), (Revision(0), Revision(2)));
    let second = commit(&store, vec![create(key("b"), "2"), create(key("c"), "1")]).await;
    assert_eq!(revisions(&second), [None, Some(3)]);
    assert_eq!((second.base, second.revision), (Revision(2), Revision(3)));
    assert_eq!(store.meta().await.expect("meta").revision, Revision(3));
    let held: Vec<_> = objects(&store).await.into_iter().map(|object| (object.key.name, object.revision.0)).collect();
    assert_eq!(held, [("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 3)]);
}

pub(super) async fn wrong_expectation_is_rejected_with_its_reason(database: &dyn Database) {
    let store = database.open().await;
    commit(&store, vec![create(key("a"), "1")]).await;
    let committed = commit(
        &store,
        vec![
            create(key("a"), "2"),
            put(key("a"), Expect::Revision(Revision(7)), UID, "2"),
            put(key("b"), Expect::Revision(Revision(1)), UID, "2"),
            delete(key("a"), Revision(9), "2"),
            delete(key("b"), Revision(1), "2"),
            Write { expect: Expect::Absent, ..delete(key("b"), Revision(1), "2") },
        ],
    )
    .await;
    let current = Revision(1);
    assert_eq!(
        committed.results,
        [
            Err(Rejection::AlreadyExists { current }),
            Err(Rejection::Conflict { current }),
            Err(Rejection::NotFound),
            Err(Rejection::Conflict { current }),
            Err(Rejection::NotFound),
            Err(Rejection::NotFound),
        ]
    );
}

pub(super) async fn writes_of_one_key_in_a_batch_see_each_other(database: &dyn Database) {
    let store = database.open().await;
    let committed = commit(
        &store,
        vec![
            put(key("a"), Expect::Absent, UID, "1"),
            put(key("a"), Expect::Revision(Revision(1)), UID, "2"),
            put(key("a"), Expect::Revision(Revision(1)), UID, "lost"),
            delete(key("a"), Revision(2), "2"),
            put(key("a"), Expect::Absent, Uuid::from_u128(9), "3"),
            create(key("gone"), "1"),
            delete(key("gone"), Revision(5), "1"),
        ],
    )
    .await;
    assert_eq!(revisions(&committed), [Some(1), Some(2), None, Some(3), Some(4), Some(5), Some(6)]);
    assert_eq!(committed.results[2], Err(Rejection::Conflict { current: Revision(2) }));
    let held = objects(&store).await;
    assert_eq!(held.len(), 1, "only the last state of each key is held: {held:?}");
    assert_eq!((held[0].revision, held[0].uid), (Revision(4), Uuid::from_u128(9)));
    assert_eq!(store.changes(Revision::ZERO, 10).await.expect("changes").len(), 6);
}

pub(super) async fn bound_writes_happen_together_or_not_at_all(database: &dyn Database) {
    let store = database.open().await;
    commit(&store, vec![create(key("count"), "0")]).await;
    let count = |value: &str| put(key("count"), Expect::Revision(Revision(1)), UID, value);
    let writes = vec![create(key("a"), "1"), count("1"), create(key("b"), "1"), count("2"), create(key("c"), "1")];
    let bound = Batch { bonds: vec![0..2, 2..4], ..batch(&store, writes).await };
    let committed = store.commit(&bound).await.expect("committed");
    assert_eq!(revisions(&committed), [Some(2), Some(3), None, None, Some(4)]);
    assert_eq!(committed.results[2], Err(Rejection::Bound));
    assert_eq!(committed.results[3], Err(Rejection::Conflict { current: Revision(3) }));
    let names: Vec<_> = objects(&store).await.into_iter().map(|object| object.key.name).collect();
    assert_eq!(names, ["a", "c", "count"]);
    assert_eq!(store.changes(Revision(1), 10).await.expect("changes").len(), 3);
}

pub(super) async fn rejected_batch_leaves_no_trace(database: &dyn Database) {
    let store = database.open().await;
    let committed = commit(&store, vec![delete(key("a"), Revision(1), "1")]).await;
    assert_eq!((committed.base, committed.revision), (Revision(0), Revision(0)));
    assert_eq!(store.meta().await.expect("meta").revision, Revision(0));
    assert_eq!(store.changes(Revision::ZERO, 10).await.expect("changes"), []);
    assert_eq!(revisions(&commit(&store, vec![create(key("a"), "1")]).await), [Some(1)]);
}

pub(super) async fn changes_tell_what_happened_in_order(database: &dyn Database) {
    let store = database.open().await;
    let elsewhere = Key::new(others(), "", "x");
    let writes = vec![
        put(key("a"), Expect::Absent, UID, "1"),
        put(elsewhere.clone(), Expect::Absent, UID, "1"),
        put(key("a"), Expect::Revision(Revision(1)), UID, "2"),
        delete(key("a"), Revision(3), "last"),
    ];
    commit(&store, writes.clone()).await;
    let changes = store.changes(Revision::ZERO, 10).await.expect("changes");
    let told: Vec<_> = changes
        .iter()
        .map(|change| (change.revision.0, &change.key, change.operation, change.previous.0, change.uid))
        .collect();
    let expected = [
        (1, &key("a"), Operation::Create, 0, UID),
        (2, &elsewhere, Operation::Create, 0, UID),
        (3, &key("a"), Operation::Update, 1, UID),
        (4, &key("a"), Operation::Delete, 3, UID),
    ];
    assert_eq!(told, expected);
    for (change, write) in changes.iter().zip(&writes) {
        assert_eq!(change.body, write.change.body());
    }
}

pub(super) async fn changes_come_in_pages(database: &dyn Database) {
    let store = database.open().await;
    commit(&store, (0..10).map(|number| create(key(&number.to_string()), "1")).collect()).await;
    let mut seen = Vec::new();
    let mut after = Revision::ZERO;
    loop {
        let page = store.changes(after, 3).await.expect("a page");
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = last.revision;
        seen.extend(page.into_iter().map(|change| change.revision.0));
    }
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
}

pub(super) async fn first_change_of_a_batch_carries_its_id(database: &dyn Database) {
    let store = database.open().await;
    let doomed = delete(key("never"), Revision(1), "1");
    let first = batch(&store, vec![doomed, create(key("a"), "1"), create(key("b"), "1")]).await;
    let second = batch(&store, vec![create(key("c"), "1")]).await;
    store.commit(&first).await.expect("commit");
    store.commit(&second).await.expect("commit");
    let changes = store.changes(Revision::ZERO, 10).await.expect("changes");
    let ids: Vec<_> = changes.iter().map(|change| change.batch).collect();
    assert_eq!(ids, [Some(first.id), None, Some(second.id)]);
}

pub(super) async fn any_name_and_any_bytes_are_kept(database: &dyn Database) {
    let store = database.open().await;
    let names = ["a", "A", "ä", "a b", "a'b\"c", "a/b", "a:b.c-d", "日本", "a\u{1}b", "%_", "a", "[1,2]"];
    let bytes: Vec<u8> = (0..=255).collect();
    let write = |name: &str, namespace: &str| Write {
        key: Key::new(things(), namespace, name),
        expect: Expect::Absent,
        change: Change::Put { uid: UID, body: bytes.clone() },
    };
    let mut writes: Vec<Write> = names.iter().map(|name| write(name, "default")).collect();
    writes.push(write("a", ""));
    writes.push(write("a", "Default"));
    let committed = commit(&store, writes).await;
    let refused: Vec<usize> = (0..committed.results.len()).filter(|place| committed.results[*place].is_err()).collect();
    assert_eq!(refused, [10], "only the second `a` of the namespace is refused");
    let held = objects(&store).await;
    assert_eq!(held.len(), 13);
    assert!(held.iter().all(|object| object.body == bytes));
    assert!(names.iter().all(|name| held.iter().any(|object| object.key.name == *name)));
    let large = vec![b'x'; 3 << 20];
    let change = Change::Put { uid: UID, body: large.clone() };
    commit(&store, vec![Write { change, ..create(key("large"), "") }]).await;
    let held = objects(&store).await;
    assert!(held.iter().any(|object| object.body == large), "3 MiB are kept");
}

pub(super) async fn reopened_store_has_everything(database: &dyn Database) {
    let store = database.open().await;
    commit(&store, (0..100).map(|number| create(key(&number.to_string()), "1")).collect()).await;
    commit(&store, vec![delete(key("7"), Revision(8), "1"), create(Key::new(others(), "", "x"), "1")]).await;
    let before = (
        store.meta().await.expect("meta"),
        objects(&store).await,
        store.changes(Revision::ZERO, 1_000).await.expect("changes"),
    );
    drop(store);
    let store = database.open().await;
    let after = (
        store.meta().await.expect("meta"),
        objects(&store).await,
        store.changes(Revision::ZERO, 1_000).await.expect("changes"),
    );
    assert_eq!(before, after);
    let committed = commit(&store, vec![create(key("8"), "2"), create(key("7"), "2")]).await;
    assert_eq!(revisions(&committed), [None, Some(103)]);
}

pub(super) async fn compaction_forgets_changes_and_keeps_objects(database: &dyn Database) {
    let store = database.open().await;
    for round in 0..50_u64 {
        let writes = (0..100).map(|number| create(key(&format!("{round}-{number}")), "1")).collect();
        commit(&store, writes).await;
    }
    store.compact(Revision(4_900)).await.expect("compaction");
    assert_eq!(store.meta().await.expect("meta").compacted, Revision(4_900));
    assert_eq!(objects(&store).await.len(), 5_000);
    for old in [0, 1, 4_899] {
        match store.changes(Revision(old), 10).await {
            Err(StoreError::Compacted { compacted: Revision(4_900) }) => {}
            other => panic!("changes after {old} are {other:?}"),
        }
    }
    let rest = store.changes(Revision(4_900), 1_000).await.expect("the rest is there");
    assert_eq!(rest.len(), 100);
    assert_eq!(rest[0].revision, Revision(4_901));
    drop(store);
    let store = database.open().await;
    assert_eq!(store.meta().await.expect("meta").compacted, Revision(4_900));
    assert_eq!(revisions(&commit(&store, vec![create(key("new"), "1")]).await), [Some(5_001)]);
}

pub(super) async fn compaction_never_goes_back_or_ahead(database: &dyn Database) {
    let store = database.open().await;
    commit(&store, (0..10).map(|number| create(key(&number.to_string()), "1")).collect()).await;
    store.compact(Revision(5)).await.expect("compaction");
    store.compact(Revision(3)).await.expect("compaction");
    assert_eq!(store.meta().await.expect("meta").compacted, Revision(5));
    store.compact(Revision(99)).await.expect("compaction");
    assert_eq!(store.meta().await.expect("meta").compacted, Revision(10));
    assert_eq!(store.changes(Revision(10), 10).await.expect("changes"), []);
    commit(&store, vec![create(key("new"), "1")]).await;
    assert_eq!(store.changes(Revision(10), 10).await.expect("changes").len(), 1);
}

pub(super) async fn concurrent_commits_leave_no_hole(database: &dyn Database) {
    let store = database.open().await;
    let committers = (0..8).map(|committer| {
        let store = Arc::clone(&store);
        async move {
            let mut won = 0;
            for round in 0..25 {
                let own = create(
                    Key::new(ResourceId::new("", format!("r{}", round % 5)), "", format!("{committer}-{round}")),
                    "1",
                );
                let contended = create(key(&round.to_string()), "1");
                let committed = commit(&store, vec![contended, own]).await;
                let accepted = committed.results.iter().flatten().count();
                assert_eq!(committed.revision.0 - committed.base.0, accepted as u64);
                assert!(committed.results[1].is_ok());
                won += u64::from(committed.results[0].is_ok());
            }
            won
        }
    });
    let won: u64 = join_all(committers).await.into_iter().sum();
    assert_eq!(won, 25, "each contended key was created exactly once");
    let total = 8 * 25 + 25;
    assert_eq!(store.meta().await.expect("meta").revision, Revision(total));
    let changes = store.changes(Revision::ZERO, 10_000).await.expect("changes");
    let numbers: Vec<u64> = changes.iter().map(|change| change.revision.0).collect();
    assert_eq!(numbers, (1..=total).collect::<Vec<_>>());
}

pub(super) async fn empty_batch_tells_the_revision(database: &dyn Database) {
    let store = database.open().await;
    commit(&store, vec![create(key("a"), "1")]).await;
    let committed = commit(&store, vec![]).await;
    assert_eq!((committed.base, committed.revision), (Revision(1), Revision(1)));
    assert_eq!(committed.results, []);
}

pub(super) async fn seal_check_is_kept_once(database: &dyn Database) {
    let store = database.open().await;
    assert_eq!(store.keep_seal_check(b"first").await.expect("kept"), b"first");
    assert_eq!(store.keep_seal_check(b"second").await.expect("kept"), b"first");
    drop(store);
    let meta = database.open().await.meta().await.expect("meta");
    assert_eq!(meta.seal_check.as_deref(), Some(b"first".as_slice()));
}

pub(super) async fn batch_of_another_seal_check_does_not_happen(database: &dyn Database) {
    let store = database.open().await;
    store.keep_seal_check(b"first").await.expect("kept");
    let named = async |name: &str, check: &[u8]| Batch {
        seal_check: Some(check.to_vec()),
        ..batch(&store, vec![create(key(name), "1")]).await
    };
    store.commit(&named("a", b"first").await).await.expect("committed");
    assert!(!store.replace_seal_check(b"another", b"second").await.expect("asked"));
    store.commit(&named("b", b"first").await).await.expect("committed");
    assert!(store.replace_seal_check(b"first", b"second").await.expect("asked"));
    let refused = store.commit(&named("c", b"first").await).await;
    assert!(matches!(refused, Err(StoreError::NewKeys)), "{refused:?}");
    store.commit(&named("d", b"second").await).await.expect("committed");
    let unnamed = batch(&store, vec![create(key("e"), "1")]).await;
    assert_eq!(
        store.commit(&unnamed).await.expect("committed").revision,
        Revision(4),
        "the refused one took no revision"
    );
    assert_eq!(store.meta().await.expect("meta").seal_check.as_deref(), Some(b"second".as_slice()));
}

pub(super) async fn closed_store_refuses_or_answers_but_never_hangs(database: &dyn Database) {
    let store = database.open().await;
    commit(&store, vec![create(key("a"), "1")]).await;
    let late = batch(&store, vec![create(key("b"), "1")]).await;
    store.close().await;
    let _ = store.meta().await;
    let _ = store.commit(&late).await;
    store.close().await;
    drop(store);
    let store = database.open().await;
    assert!(objects(&store).await.iter().any(|object| object.key == key("a")));
}
