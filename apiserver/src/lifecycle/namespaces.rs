//! Empties a namespace that is being deleted and lets it go when nothing is left; until then its conditions say what
//! remains and which finalizers hold it.

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
        futures::stream::iter(content)
            .map(|(served, entry)| async move {
                if is_going(&entry) {
                    return Ok(());
                }
                let options = DeleteOptions { uid: Some(entry.uid.to_string()), ..DeleteOptions::default() };
                match delete::remove(&self.state, &served, &entry.key, &options).await {
                    Ok(_) => Ok(()),
                    // Protected since: the conditions will say that something remains.
                    Err(error) if matches!(error.reason, Reason::NotFound | Reason::Conflict | Reason::Forbidden) => {
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(CONCURRENT)
            .try_collect::<()>()
            .await?;

        let left = self.content(name);
        if left.is_empty() {
            return self
                .edit(&served, &key, |object| {
                    if let Some(finalizers) = object["spec"]["finalizers"].as_array_mut() {
                        finalizers.retain(|finalizer| finalizer != "kubernetes");
                    }
                })
                .await;
        }
        let now = self.state.timestamp();
        let wanted = conditions(&left);
        self.edit(&served, &key, |object| merge_conditions(&mut object["status"], &wanted, &now)).await
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

/// What remains, in upstream's words.
fn conditions(left: &[(Served, Arc<Entry>)]) -> Vec<Value> {
    let mut objects: BTreeMap<String, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<String, usize> = BTreeMap::new();
    for (served, entry) in left {
        *objects.entry(served.kind.resource().to_string()).or_default() += 1;
        for finalizer in metadata::finalizers(&entry.value()) {
            *finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }
    let objects: Vec<String> =
        objects.iter().map(|(resource, count)| format!("{resource} has {count} resource instances")).collect();
    let finalizers: Vec<String> =
        finalizers.iter().map(|(finalizer, count)| format!("{finalizer} in {count} resource instances")).collect();
    let remaining = json!({
        "type": "NamespaceContentRemaining",
        "status": "True",
        "reason": "SomeResourcesRemain",
        "message": format!("Some resources are remaining: {}", objects.join(", ")),
    });
    let held = if finalizers.is_empty() {
        json!({
            "type": "NamespaceFinalizersRemaining",
            "status": "False",
            "reason": "ContentHasNoFinalizers",
            "message": "All content-preserving finalizers finished",
        })
    } else {
        json!({
            "type": "NamespaceFinalizersRemaining",
            "status": "True",
            "reason": "SomeFinalizersRemain",
            "message": format!("Some content in the namespace has finalizers remaining: {}", finalizers.join(", ")),
        })
    };
    vec![remaining, held]
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
