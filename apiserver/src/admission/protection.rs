//! Decides whether something stands under `spec.deletionProtection`, alone or inside what is to go.

use apiserver_store::{Entry, Storage};

use crate::catalog::Edition;
use crate::registry::Kind;

const FIELD: &[u8] = b"\"deletionProtection\":true";
/// Names that a refusal lists at most.
const LISTED: usize = 10;

/// Whether the object refuses to be deleted.
pub(crate) fn is_protected(entry: &Entry) -> bool {
    // Nearly no object has the field: parsing is only for those that mention it.
    entry.body.windows(FIELD.len()).any(|window| window == FIELD) && entry.value()["spec"]["deletionProtection"] == true
}

/// Why a protected object is not deleted.
pub(crate) const REASON: &str = "it is protected against deletion: set `spec.deletionProtection` to false first";

/// The protected objects of a namespace, as `plural.group/name`.
pub(crate) fn within_namespace(storage: &Storage, edition: &Edition, namespace: &str) -> Vec<String> {
    let kinds = edition.registry.kinds().filter(|kind| kind.namespaced && kind.stored_as.is_none());
    kinds.flat_map(|kind| within(storage, kind, Some(namespace))).collect()
}

/// The protected objects of a kind.
pub(crate) fn within_kind(storage: &Storage, kind: &Kind) -> Vec<String> {
    within(storage, kind, None)
}

fn within(storage: &Storage, kind: &Kind, namespace: Option<&str>) -> Vec<String> {
    let resource = kind.resource();
    let snapshot = storage.snapshot(&resource);
    let entries: Box<dyn Iterator<Item = _>> = match namespace {
        Some(namespace) => Box::new(snapshot.entries.within(namespace)),
        None => Box::new(snapshot.entries.iter()),
    };
    entries
        .filter(|entry| is_protected(entry))
        .map(|entry| match (namespace, entry.key.namespace.as_str()) {
            (None, outer) if !outer.is_empty() => format!("{resource}/{outer}/{}", entry.key.name),
            _ => format!("{resource}/{}", entry.key.name),
        })
        .collect()
}

/// The sentence that names what stands in the way.
pub(crate) fn refusal(protected: &[String]) -> String {
    let shown = protected.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    let more = protected.len().saturating_sub(LISTED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("protected against deletion: {shown}{rest}; set `spec.deletionProtection` to false there first")
}
