//! Removes many objects at once.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use super::delete::{options, remove};
use super::list::Page;
use super::selection::Selection;
use super::{Call, list};
use crate::admission::protection;
use crate::error::{ApiError, Reason};
use crate::query::ListOptions;
use crate::response::Answer;

/// Deletions under way at the same time: enough to share transactions.
const CONCURRENT: usize = 32;

/// `DELETE .../{plural}`
pub(crate) async fn delete_collection(call: &Call, wanted: &ListOptions, body: Bytes) -> Result<Answer, ApiError> {
    let options = options(call, &body)?;
    let selection = Selection::new(call, wanted)?;
    let (snapshot, behind) = list::state(call, &selection, wanted).await?;
    let page = Page::cut(call, &selection, &snapshot, behind, wanted.limit);
    let found = page.entries().to_vec();

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

    futures::stream::iter(found)
        .map(|entry| {
            let options = &options;
            async move {
                match remove(&call.state, &call.served, &entry.key, options).await {
                    // Somebody else was faster.
                    Err(error) if error.reason == Reason::NotFound => Ok(()),
                    removed => removed.map(|_| ()),
                }
            }
        })
        .buffered(CONCURRENT)
        .try_collect::<()>()
        .await?;
    // Shown is what they were.
    page.present(call)
}
