//! Which objects a list, watch or deletion of many is about: namespace, labels and fields.

use std::sync::Arc;

use apiserver_store::{Entry, Snapshot};

use super::Call;
use super::served::Served;
use crate::error::ApiError;
use crate::query::ListOptions;
use crate::selector::{field, label};

/// A set of objects.
#[derive(Debug)]
pub(crate) struct Selection {
    namespace: String,
    labels: Option<label::Selector>,
    fields: Option<field::Selector>,
}

impl Selection {
    pub(crate) fn new(call: &Call, options: &ListOptions) -> Result<Self, ApiError> {
        let fields = options.fields.of(&call.served.kind, call.served.version())?;
        Ok(Self {
            namespace: call.path.namespace.clone(),
            labels: Some(options.labels.clone()).filter(|selector| !selector.is_empty()),
            fields: Some(fields).filter(|selector| !selector.is_empty()),
        })
    }

    /// Whether it can only be about one object, of which there is no more than one page.
    pub(crate) fn is_of_one(&self, served: &Served) -> bool {
        let is_placed = !served.kind.namespaced || !self.namespace.is_empty();
        is_placed && self.fields.as_ref().is_some_and(|selector| selector.name().is_some())
    }

    /// Whether only the namespace selects.
    pub(crate) fn is_plain(&self) -> bool {
        self.labels.is_none() && self.fields.is_none()
    }

    pub(crate) fn contains(&self, served: &Served, entry: &Entry) -> bool {
        (self.namespace.is_empty() || entry.key.namespace == self.namespace)
            && self.labels.as_ref().is_none_or(|selector| selector.matches(&entry.labels))
            && self.fields.as_ref().is_none_or(|selector| {
                selector.name().is_none_or(|name| name == entry.key.name) && selector.matches(&served.value(entry))
            })
    }

    /// The selected objects behind a place, in order.
    pub(crate) fn of<'a>(
        &'a self,
        served: &'a Served,
        snapshot: &'a Snapshot,
        behind: Option<(String, String)>,
    ) -> impl Iterator<Item = &'a Arc<Entry>> {
        let Snapshot { entries, .. } = snapshot;
        let is_inside = |entry: &&Arc<Entry>| self.namespace.is_empty() || entry.key.namespace == self.namespace;
        let candidates: Box<dyn Iterator<Item = &'a Arc<Entry>> + 'a> = match behind {
            Some((namespace, name)) => Box::new(entries.behind(&namespace, &name).take_while(is_inside)),
            None => match self.one_name(served) {
                Some(name) => Box::new(entries.get(&self.namespace, name).into_iter()),
                None if self.namespace.is_empty() => Box::new(entries.iter()),
                None => Box::new(entries.within(&self.namespace)),
            },
        };
        candidates.filter(|entry| self.contains(served, entry))
    }

    /// The name of the one object that can be meant: kubectl waits for one object with a list of this form.
    fn one_name(&self, served: &Served) -> Option<&str> {
        let is_whole = !served.kind.namespaced || !self.namespace.is_empty();
        self.fields.as_ref().and_then(field::Selector::name).filter(|_| is_whole)
    }
}
