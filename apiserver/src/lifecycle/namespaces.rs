//! Empties a namespace that is being deleted and lets it go when nothing is left; its conditions say what remains, what
//! could not be deleted and which finalizers hold it.

use std::collections::BTreeMap;
use std::sync::Arc;

use apiserver_store::{Entry, Key};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::{Lifecycle, rules};
use crate::admission::metadata;
use crate::error::{ApiError, Reason};
use crate::query::DeleteOptions;
use crate::verbs::delete;
use crate::verbs::served::Served;

/// Deletions under way at the same time.
const CONCURRENT: usize = 32;
/// Refusals that a condition names at most.
const TOLD: usize = 10;

impl Lifecycle {
    /// Takes a namespace as far as it gets.
    pub(super) async fn empty_namespace(&self, name: &str) -> Result<(), ApiError> {
        self.state.refresh().await?;
        let key = Key::new(rules::namespaces(), "", name);
        let Some(namespace) = self.state.storage().get(&key) else { return Ok(()) };
        let Some(served) = self.served(&key) else { return Ok(()) };
        if !metadata::is_deleting(&namespace.value()) {
            return Ok(());
        }
        let content = self.content(name);
        let refused: Vec<Option<String>> = futures::stream::iter(content)
            .map(|(served, entry)| async move {
                if is_going(&entry) {
                    return Ok(None);
                }
                let options = DeleteOptions { uid: Some(entry.uid.to_string()), ..DeleteOptions::default() };
                match delete::remove(&self.state, &served, &entry.key, &options).await {
                    Ok(_) => Ok(None),
                    // Protected since.
                    Err(error) if error.reason == Reason::Forbidden => Ok(Some(error.message)),
                    Err(error) if matches!(error.reason, Reason::NotFound | Reason::Conflict) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await?;

        let left = self.content(name);
        let now = self.state.timestamp();
        let wanted = conditions(&left, refused.into_iter().flatten().collect());
        self.edit(&served, &key, |object| {
            merge_conditions(&mut object["status"], &wanted, &now);
            if let Some(finalizers) = object["spec"]["finalizers"].as_array_mut().filter(|_| left.is_empty()) {
                finalizers.retain(|finalizer| finalizer != "kubernetes");
            }
        })
        .await
    }

    /// Everything in a namespace.
    fn content(&self, namespace: &str) -> Vec<(Served, Arc<Entry>)> {
        let edition = self.state.catalog.edition();
        let kinds = edition.registry.kinds().filter(|kind| kind.namespaced && kind.stored_as.is_none());
        kinds
            .flat_map(|kind| {
                let served = Served::stored(&edition, kind);
                let snapshot = self.state.storage().snapshot(&kind.resource());
                let entries: Vec<_> =
                    snapshot.entries.within(namespace).map(|entry| (served.clone(), Arc::clone(entry))).collect();
                entries
            })
            .collect()
    }
}

fn is_going(entry: &Entry) -> bool {
    metadata::is_deleting(&entry.value())
}

/// How far the emptying has come, in upstream's words: every condition, whether it holds or not.
fn conditions(left: &[(Served, Arc<Entry>)], mut refused: Vec<String>) -> Vec<Value> {
    let mut objects: BTreeMap<String, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<String, usize> = BTreeMap::new();
    for (served, entry) in left {
        // With the dot also where there is no group.
        *objects.entry(format!("{}.{}", served.kind.plural, served.kind.group)).or_default() += 1;
        for finalizer in metadata::finalizers(&entry.value()) {
            *finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }
    let listed = |counts: &BTreeMap<String, usize>, what: &str| {
        counts.iter().map(|(name, count)| format!("{name} {what} {count} resource instances")).collect::<Vec<_>>()
    };
    let (objects, finalizers) = (listed(&objects, "has"), listed(&finalizers, "in"));
    refused.sort();
    refused.truncate(TOLD);
    let failed = format!("Failed to delete all resource types, {} remaining: {}", refused.len(), refused.join(", "));
    let remaining = format!("Some resources are remaining: {}", objects.join(", "));
    let held = format!("Some content in the namespace has finalizers remaining: {}", finalizers.join(", "));
    let condition = |name: &str, is: Option<(&str, &str)>, [reason, message]: [&str; 2]| {
        let status = if is.is_some() { "True" } else { "False" };
        let (reason, message) = is.unwrap_or((reason, message));
        json!({"type": name, "status": status, "reason": reason, "message": message})
    };
    vec![
        condition(
            "NamespaceDeletionDiscoveryFailure",
            None,
            ["ResourcesDiscovered", "All resources successfully discovered"],
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            None,
            ["ParsedGroupVersions", "All legacy kube types successfully parsed"],
        ),
        condition(
            "NamespaceDeletionContentFailure",
            (!refused.is_empty()).then_some(("ContentDeletionFailed", failed.as_str())),
            ["ContentDeleted", "All content successfully deleted, may be waiting on finalization"],
        ),
        condition(
            "NamespaceContentRemaining",
            (!objects.is_empty()).then_some(("SomeResourcesRemain", remaining.as_str())),
            ["ContentRemoved", "All content successfully removed"],
        ),
        condition(
            "NamespaceFinalizersRemaining",
            (!finalizers.is_empty()).then_some(("SomeFinalizersRemain", held.as_str())),
            ["ContentHasNoFinalizers", "All content-preserving finalizers finished"],
        ),
    ]
}

/// Puts conditions into a status. The time moves only with a change.
pub(super) fn merge_conditions(status: &mut Value, wanted: &[Value], now: &str) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(known) = status["conditions"].as_array_mut() else { return };
    for condition in wanted {
        let place = known.iter().position(|known| known["type"] == condition["type"]);
        let since = place
            .map(|place| &known[place])
            .filter(|known| known["status"] == condition["status"])
            .and_then(|known| known["lastTransitionTime"].as_str());
        let mut condition = condition.clone();
        condition["lastTransitionTime"] = since.unwrap_or(now).into();
        match place {
            Some(place) => known[place] = condition,
            None => known.push(condition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn condition_keeps_its_time_while_its_status_stays() {
        let mut status = json!({"phase": "Terminating"});
        let condition = |message: &str| vec![json!({"type": "A", "status": "True", "message": message})];
        merge_conditions(&mut status, &condition("two left"), "t1");
        merge_conditions(&mut status, &condition("one left"), "t2");
        assert_eq!(status["conditions"][0]["lastTransitionTime"], "t1");
        assert_eq!(status["conditions"][0]["message"], "one left");
        assert_eq!(status["conditions"].as_array().unwrap().len(), 1);
    }
}
