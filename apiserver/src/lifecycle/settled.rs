//! Decides how long one waits for the server's own say about a definition: whoever made it hears of it only when its
//! kind is served, or its names are refused, so that `kubectl apply` and `kubectl wait` in a row just work.

use std::time::Duration;

use apiserver_store::{Entry, EventKind, Key, Storage, WatchItem};
use serde_json::Value;
use tokio::time::timeout;

use super::rules;

/// How long the answer to a new definition is held back at most: a host that is busy may take seconds, and `kubectl wait` gives up
/// at once on a status without conditions. Where it takes longer, its status says when.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits a moment until the status of a definition that was just made says how it stands. Does nothing for other kinds.
pub(crate) async fn after_making(storage: &Storage, made: &Entry) {
    if made.key.resource == rules::definitions() {
        let _ = becomes(storage, &made.key, PATIENCE, |definition| definition["status"]["conditions"].is_array()).await;
    }
}

/// Waits until a definition is as wanted; whether it came to that in time.
pub(crate) async fn becomes(storage: &Storage, key: &Key, limit: Duration, wanted: impl Fn(&Value) -> bool) -> bool {
    let (snapshot, mut watch) = storage.snapshot_and_watch(&key.resource);
    if snapshot.entries.get(&key.namespace, &key.name).is_some_and(|entry| wanted(&entry.value())) {
        return true;
    }
    let waiting = async {
        while let Some(item) = watch.next().await {
            let WatchItem::Event(event) = item else { continue };
            if event.entry.key == *key && (event.kind == EventKind::Deleted || wanted(&event.entry.value())) {
                return event.kind != EventKind::Deleted;
            }
        }
        false
    };
    timeout(limit, waiting).await.unwrap_or_default()
}
