//! The hand-over from client-side apply: what `kubectl` wrote into its annotation, `kubectl apply --server-side` may
//! take without force, and keeps the annotation true while it is there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::apply::Wish;
use super::{Author, Scope};
use crate::patch::apply::element::field;
use crate::patch::apply::managers::Versions;
use crate::patch::apply::set::Set;
use crate::patch::apply::walk::field_set;

/// The manager whose applies follow on client-side ones. Another name opts out.
const KUBECTL: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Takes out of the conflicts what the manager's own client-side apply had set.
pub(super) fn allow(scope: &Scope<'_>, live: &Value, author: &Author, conflicts: &mut BTreeMap<String, Set>) {
    if author.manager != KUBECTL {
        return;
    }
    let Some(last) = live["metadata"]["annotations"][ANNOTATION].as_str() else { return };
    let Ok(last) = serde_json::from_str::<Value>(last) else { return };
    if last["apiVersion"] != scope.version.as_str() || last["kind"] != scope.kind.kind.as_str() {
        return;
    }
    let Some((types, root)) = scope.types(&scope.version) else { return };
    let mut allowed = field_set(types, root, &last);
    let mut annotation = Set::default();
    annotation.insert(field(ANNOTATION));
    let mut annotations = Set::default();
    annotations.insert_below(field("annotations"), annotation);
    allowed.insert_below(field("metadata"), annotations);
    // Upstream allows all of it or nothing; what is left is named either way.
    for set in conflicts.values_mut() {
        set.subtract(&allowed);
    }
    conflicts.retain(|_, set| !set.is_empty());
}

/// Writes what was applied into the annotation, where the object has it.
pub(super) fn renew(object: &mut Value, wish: &Wish<'_>) {
    if wish.author.manager != KUBECTL {
        return;
    }
    let Some(annotation) = object.pointer_mut("/metadata/annotations").and_then(|all| all.get_mut(ANNOTATION)) else {
        return;
    };
    let mut config = wish.config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    *annotation = format!("{config}\n").into();
}
