//! Decides which declared kinds are served, publishes them, and says so in their definitions: a kind is `Established`
//! only once it answers. A definition that is deleted stays until its last object is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use apiserver_store::{Entry, Key, ResourceId, Revision, Storage};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::namespaces::merge_conditions;
use super::{Lifecycle, rules};
use crate::admission::metadata;
use crate::catalog::Edition;
use crate::error::{ApiError, FieldError, Reason};
use crate::query::DeleteOptions;
use crate::registry::custom::{self, Claims};
use crate::registry::{CHARGES, Kind, Registry, builtin};
use crate::response::to_bytes;
use crate::verbs::delete;
use crate::verbs::served::Served;

const CONCURRENT: usize = 32;

/// What is known of a definition since the last look.
struct Known {
    digest: [u8; 32],
    kind: Arc<Kind>,
    since: Revision,
    /// What is wrong with its schemas.
    wrong: Option<String>,
}

/// Errors as upstream puts several into one.
fn sentence(errors: &[FieldError]) -> Option<String> {
    match errors {
        [] => None,
        [only] => Some(only.to_string()),
        several => Some(format!("[{}]", several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))),
    }
}

/// The declared kinds as they are served.
#[derive(Default)]
pub(crate) struct Definitions {
    known: BTreeMap<String, Known>,
}

/// What a look at all definitions led to.
pub(crate) struct Review {
    pub(crate) edition: Edition,
    /// Definitions whose status does not say what is so, with the status that does.
    pub(crate) statuses: Vec<(Key, Value)>,
}

impl Definitions {
    /// Looks at all definitions. Kinds that did not change are kept as they are.
    pub(crate) fn review(&mut self, storage: &Storage, now: Timestamp) -> Review {
        let snapshot = storage.snapshot(&rules::definitions());
        let mut definitions: Vec<(Arc<Entry>, Value)> =
            snapshot.entries.iter().map(|entry| (Arc::clone(entry), entry.value())).collect();
        // Who has its names already keeps them; then who was first.
        definitions.sort_by_cached_key(|(entry, definition)| {
            let created = definition["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
            (!has(&definition["status"], "Established"), created, entry.key.name.clone())
        });

        let mut kinds: Vec<Arc<Kind>> = builtin::kinds();
        let mut claims = Claims::of_kinds(kinds.iter().map(AsRef::as_ref));
        for (entry, definition) in &definitions {
            claims.set(group(definition), &entry.key.name, definition["status"]["acceptedNames"].clone());
        }
        let mut since = BTreeMap::new();
        let mut terminating = BTreeSet::new();
        let mut statuses = Vec::new();
        let mut known = BTreeMap::new();
        let is_first = self.known.is_empty();
        for (entry, mut definition) in definitions {
            let mut status = custom::status(&definition, &claims, now);
            let name = entry.key.name.clone();
            claims.set(group(&definition), &name, status["acceptedNames"].clone());
            let told = definition["status"].clone();
            // What is served has the names that it may have, whatever others it wants since.
            definition["spec"]["names"] = status["acceptedNames"].clone();
            if has(&status, "Established") {
                let digest = digest(&definition);
                let before = self.known.remove(&name).filter(|before| before.digest == digest);
                let seen = before.unwrap_or_else(|| {
                    let (kind, errors) = custom::stored_kind(&definition);
                    // Objects written before now may lack what the schema says now.
                    let since = if is_first { entry.revision } else { snapshot.revision };
                    Known { digest, kind: Arc::new(kind), since, wrong: sentence(&errors) }
                });
                custom::violations(&mut status, seen.wrong.as_deref(), now);
                let resource: ResourceId = seen.kind.resource();
                since.insert(resource.clone(), seen.since);
                if metadata::is_deleting(&definition) {
                    terminating.insert(resource);
                }
                kinds.push(Arc::clone(&seen.kind));
                known.insert(name, seen);
            }
            if status != told {
                statuses.push((entry.key.clone(), status));
            }
        }
        self.known = known;
        Review { edition: Edition::new(Registry::new(kinds), since, terminating), statuses }
    }
}

fn group(definition: &Value) -> &str {
    definition["spec"]["group"].as_str().unwrap_or_default()
}

/// What a kind is made of: equal digests make equal kinds.
fn digest(definition: &Value) -> [u8; 32] {
    let parts = json!([
        definition["metadata"]["uid"],
        definition["metadata"]["annotations"][custom::CONNECT],
        definition["metadata"]["annotations"][CHARGES],
        definition["spec"],
    ]);
    Sha256::digest(to_bytes(&parts)).into()
}

fn has(status: &Value, condition: &str) -> bool {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|known| known["type"] == condition && known["status"] == "True")
}

