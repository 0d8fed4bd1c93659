//! Decides what becomes of one object because of its owners or its dependents, and does it.
//!
//! In: a key worth looking at. Everything is read anew before anything is done, and every step can be repeated.

use std::collections::HashSet;
use std::sync::Arc;

use apiserver_store::{Change, Entry, Key};
use serde_json::Value;

use super::Lifecycle;
use super::graph::{Owner, Ties};
use super::rules;
use crate::admission::metadata;
use crate::error::{ApiError, Reason};
use crate::managed_fields::{self, Author, Scope};
use crate::query::{DeleteOptions, Propagation};
use crate::registry::Kind;
use crate::response::to_bytes;
use crate::verbs::delete;
use crate::verbs::served::Served;
use crate::verbs::write::{Failure, put};

/// How often an object is looked at anew because it changed between looking and deleting.
const ATTEMPTS: usize = 20;

/// How an owner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// There.
    Solid,
    /// Gone, or another object by now.
    Absent,
    /// There, but only until its dependents are gone.
    Waiting,
}

/// What came of a look at an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Done,
    /// The object is another than the one that was looked at.
    Stale,
}

impl Lifecycle {
    /// Looks at one object.
    pub(super) async fn collect(&self, key: &Key) -> Result<(), ApiError> {
        self.state.refresh().await?;
        let Some(served) = self.served(key) else { return Ok(()) };
        for _ in 0..ATTEMPTS {
            let Some(entry) = self.state.storage().get(key) else { return Ok(()) };
            if self.look(&served, &entry).await? == Look::Done {
                return Ok(());
            }
        }
        Err(served.modified(&key.name))
    }

    async fn look(&self, served: &Served, entry: &Entry) -> Result<Look, ApiError> {
        let key = &entry.key;
        if self.is_stray(served, key) {
            return self.remove(served, entry, Propagation::Background).await;
        }
        let ties = Ties::of(entry);
        if ties.is_orphaning {
            return self.orphan(served, entry).await.map(|()| Look::Done);
        }
        if ties.is_foreground {
            return self.wait_for_dependents(served, entry).await.map(|()| Look::Done);
        }
        if ties.is_deleting || ties.owners.is_empty() {
            return Ok(Look::Done);
        }
        let standings: Option<Vec<(&Owner, Standing)>> =
            ties.owners.iter().map(|owner| Some((owner, self.standing(&served.kind, key, owner)?))).collect();
        let Some(standings) = standings else {
            // Nothing is done on half of what there is to know. Kinds that come may tell the rest.
            self.unjudged().insert(key.clone());
            return Ok(Look::Done);
        };
        for (owner, _) in standings.iter().filter(|(_, standing)| *standing == Standing::Absent) {
            if self.is_elsewhere(key, owner) {
                self.report_foreign_owner(served, entry, owner).await?;
            }
        }
        let has = |wanted| standings.iter().any(|(_, standing)| *standing == wanted);
        if has(Standing::Solid) {
            let gone: Vec<&str> = standings
                .iter()
                .filter(|(_, standing)| *standing != Standing::Solid)
                .map(|(owner, _)| owner.uid.as_str())
                .collect();
            if !gone.is_empty() {
                self.release(served, key, &gone).await?;
            }
            return Ok(Look::Done);
        }
        let dependents = self.dependents(&entry.uid.to_string());
        let finalizers = entry.value();
        let finalizers = metadata::finalizers(&finalizers);
        let propagation = if has(Standing::Waiting) && !dependents.is_empty() {
            let blocks = ties.owners.iter().any(|owner| owner.blocks);
            if blocks && dependents.iter().any(|(dependent, _)| self.is_foreground(dependent)) {
                // Its owner and what it owns both wait: where they own each other round about, nobody would go.
                self.unblock(served, key).await?;
                return Ok(Look::Stale);
            }
            Propagation::Foreground
        } else if finalizers.contains(&rules::ORPHAN) {
            Propagation::Orphan
        } else if finalizers.contains(&rules::FOREGROUND) {
            Propagation::Foreground
        } else {
            Propagation::Background
        };
        self.remove(served, entry, propagation).await
    }

