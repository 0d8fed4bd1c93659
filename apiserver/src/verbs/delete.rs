//! Removes objects, or marks those that somebody still has to finish with.

use std::sync::Arc;

use apiserver_store::{Change, Entry, Key};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::served::Served;
use super::write::{Failure, put};
use super::{Call, present};
use crate::admission::{decode, metadata, protection};
use crate::error::ApiError;
use crate::lifecycle::rules;
use crate::policy;
use crate::query::{DeleteOptions, Propagation};
use crate::response::{Answer, to_bytes};
use crate::state::State;

const ATTEMPTS: usize = 20;

/// What became of an object that was to go.
#[derive(Debug)]
pub(crate) enum Removed {
    /// It is gone; this was its last state.
    Gone(Arc<Entry>),
    /// It waits for its finalizers.
    Waits(Arc<Entry>),
    /// A dry run would have removed it at once (`true`) or marked it.
    Dry(Value, bool),
}

/// `DELETE .../{name}`
pub(crate) async fn delete(call: &Call, body: Bytes) -> Result<Answer, ApiError> {
    let options = options(call, &body)?;
    let key = call.key(&call.path.name);
    call.state.refresh().await?;
    match remove(&call.state, &call.served, &key, &options).await? {
        Removed::Gone(entry) if call.served.kind.behaviour.returns_deleted => {
            present::entry(call, StatusCode::OK, &entry)
        }
        Removed::Gone(entry) => success(call, &entry.uid.to_string()),
        Removed::Dry(value, true) => success(call, value["metadata"]["uid"].as_str().unwrap_or_default()),
        Removed::Waits(entry) => {
            let code = if options.awaits_dependents { StatusCode::ACCEPTED } else { StatusCode::OK };
            present::entry(call, code, &entry)
        }
        Removed::Dry(value, false) => present::value(call, StatusCode::OK, value),
    }
}

/// The options of a deletion, from its body and its query.
pub(crate) fn options(call: &Call, body: &[u8]) -> Result<DeleteOptions, ApiError> {
    let decoded =
        if body.is_empty() { None } else { Some(decode::delete_options(call.content_type.as_deref(), body)?) };
    let (warnings, by) = (call.warnings.clone(), Some(call.requester()));
    Ok(DeleteOptions { warnings, by, ..DeleteOptions::parse(decoded.as_ref(), &call.query)? })
}

fn success(call: &Call, uid: &str) -> Result<Answer, ApiError> {
    let kind = &call.served.kind;
    let mut details = json!({"name": call.path.name, "kind": kind.plural, "uid": uid});
    if !kind.group.is_empty() {
        details["group"] = kind.group.as_str().into();
    }
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    });
    present::document(call, StatusCode::OK, &status)
}

/// Deletes one object, wherever the wish comes from.
pub(crate) async fn remove(
    state: &State,
    served: &Served,
    key: &Key,
    options: &DeleteOptions,
) -> Result<Removed, ApiError> {
    for _ in 0..ATTEMPTS {
        let current = state.storage().get(key).ok_or_else(|| served.not_found(&key.name))?;
        match attempt(state, served, &current, options).await {
            Ok(removed) => return Ok(removed),
            Err(Failure::Lost) => {}
            Err(Failure::Refused(error)) => return Err(error),
        }
    }
    Err(served.modified(&key.name))
}