impl Lifecycle {
    /// Publishes what is declared now, then writes into the definitions how they stand.
    pub(super) async fn review_definitions(&self) -> Result<(), ApiError> {
        self.state.refresh().await?;
        let review = {
            let mut definitions = self.definitions.lock().await;
            let now = self.state.config.clock.now();
            let review = definitions.review(self.state.storage(), now);
            // Published under the lock, so that an older review never replaces a newer one.
            self.state.catalog.publish(review.edition, now);
            review.statuses
        };
        for (key, status) in review {
            let Some(served) = self.served(&key) else { continue };
            self.edit(&served, &key, |object| object["status"] = status.clone()).await?;
        }
        Ok(())
    }

    /// Deletes the objects of a definition that is being deleted, and lets it go after the last one.
    pub(super) async fn clear_definition(&self, name: &str) -> Result<(), ApiError> {
        self.state.refresh().await?;
        let key = Key::new(rules::definitions(), "", name);
        let Some(definition) = self.state.storage().get(&key) else { return Ok(()) };
        let value = definition.value();
        if !metadata::is_deleting(&value) || !metadata::finalizers(&value).contains(&rules::CLEANUP) {
            return Ok(());
        }
        let Some(served) = self.served(&key) else { return Ok(()) };
        let resource = ResourceId::new(
            value["spec"]["group"].as_str().unwrap_or_default(),
            value["spec"]["names"]["plural"].as_str().unwrap_or_default(),
        );
        let edition = self.state.catalog.edition();
        if let Some(kind) = edition.registry.kind(&resource.group, &resource.plural) {
            let uid = value["metadata"]["uid"].as_str().unwrap_or_default();
            let is_ours = matches!(&kind.origin, crate::registry::Origin::Custom { uid: known } if known == uid);
            if is_ours && !self.clear(&Served::stored(&edition, kind)).await? {
                let now = self.state.timestamp();
                let condition = json!({
                    "type": "Terminating",
                    "status": "True",
                    "reason": "InstanceDeletionInProgress",
                    "message": "CustomResource deletion is in progress",
                });
                return self
                    .edit(&served, &key, |object| {
                        merge_conditions(&mut object["status"], std::slice::from_ref(&condition), &now);
                    })
                    .await;
            }
        }
        self.drop_finalizer(&served, &key, rules::CLEANUP).await
    }

    /// Deletes every object of a kind; whether none is left.
    async fn clear(&self, served: &Served) -> Result<bool, ApiError> {
        let resource = served.kind.resource();
        let all: Vec<Arc<Entry>> = self.state.storage().snapshot(&resource).entries.iter().map(Arc::clone).collect();
        futures::stream::iter(all)
            .map(|entry| async move {
                if metadata::is_deleting(&entry.value()) {
                    return Ok(());
                }
                let options = DeleteOptions { uid: Some(entry.uid.to_string()), ..DeleteOptions::default() };
                match delete::remove(&self.state, served, &entry.key, &options).await {
                    Ok(_) => Ok(()),
                    Err(error) if matches!(error.reason, Reason::NotFound | Reason::Conflict | Reason::Forbidden) => {
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(CONCURRENT)
            .try_collect::<()>()
            .await?;
        Ok(self.state.storage().snapshot(&resource).entries.is_empty())
    }
}
