//! Which requests a policy or a binding is about.

use std::collections::BTreeMap;

use apiserver_store::Key;
use serde::Deserialize;
use serde_json::Value;

use super::case::Case;
use crate::lifecycle::rules;
use crate::registry::{Kind, Version, convert};
use crate::schema::cel::request::Scene;
use crate::selector::label::Selector;
use crate::state::State;

/// A `matchConstraints` or `matchResources`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Matching {
    match_policy: String,
    namespace_selector: Value,
    object_selector: Value,
    resource_rules: Option<Vec<Rule>>,
    exclude_resource_rules: Option<Vec<Rule>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    resource_names: Option<Vec<String>>,
    operations: Option<Vec<String>>,
    api_groups: Option<Vec<String>>,
    api_versions: Option<Vec<String>>,
    resources: Option<Vec<String>>,
    scope: String,
}

/// The kind and version as which a request was matched.
pub(super) struct Matched<'a> {
    kind: &'a Kind,
    version: &'a Version,
}

impl Matching {
    /// As what the request is matched, if it is.
    pub(super) fn matching<'c>(&self, state: &State, case: &'c Case<'_>) -> Option<Matched<'c>> {
        let excluded = self.exclude_resource_rules.as_deref().unwrap_or_default();
        let included = self.resource_rules.as_deref().unwrap_or_default();
        let own = Matched { kind: &case.served.kind, version: case.served.version() };
        let matched = if included.is_empty() { Some(own) } else { self.by_rules(included, case) }?;
        let is_selected = self.by_rules(excluded, case).is_none()
            && selects_labels_of(&self.object_selector, case)
            && self.selects_namespace(state, case);
        is_selected.then_some(matched)
    }

    fn by_rules<'c>(&self, all: &[Rule], case: &'c Case<'_>) -> Option<Matched<'c>> {
        let (kind, version) = (&*case.served.kind, case.served.version());
        let matched_as =
            |kind: &Kind, version: &Version| all.iter().any(|rule| rule.matches(case, kind, &version.name));
        if matched_as(kind, version) {
            return Some(Matched { kind, version });
        }
        if self.match_policy == "Exact" {
            return None;
        }
        // The same objects in another version, or of another group.
        let resource = kind.resource();
        let same = case.served.edition.registry.kinds().filter(|other| other.resource() == resource);
        let versions = same.flat_map(|kind| kind.versions.iter().map(move |version| (kind, version)));
        let mut others =
            versions.filter(|(other, found)| found.served && (other.group != kind.group || found.name != version.name));
        others.find(|(kind, version)| matched_as(kind, version)).map(|(kind, version)| Matched { kind, version })
    }

    fn selects_namespace(&self, state: &State, case: &Case<'_>) -> bool {
        let Some(selector) = Selector::of_object(&self.namespace_selector) else { return false };
        if selector.is_empty() {
            return true;
        }
        if rules::is_namespace(&case.served.kind) {
            let object = case.object.as_ref().or(case.old.as_ref());
            return selector.matches(&labels(object.unwrap_or(&Value::Null)));
        }
        // What is in no namespace is never kept out by one.
        if case.namespace.is_empty() {
            return true;
        }
        let namespace = state.storage().get(&Key::new(rules::namespaces(), "", case.namespace));
        namespace.is_some_and(|namespace| selector.matches(&namespace.labels))
    }
}

fn selects_labels_of(selector: &Value, case: &Case<'_>) -> bool {
    let Some(selector) = Selector::of_object(selector) else { return false };
    let objects = [&case.object, &case.old];
    selector.is_empty() || objects.into_iter().flatten().any(|object| selector.matches(&labels(object)))
}

fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

impl Rule {
    fn matches(&self, case: &Case<'_>, kind: &Kind, version: &str) -> bool {
        let one_of =
            |list: &Option<Vec<String>>, wanted: &str| list.iter().flatten().any(|item| item == "*" || item == wanted);
        let is_placed = match self.scope.as_str() {
            "Namespaced" => kind.namespaced,
            "Cluster" => !kind.namespaced,
            _ => true,
        };
        let is_named = self.resource_names.as_ref().is_none_or(|names| names.is_empty() || names.contains(&case.name));
        is_placed
            && one_of(&self.operations, case.operation.name())
            && one_of(&self.api_groups, &kind.group)
            && one_of(&self.api_versions, version)
            && self.resources.iter().flatten().any(|resource| {
                let (resource, below) = resource.split_once('/').unwrap_or((resource, ""));
                (resource == "*" || resource == kind.plural) && (below == "*" || below == case.subresource())
            })
            && is_named
    }
}

impl Matched<'_> {
    /// What expressions are told of the request.
    pub(super) fn scene(&self, state: &State, case: &Case<'_>) -> Result<Scene, String> {
        let object = self.converted(case, case.object.as_ref());
        let old = self.converted(case, case.old.as_ref());
        Ok(Scene::default()
            .with("object", &object)
            .with("oldObject", &old)
            .with("request", &case.request(self.kind, self.version))
            .with("namespaceObject", &namespace_object(state, case)?))
    }

    /// The object as the policy knows it.
    fn converted(&self, case: &Case<'_>, object: Option<&Value>) -> Value {
        let Some(object) = object else { return Value::Null };
        let served = &case.served;
        let is_own = self.kind.group == served.kind.group && self.version.name == served.version().name;
        // What stands for an object, as a Scale does, is the same for all versions.
        if is_own || object["kind"] != served.kind.kind.as_str() {
            return object.clone();
        }
        convert::from_storage(self.kind, self.version, convert::to_storage(&served.kind, object.clone()), true)
    }
}

/// The namespace that the request is in; nothing for what is in none.
fn namespace_object(state: &State, case: &Case<'_>) -> Result<Value, String> {
    if case.namespace.is_empty() {
        return Ok(Value::Null);
    }
    let key = Key::new(rules::namespaces(), "", case.namespace);
    let entry = state.storage().get(&key).ok_or_else(|| format!("namespaces \"{}\" not found", case.namespace))?;
    let mut namespace = entry.value();
    if let Some(metadata) = namespace["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        metadata.remove("ownerReferences");
    }
    Ok(namespace)
}
