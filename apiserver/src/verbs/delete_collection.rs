//! Removes many objects at once.

use apiserver_store::Entry;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use std::sync::Arc;

use super::delete::{Removed, options, remove};
use super::list::Page;
use super::selection::Selection;
use super::{Call, get};
use crate::admission::protection;
use crate::error::{ApiError, Reason};
use crate::query::ListOptions;
use crate::response::Answer;

/// Deletions under way at the same time: enough to share transactions.
const CONCURRENT: usize = 32;

/// `DELETE .../{plural}`
pub(crate) async fn delete_collection(call: &Call, list: &ListOptions, body: Bytes) -> Result<Answer, ApiError> {
    let options = options(call, &body)?;
    let selection = Selection::new(call, list)?;
    get::wait(call, None).await?;
    let snapshot = call.state.storage().snapshot(&call.served.kind.resource());
    let found: Vec<Arc<Entry>> = selection.of(&call.served, &snapshot, None).cloned().collect();

    let protected: Vec<String> = found
        .iter()
        .filter(|entry| protection::is_protected(entry))
        .map(|entry| match entry.key.namespace.as_str() {
            namespace if namespace.is_empty() || !call.path.namespace.is_empty() => entry.key.name.clone(),
            namespace => format!("{namespace}/{}", entry.key.name),
        })
        .collect();
    if !protected.is_empty() {
        return Err(call.served.forbidden("", &protection::refusal(&protected)));
    }

    let removed: Vec<Option<Arc<Entry>>> = futures::stream::iter(found)
        .map(|entry| {
            let options = &options;
            async move {
                match remove(&call.state, &call.served, &entry.key, options).await {
                    Ok(Removed::Gone(last) | Removed::Waits(last)) => Ok(Some(last)),
                    Ok(Removed::Dry(..)) => Ok(Some(entry)),
                    // Somebody else was faster.
                    Err(error) if error.reason == Reason::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            }
        })
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    Page::of(removed.into_iter().flatten().collect(), call.state.storage().revision()).present(call)
}