async fn attempt(
    state: &State,
    served: &Served,
    current: &Arc<Entry>,
    options: &DeleteOptions,
) -> Result<Removed, Failure> {
    check_preconditions(served, current, options)?;
    policy::check_delete(state, served, current, options)?;
    let kind = &served.kind;
    // Metadata reads the same in every version, so this stays in the stored one.
    let old = current.value();
    let was_deleting = metadata::is_deleting(&old);
    if !was_deleting {
        check_permitted(state, served, current)?;
    }
    let mut new = old.clone();
    rules::set_finalizers(&mut new, &finalizers(served, &old, options.propagation));
    let goes = rules::may_go(kind, &new);
    if !goes {
        if !was_deleting {
            rules::mark(kind, &mut new, &state.timestamp());
        } else if new == old {
            return Ok(Removed::Waits(Arc::clone(current)));
        }
    }
    if options.dry_run {
        let would_be = Entry { body: to_bytes(&new).into(), ..Entry::clone(current) };
        return Ok(Removed::Dry(served.value(&would_be), goes));
    }
    let body = to_bytes(&new);
    if goes {
        Ok(Removed::Gone(put(state, served, current, Change::Delete { body }).await?))
    } else {
        Ok(Removed::Waits(put(state, served, current, Change::Put { uid: current.uid, body }).await?))
    }
}

/// The finalizers that a deletion leaves: those of others, and the one that stands for the propagation.
fn finalizers(served: &Served, object: &Value, propagation: Option<Propagation>) -> Vec<String> {
    let mut kept: Vec<String> = metadata::finalizers(object).into_iter().map(str::to_owned).collect();
    // These go their own way, whatever is owned.
    let is_apart = rules::is_namespace(&served.kind) || rules::is_definition(&served.kind);
    if let Some(propagation) = propagation.filter(|_| !is_apart) {
        kept.retain(|finalizer| finalizer != rules::FOREGROUND && finalizer != rules::ORPHAN);
        match propagation {
            Propagation::Background => {}
            Propagation::Foreground => kept.push(rules::FOREGROUND.into()),
            Propagation::Orphan => kept.push(rules::ORPHAN.into()),
        }
    }
    // Added once, when the deletion begins; taken away when the definition's objects are gone.
    if rules::is_definition(&served.kind)
        && !metadata::is_deleting(object)
        && !kept.iter().any(|finalizer| finalizer == rules::CLEANUP)
    {
        kept.push(rules::CLEANUP.into());
    }
    kept
}

fn check_preconditions(served: &Served, current: &Entry, options: &DeleteOptions) -> Result<(), ApiError> {
    let kind = &served.kind;
    let is_apart = rules::is_namespace(kind) || rules::is_definition(kind);
    // Upstream words these with the Kind, but for the kinds that it deletes otherwise.
    let resource = if is_apart { &kind.plural } else { &kind.kind };
    let conflict = |why: &str| ApiError::conflict(&kind.group, resource, &current.key.name, why);
    let uid = current.uid.to_string();
    if let Some(wanted) = options.uid.as_ref().filter(|wanted| **wanted != uid) {
        if is_apart {
            let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}");
            return Err(conflict(&why));
        }
        return Err(conflict(&format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have \
             been deleted and then recreated"
        )));
    }
    let revision = current.revision.to_string();
    if let Some(wanted) = options.resource_version.as_ref().filter(|wanted| **wanted != revision) {
        if is_apart {
            return Err(conflict(&format!(
                "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {revision}"
            )));
        }
        return Err(conflict(&format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record \
             ({revision}). The object might have been modified"
        )));
    }
    Ok(())
}

/// Refuses what must not go, and what holds something that must not go.
fn check_permitted(state: &State, served: &Served, current: &Entry) -> Result<(), ApiError> {
    let (kind, name) = (&served.kind, current.key.name.as_str());
    if protection::is_protected(current) {
        return Err(served.forbidden(name, protection::REASON));
    }
    let edition = state.catalog.edition();
    let inside = if rules::is_namespace(kind) {
        if rules::LASTING_NAMESPACES.contains(&name) {
            return Err(served.forbidden(name, "this namespace may not be deleted"));
        }
        protection::within_namespace(state.storage(), &edition, name)
    } else if rules::is_definition(kind) {
        let (plural, group) = name.split_once('.').unwrap_or((name, ""));
        let defined = edition.registry.kind(group, plural);
        defined.map(|kind| protection::within_kind(state.storage(), kind)).unwrap_or_default()
    } else {
        Vec::new()
    };
    if inside.is_empty() { Ok(()) } else { Err(served.forbidden(name, &protection::refusal(&inside))) }
}
