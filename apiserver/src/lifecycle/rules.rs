//! What is special about the few kinds that the server itself lives by: namespaces, definitions of kinds, service
//! accounts, users.
//!
//! The verbs ask here instead of knowing a kind.

use apiserver_store::ResourceId;
use serde_json::{Value, json};

use super::namespaces::merge_conditions;
use crate::access::users;
use crate::admission::metadata;
use crate::registry::Kind;
use crate::registry::builtin::admission;

/// Keeps an object until its dependents are gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Keeps an object until its dependents have forgotten it.
pub(crate) const ORPHAN: &str = "orphan";
/// Keeps a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
/// The namespace that is always there.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";
/// Namespaces that are never deleted: that one, and the one of what the controllers keep for themselves.
pub(crate) const LASTING_NAMESPACES: [&str; 2] = [DEFAULT_NAMESPACE, "thecloud-system"];

const DEFINITIONS_GROUP: &str = "apiextensions.k8s.io";
const DEFINITIONS: &str = "customresourcedefinitions";
/// The plural of namespaces.
pub(crate) const NAMESPACES: &str = "namespaces";

/// The resource of namespaces.
pub(crate) fn namespaces() -> ResourceId {
    ResourceId::new("", NAMESPACES)
}

/// The resource of definitions of kinds.
pub(crate) fn definitions() -> ResourceId {
    ResourceId::new(DEFINITIONS_GROUP, DEFINITIONS)
}

/// The resource of Events, in whichever group they are asked for.
pub(crate) fn events() -> ResourceId {
    ResourceId::new("", "events")
}

/// The resource of the limits of namespaces.
pub(crate) fn quotas() -> ResourceId {
    ResourceId::new("", "resourcequotas")
}

/// Whether quotas count the kind's objects. Events come by themselves and go by themselves.
pub(crate) fn counts_in_quotas(kind: &Kind) -> bool {
    let is_event = kind.plural == "events" && (kind.group.is_empty() || kind.stored_as.is_some());
    kind.namespaced && !is_event
}

pub(crate) fn is_namespace(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.plural == NAMESPACES
}

pub(crate) fn is_definition(kind: &Kind) -> bool {
    kind.group == DEFINITIONS_GROUP && kind.plural == DEFINITIONS
}

/// Whether tokens are made for objects of the kind.
pub(crate) fn has_tokens(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.plural == "serviceaccounts"
}

/// Whether the objects of the kind are API keys, which are made by the subresource `token`.
pub(crate) fn has_api_keys(kind: &Kind) -> bool {
    kind.group == users::GROUP && kind.plural == users::API_KEYS
}

/// Whether the objects of the kind are users, who have passwords.
pub(crate) fn has_passwords(kind: &Kind) -> bool {
    kind.group == users::GROUP && kind.plural == users::USERS
}

/// Whether `metadata.generation` counts changes. Upstream's small built-in kinds have none.
pub(crate) fn counts_generations(kind: &Kind) -> bool {
    !kind.is_built_in() || is_definition(kind) || kind.group == admission::GROUP
}

/// Whether an object that is being deleted may go now: nobody has a word to say any more.
pub(crate) fn may_go(kind: &Kind, object: &Value) -> bool {
    let is_awaited = is_namespace(kind) && object["spec"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    metadata::finalizers(object).is_empty() && !is_awaited
}

/// Keeps what an ordinary update may not change: the finalizers that hold a namespace.
pub(crate) fn keep_hold(kind: &Kind, old: &Value, new: &mut Value) {
    if is_namespace(kind) {
        new["spec"] = old["spec"].clone();
    }
}

/// Marks a stored object as being deleted.
pub(crate) fn mark(kind: &Kind, object: &mut Value, now: &str) {
    object["metadata"]["deletionTimestamp"] = now.into();
    if is_namespace(kind) {
        object["status"]["phase"] = "Terminating".into();
    } else if is_definition(kind) {
        let condition = json!({
            "type": "Terminating",
            "status": "True",
            "reason": "InstanceDeletionPending",
            "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        });
        merge_conditions(&mut object["status"], std::slice::from_ref(&condition), now);
    } else {
        object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
        if counts_generations(kind) {
            metadata::bump_generation(object);
        }
    }
}

/// Replaces the finalizers of a stored object.
pub(crate) fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    if finalizers.is_empty() {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("finalizers");
        }
    } else {
        object["metadata"]["finalizers"] = json!(finalizers);
    }
}
