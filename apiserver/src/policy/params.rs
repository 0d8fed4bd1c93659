//! Which objects parametrise a policy where a binding says so.

use std::sync::Arc;

use apiserver_store::{Entry, Key};
use serde::Deserialize;
use serde_json::Value;

use super::index::{Binding, Policy};
use crate::selector::label::Selector;
use crate::state::State;
use crate::verbs::served::Served;

/// A `paramRef`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ParamRef {
    name: String,
    namespace: String,
    selector: Option<Value>,
    parameter_not_found_action: String,
}

impl Policy {
    /// The kind of its parameters, if it has any.
    pub(super) fn param_kind(&self, state: &State) -> Result<Option<Served>, String> {
        let Some(wanted) = &self.spec.param_kind else { return Ok(None) };
        let (group, version) = wanted.api_version.split_once('/').unwrap_or(("", &wanted.api_version));
        let edition = state.catalog.edition();
        let mut kinds = edition.registry.kinds();
        let found = kinds.find(|kind| kind.group == group && kind.kind == wanted.kind && kind.review.is_none());
        let served = found.and_then(|kind| Served::find(&edition, group, version, &kind.plural));
        let kind = &wanted.kind;
        served
            .map(Some)
            .ok_or_else(|| format!("failed to find resource referenced by paramKind: '{group}/{version}, Kind={kind}'"))
    }
}

/// The parameters, one after the other; a single nothing where there is no question of any.
pub(super) fn collect(
    state: &State,
    policy: &Policy,
    binding: &Binding,
    kind: Option<&Served>,
    namespace: &str,
) -> Result<Vec<Option<Value>>, String> {
    debug_assert_eq!(policy.spec.param_kind.is_some(), kind.is_some());
    let (Some(served), Some(reference)) = (kind, &binding.spec.param_ref) else { return Ok(vec![None]) };
    let namespace = match (served.kind.namespaced, reference.namespace.as_str()) {
        (false, "") => "",
        (false, _) => return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".into()),
        (true, "") if namespace.is_empty() => {
            let why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
            return Err(why.into());
        }
        (true, "") => namespace,
        (true, given) => given,
    };
    let resource = served.kind.resource();
    let found: Vec<Arc<Entry>> = match &reference.selector {
        None => state.storage().get(&Key::new(resource, namespace, &reference.name)).into_iter().collect(),
        Some(selector) => {
            let selector = Selector::of_object(selector).ok_or("the selector of the paramRef is none")?;
            let snapshot = state.storage().snapshot(&resource);
            let within = snapshot.entries.within(namespace);
            within.filter(|entry| selector.matches(&entry.labels)).cloned().collect()
        }
    };
    if found.is_empty() && reference.parameter_not_found_action == "Deny" {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".into());
    }
    Ok(found.iter().map(|entry| Some(served.value(entry))).collect())
}
