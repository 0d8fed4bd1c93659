//! Decides how one object is followed: its state now, then each later state, until the caller has seen enough.

use serde_json::Value;

use super::{ApiError, JSON, News, Query, Resource, Session, Watch};

/// What was seen of an object.
#[derive(Debug)]
pub(crate) enum Sight {
    /// It is there, in this state.
    Present(Value),
    /// It is not there.
    Gone,
}

/// Follows one object by name.
pub(crate) struct Follow<'a> {
    watch: Watch<'a>,
}

impl<'a> Follow<'a> {
    /// Follows `name`; for a kind without namespaces the namespace is not looked at.
    pub(crate) fn new(session: &'a Session, resource: &Resource, namespace: &str, name: &str) -> Self {
        let query = Query::new().with("fieldSelector", format!("metadata.name={name}"));
        Self { watch: Watch::new(session, resource.collection(Some(namespace)), query, JSON) }
    }

    /// The object's state: at once the first time, then whenever it changed.
    pub(crate) async fn next(&mut self) -> Result<Sight, ApiError> {
        Ok(match self.watch.next().await? {
            News::Listed(mut list) => match list["items"].get_mut(0) {
                Some(object) => Sight::Present(object.take()),
                None => Sight::Gone,
            },
            News::Changed(object) => Sight::Present(object),
            News::Deleted(_) => Sight::Gone,
        })
    }
}
