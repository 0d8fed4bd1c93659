//! Whether somebody may let a policy read its parameters: who could not read them must not learn them from what the policy
//! says of a request.

use apiserver_store::Key;
use serde_json::Value;

use super::POLICIES_ID;
use super::case::Requester;
use crate::access::{Attributes, Object, ResourceAttributes};
use crate::error::FieldError;
use crate::registry::builtin::admission::{GROUP, POLICIES};
use crate::schema::words;
use crate::state::State;
use crate::verbs::served::Served;

/// What is refused of a policy or binding for want of rights; nothing of other kinds, and nothing of what the server writes.
pub(crate) fn refusals(state: &State, served: &Served, object: &Value, by: Option<&Requester>) -> Vec<FieldError> {
    let Some(by) = by.filter(|_| served.kind.group == GROUP) else { return Vec::new() };
    let spec = &object["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let may = |verb: &str, kind: &Value, namespace: &str, name: &str| {
        let (group, resource) = resource(served, kind);
        let of = ResourceAttributes { group: &group, resource: &resource, subresource: "", namespace, name };
        let wish = Attributes { verb, object: Object::Resource(of) };
        state.config.authorizer.authorize(&by.who, &wish).is_allowed()
    };
    let user = &by.who.user;
    if served.kind.plural == POLICIES {
        let kind = &spec["paramKind"];
        if !kind.is_object() || may("get", kind, "*", "*") {
            return Vec::new();
        }
        let detail = format!(
            "user {user} must have \"get\" permission on all objects of the referenced paramKind (kind={}, apiVersion={})",
            text(&kind["kind"]),
            text(&kind["apiVersion"]),
        );
        return vec![words::forbidden("spec.paramKind", &detail)];
    }
    let reference = &spec["paramRef"];
    if !reference.is_object() {
        return Vec::new();
    }
    let policy = state.storage().get(&Key::new(POLICIES_ID.clone(), "", text(&spec["policyName"])));
    let kind = policy.map(|policy| policy.value()["spec"]["paramKind"].take()).unwrap_or_default();
    let (name, namespace) = (text(&reference["name"]), text(&reference["namespace"]));
    let (verb, name) = if name.is_empty() { ("list", "*") } else { ("get", name.as_str()) };
    let namespace = if namespace.is_empty() { "*" } else { namespace.as_str() };
    if may(verb, &kind, namespace, name) {
        return Vec::new();
    }
    let detail = format!("user {user} does not have \"{verb}\" permission on the object referenced by paramRef");
    vec![words::forbidden("spec.paramRef", &detail)]
}

/// The group and plural of a kind; everything, where nobody knows it.
fn resource(served: &Served, kind: &Value) -> (String, String) {
    let text = |field: &str| kind[field].as_str().unwrap_or_default();
    let api_version = text("apiVersion");
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let mut kinds = served.edition.registry.kinds();
    let known = kinds.find(|known| known.group == group && known.kind == text("kind") && !api_version.is_empty());
    known.map_or(("*".to_owned(), "*".to_owned()), |known| (known.group.clone(), known.plural.clone()))
}