    /// An object in a namespace that is not there: made while the namespace went.
    fn is_stray(&self, served: &Served, key: &Key) -> bool {
        let namespace = Key::new(rules::namespaces(), "", &key.namespace);
        served.kind.namespaced && self.state.storage().get(&namespace).is_none()
    }

    /// `None` for what cannot be judged: a kind or version that isn't served, or an owner in a namespace of what is in
    /// none.
    fn standing(&self, dependent: &Kind, key: &Key, owner: &Owner) -> Option<Standing> {
        let kind = self.owner_kind(owner)?;
        if kind.namespaced && !dependent.namespaced {
            return None;
        }
        let namespace = if kind.namespaced { key.namespace.as_str() } else { "" };
        let entry = self.state.storage().get(&Key::new(kind.resource(), namespace, &owner.name));
        Some(match entry.filter(|entry| entry.uid.to_string() == owner.uid) {
            None => Standing::Absent,
            Some(entry) if Ties::of(&entry).is_foreground => Standing::Waiting,
            Some(_) => Standing::Solid,
        })
    }

    fn owner_kind(&self, owner: &Owner) -> Option<Arc<Kind>> {
        let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
        let edition = self.state.catalog.edition();
        let kind = edition.registry.kinds().find(|kind| kind.group == group && kind.kind == owner.kind)?;
        kind.version(version).filter(|version| version.served).map(|_| Arc::clone(kind))
    }

    /// Whether an owner is there, but in another namespace than what names it.
    fn is_elsewhere(&self, key: &Key, owner: &Owner) -> bool {
        let Some(kind) = self.owner_kind(owner).filter(|kind| kind.namespaced) else { return false };
        let storage = self.state.storage();
        let namespaces = storage.snapshot(&rules::namespaces());
        namespaces.entries.iter().filter(|namespace| namespace.key.name != key.namespace).any(|namespace| {
            let found = storage.get(&Key::new(kind.resource(), &namespace.key.name, &owner.name));
            found.is_some_and(|entry| entry.uid.to_string() == owner.uid)
        })
    }

    fn is_foreground(&self, key: &Key) -> bool {
        self.state.storage().get(key).is_some_and(|entry| Ties::of(&entry).is_foreground)
    }

    /// Makes the dependents forget an object, then lets it go.
    async fn orphan(&self, served: &Served, entry: &Entry) -> Result<(), ApiError> {
        let uid = entry.uid.to_string();
        for (dependent, _) in self.dependents(&uid) {
            if let Some(kind) = self.served(&dependent) {
                self.release(&kind, &dependent, &[&uid]).await?;
            }
        }
        self.drop_finalizer(served, &entry.key, rules::ORPHAN).await
    }

    /// Lets an object go once nothing blocks it; until then its dependents are looked at.
    async fn wait_for_dependents(&self, served: &Served, entry: &Entry) -> Result<(), ApiError> {
        let dependents = self.dependents(&entry.uid.to_string());
        if !dependents.iter().any(|(_, blocks)| *blocks) {
            return self.drop_finalizer(served, &entry.key, rules::FOREGROUND).await;
        }
        if self.waits_for_itself(entry) {
            // Upstream leaves such a round standing until somebody breaks it.
            return self.unblock(served, &entry.key).await;
        }
        // Those that wait themselves go their own way.
        for (dependent, _) in dependents.iter().filter(|(dependent, _)| !self.is_foreground(dependent)) {
            // Boxed, because it may have begun to wait since.
            Box::pin(self.collect(dependent)).await?;
        }
        Ok(())
    }

    fn dependents(&self, uid: &str) -> Vec<(Key, bool)> {
        let known = self.graph().dependents(uid);
        known.into_iter().filter(|(key, _)| self.state.storage().get(key).is_some()).collect()
    }

