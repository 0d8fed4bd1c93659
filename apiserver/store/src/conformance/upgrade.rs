//! What an upgrade must keep: the data of a database that an earlier release made. Every dialect has the same data in
//! its `fixtures/`.

use std::sync::Arc;

use uuid::Uuid;

use crate::{Expect, Key, Meta, Operation, Revision, Store, StoreError};

use super::{batch, key, others, put};

/// Checks a store on a database that was made from the fixture of the first release.
pub async fn check_upgraded(store: &Arc<dyn Store>) {
    let meta = store.meta().await.expect("meta");
    let expected = Meta {
        revision: Revision(5),
        compacted: Revision(1),
        epoch: uuid("11111111-2222-4333-8444-555555555555"),
        installation: uuid("99999999-8888-4777-8666-555555555555"),
        seal_check: Some(b"check".to_vec()),
        restored: None,
    };
    assert_eq!(meta, expected);

    let mut objects = Vec::new();
    store.load(&mut |object| objects.push(object)).await.expect("the objects can be loaded");
    objects.sort_by_key(|object| object.revision);
    let web = uuid("aaaaaaaa-0000-4000-8000-000000000001");
    let brief: Vec<_> = objects.iter().map(|object| (object.key.clone(), object.uid, object.revision.0)).collect();
    let quoted = uuid("aaaaaaaa-0000-4000-8000-000000000003");
    assert_eq!(brief, [(Key::new(others(), "", "it's"), quoted, 3), (key("web"), web, 4)]);
    let text = String::from_utf8(objects[0].body.clone()).expect("text");
    assert!(text.ends_with("\"text\":\"ä\"}"), "{text}");

    assert!(matches!(store.changes(Revision(0), 10).await, Err(StoreError::Compacted { .. })));
    let changes = store.changes(Revision(1), 10).await.expect("changes");
    let brief: Vec<_> = changes
        .iter()
        .map(|change| (change.revision.0, change.key.name.as_str(), change.operation, change.previous.0))
        .collect();
    let expected = [
        (2, "old", Operation::Create, 0),
        (3, "it's", Operation::Create, 0),
        (4, "web", Operation::Update, 1),
        (5, "old", Operation::Delete, 2),
    ];
    assert_eq!(brief, expected);
    assert_eq!((changes[0].batch, changes[1].batch), (Some(meta.epoch), None));

    let written = batch(store, vec![put(key("web"), Expect::Revision(Revision(4)), web, "3")]).await;
    let committed = store.commit(&written).await.expect("it is written to as ever");
    assert_eq!((committed.revision, committed.results[0].is_ok()), (Revision(6), true));
    store.mark_restored(Some("later")).await.expect("what came later works too");
}

fn uuid(text: &str) -> Uuid {
    text.parse().expect("a uuid")
}
