//! Which objects a list, watch or deletion of many is about: namespace, labels and fields.

use std::ops::Bound;
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
        let labels = options.labels.as_deref().map(label::Selector::parse).transpose()?;
        let fields = options
            .fields
            .as_deref()
            .map(|text| field::Selector::parse(text, &call.served.kind, call.served.version()))
            .transpose()?;
        Ok(Self {
            namespace: call.path.namespace.clone(),
            labels: labels.filter(|selector| !selector.is_empty()),
            fields: fields.filter(|selector| !selector.is_empty()),
        })
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
        let start = match behind {
            Some(place) => Bound::Excluded(place),
            None => Bound::Included((self.namespace.clone(), String::new())),
        };
        snapshot
            .entries
            .range((start, Bound::Unbounded))
            .map(|(_, entry)| entry)
            .take_while(|entry| self.namespace.is_empty() || entry.key.namespace == self.namespace)
            .filter(|entry| self.contains(served, entry))
    }
}
