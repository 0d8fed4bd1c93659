//! What one rule of a role allows.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::access::{Attributes, Object, ResourceAttributes};

/// Stands for every verb, group, resource or path.
const ALL: &str = "*";

/// A rule of a role. An empty list of names means every object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// `get`, `list` and so on.
    #[serde(deserialize_with = "list")]
    pub verbs: Vec<String>,
    /// The groups of the resources.
    #[serde(deserialize_with = "list")]
    pub api_groups: Vec<String>,
    /// Plurals, `plural/subresource`, `*/subresource`.
    #[serde(deserialize_with = "list")]
    pub resources: Vec<String>,
    /// The only objects that it is about.
    #[serde(deserialize_with = "list")]
    pub resource_names: Vec<String>,
    /// Paths that are no resources; one that ends with `*` means all that begin so.
    #[serde(deserialize_with = "list", rename = "nonResourceURLs")]
    pub non_resource_urls: Vec<String>,
}

/// A list, which may be null.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

impl Rule {
    /// A rule about resources of one group.
    pub(super) fn of_resources(verbs: &[&str], group: &str, resources: &[&str]) -> Self {
        Self { verbs: strings(verbs), api_groups: strings(&[group]), resources: strings(resources), ..Self::default() }
    }

    /// A rule about paths that are no resources.
    pub(super) fn of_paths(verbs: &[&str], paths: &[&str]) -> Self {
        Self { verbs: strings(verbs), non_resource_urls: strings(paths), ..Self::default() }
    }

    /// The rule as a role has it.
    pub(crate) fn to_value(&self) -> Value {
        let lists = [
            ("apiGroups", &self.api_groups),
            ("nonResourceURLs", &self.non_resource_urls),
            ("resourceNames", &self.resource_names),
            ("resources", &self.resources),
            ("verbs", &self.verbs),
        ];
        lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name, list.clone())).collect()
    }

    /// Whether the rule allows it.
    #[must_use]
    pub fn allows(&self, wish: &Attributes<'_>) -> bool {
        let has = |list: &[String], one: &str| list.iter().any(|known| known == ALL || known == one);
        has(&self.verbs, wish.verb)
            && match &wish.object {
                Object::Resource(of) => {
                    has(&self.api_groups, of.group)
                        && self.resources.iter().any(|known| is_meant(known, of))
                        && (self.resource_names.is_empty() || self.resource_names.iter().any(|known| known == of.name))
                }
                Object::Path(path) => self.non_resource_urls.iter().any(|known| is_path_meant(known, path)),
            }
    }
}

/// Whether a rule's resource is the one asked for: by name, by `*`, or of any kind's subresource by `*/subresource`.
fn is_meant(known: &str, of: &ResourceAttributes<'_>) -> bool {
    if known == ALL {
        return true;
    }
    if of.subresource.is_empty() {
        return known == of.resource;
    }
    known.split_once('/').is_some_and(|(resource, subresource)| {
        subresource == of.subresource && (resource == ALL || resource == of.resource)
    })
}

pub(super) fn is_path_meant(known: &str, path: &str) -> bool {
    known == path || (known.ends_with('*') && path.starts_with(known.trim_end_matches('*')))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(value: Value) -> Rule {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn rules_of_resources_allow_what_they_list() {
        let rules = [
            json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"]}),
            json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
            json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["*/scale"]}),
            json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments/scale"]}),
            json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["a", "b"]}),
            json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments/*"]}),
            json!({"verbs": ["get"], "nonResourceURLs": ["*"]}),
            json!({"verbs": null, "apiGroups": ["*"], "resources": ["*"]}),
        ]
        .map(rule);
        // verb, group, resource, subresource, name; which of the rules allow it.
        type Case = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static [usize]);
        let cases: [Case; 11] = [
            ("get", "apps", "deployments", "", "", &[0, 1]),
            ("get", "apps", "deployments", "", "a", &[0, 1, 4]),
            ("get", "apps", "deployments", "", "c", &[0, 1]),
            ("get", "apps", "deployments", "scale", "a", &[1, 2, 3]),
            ("get", "apps", "deployments", "status", "a", &[1]),
            ("get", "apps", "others", "scale", "a", &[1, 2]),
            ("get", "apps", "others", "scales", "a", &[1]),
            ("list", "apps", "deployments", "", "", &[1]),
            ("get", "", "deployments", "", "", &[1]),
            ("*", "*", "*", "", "", &[1]),
            ("", "", "", "", "", &[1]),
        ];
        for (verb, group, resource, subresource, name, allowing) in cases {
            let of = ResourceAttributes { group, resource, subresource, name, namespace: "a" };
            let wish = Attributes { verb, object: Object::Resource(of) };
            let found: Vec<usize> = (0..rules.len()).filter(|index| rules[*index].allows(&wish)).collect();
            assert_eq!(found, allowing, "{wish:?}");
        }
    }

    #[test]
    fn rules_of_paths_allow_what_they_list() {
        for (known, path, is_allowed) in [
            ("/metrics", "/metrics", true),
            ("/metrics", "/metrics/x", false),
            ("/api/*", "/api/v1", true),
            ("/api/*", "/api", false),
            ("/api*", "/apis", true),
            ("*", "/anything", true),
            ("/*/x", "/a/x", false),
        ] {
            let rule = Rule::of_paths(&["get"], &[known]);
            let wish = Attributes { verb: "get", object: Object::Path(path) };
            assert_eq!(rule.allows(&wish), is_allowed, "{known} {path}");
            assert!(!rule.allows(&Attributes { verb: "post", object: Object::Path(path) }));
            assert!(!Rule::of_resources(&["*"], "*", &["*"]).allows(&wish), "no rule of resources is about paths");
        }
    }
}