    /// Deletes exactly this object, as it was looked at.
    async fn remove(&self, served: &Served, entry: &Entry, propagation: Propagation) -> Result<Look, ApiError> {
        let options = DeleteOptions {
            propagation: Some(propagation),
            uid: Some(entry.uid.to_string()),
            // It may have another owner since.
            resource_version: Some(entry.revision.to_string()),
            ..DeleteOptions::default()
        };
        match delete::remove(&self.state, served, &entry.key, &options).await {
            Ok(_) => Ok(Look::Done),
            Err(error) if error.reason == Reason::Conflict => Ok(Look::Stale),
            // Gone or protected: nothing of ours.
            Err(error) if matches!(error.reason, Reason::NotFound | Reason::Forbidden) => Ok(Look::Done),
            Err(error) => Err(error),
        }
    }

    /// Whether what an object waits for waits, in the end, for the object.
    fn waits_for_itself(&self, entry: &Entry) -> bool {
        let mut seen = HashSet::new();
        let mut ahead = vec![entry.uid];
        while let Some(uid) = ahead.pop() {
            for (key, _) in self.dependents(&uid.to_string()).into_iter().filter(|(_, blocks)| *blocks) {
                let Some(dependent) = self.state.storage().get(&key) else { continue };
                if !Ties::of(&dependent).is_foreground || !seen.insert(dependent.uid) {
                    continue;
                }
                if dependent.uid == entry.uid {
                    return true;
                }
                ahead.push(dependent.uid);
            }
        }
        false
    }

    /// Makes the owners of an object wait for it no more.
    async fn unblock(&self, served: &Served, key: &Key) -> Result<(), ApiError> {
        self.edit(served, key, |object| {
            let owners = object["metadata"]["ownerReferences"].as_array_mut();
            for owner in owners.into_iter().flatten().filter(|owner| owner["blockOwnerDeletion"] == true) {
                owner["blockOwnerDeletion"] = false.into();
            }
        })
        .await
    }

    /// Takes owner references off an object.
    async fn release(&self, served: &Served, key: &Key, owners: &[&str]) -> Result<(), ApiError> {
        self.edit(served, key, |object| {
            if let Some(references) = object["metadata"]["ownerReferences"].as_array_mut() {
                references.retain(|owner| !owner["uid"].as_str().is_some_and(|uid| owners.contains(&uid)));
            }
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata::drop_empty(metadata);
            }
        })
        .await
    }

    /// Takes a finalizer off an object, which goes where that was the last.
    pub(super) async fn drop_finalizer(&self, served: &Served, key: &Key, finalizer: &str) -> Result<(), ApiError> {
        self.edit(served, key, |object| {
            let kept: Vec<String> = metadata::finalizers(object)
                .into_iter()
                .filter(|known| *known != finalizer)
                .map(str::to_owned)
                .collect();
            rules::set_finalizers(object, &kept);
        })
        .await
    }

    /// Notes that this server owns what it said in a status.
    pub(super) fn follow(&self, served: &Served, old: &Value, new: &mut Value) {
        if old.get("status") == new.get("status") {
            return;
        }
        let author = Author::server("status");
        let scope = Scope::new(&served.kind, served.version(), &author.subresource);
        let live = old["metadata"].get("managedFields");
        let fields = managed_fields::update(&scope, old, new, live, None, &author, &self.state.timestamp());
        if let Some(fields) = fields {
            new["metadata"]["managedFields"] = fields;
        }
    }

    /// Changes a stored object, whatever happens beside; nothing is written where nothing changes.
    pub(super) async fn edit(&self, served: &Served, key: &Key, change: impl Fn(&mut Value)) -> Result<(), ApiError> {
        loop {
            let Some(current) = self.state.storage().get(key) else { return Ok(()) };
            let old = current.value();
            let mut new = old.clone();
            change(&mut new);
            self.follow(served, &old, &mut new);
            let goes = metadata::is_deleting(&new) && rules::may_go(&served.kind, &new);
            if new == old && !goes {
                return Ok(());
            }
            let body = to_bytes(&new);
            let change = if goes { Change::Delete { body } } else { Change::Put { uid: current.uid, body } };
            match put(&self.state, served, &current, change).await {
                Ok(_) => return Ok(()),
                Err(Failure::Lost) => {}
                Err(Failure::Refused(error)) if error.reason == Reason::NotFound => return Ok(()),
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
    }
}
