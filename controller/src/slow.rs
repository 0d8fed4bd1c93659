//! Waits for something slow: how far it is goes into the object's status meanwhile, and it ends when the object is
//! deleted.

use std::time::Duration;

use controller_backend::Progress;
use kube::{Resource, ResourceExt};
use serde_json::json;

use crate::runtime::{Failure, Kind, Store, uid_of};
use crate::world::{World, patch_status};

/// How often the status tells how far it is.
const TELL: Duration = Duration::from_secs(1);

/// Does `work` for an object whose phase is `phase` meanwhile. Gives what came of it, and the object where it was written.
pub(crate) async fn tell_progress<K: Kind, T: Send>(
    world: &World,
    store: &Store<K::Object>,
    object: &K::Object,
    phase: &str,
    progress: &Progress,
    mut work: impl Future<Output = T> + Send + Unpin,
) -> Result<(T, Option<K::Object>), Failure> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api = world.api::<K>(object);
    let mut written: Option<K::Object> = None;
    let mut told = None;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok((done, written)),
            () = tokio::time::sleep(TELL) => {}
        }
        let now = store.get(&namespace, &name);
        if now.is_none_or(|now| uid_of(&*now) != uid_of(object) || now.meta().deletion_timestamp.is_some()) {
            return Err(Failure::Stale);
        }
        if told != progress.percent() {
            told = progress.percent();
            let status = json!({"phase": phase, "progress": told});
            // Somebody else may have changed the object: that it goes on is more important than to tell how far it is.
            if let Ok(object) = patch_status(&api, written.as_ref().unwrap_or(object), status).await {
                store.remember(object.clone());
                written = Some(object);
            }
        }
    }
}
