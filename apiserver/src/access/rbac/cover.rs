//! Whether what somebody holds covers what is to be given away, as upstream reckons it: right by right, each by one rule.

use std::collections::BTreeMap;

use super::Rule;
use super::rule::is_path_meant;

/// Stands for every verb, group or resource.
const ALL: &str = "*";

impl Rule {
    /// Everything: every verb on every resource, and on every path.
    pub(crate) fn everything() -> [Self; 2] {
        [Self::of_resources(&[ALL], ALL, &[ALL]), Self::of_paths(&[ALL], &[ALL])]
    }

    /// The rule taken apart: one verb on one resource of one group, or on one path.
    fn single_rights(&self) -> Vec<Self> {
        let one = |text: &String| vec![text.clone()];
        let mut rights = Vec::new();
        for verb in &self.verbs {
            for group in &self.api_groups {
                for resource in &self.resources {
                    let right =
                        Self { verbs: one(verb), api_groups: one(group), resources: one(resource), ..Self::default() };
                    if self.resource_names.is_empty() {
                        rights.push(right);
                    } else {
                        let named = |name| Self { resource_names: one(name), ..right.clone() };
                        rights.extend(self.resource_names.iter().map(named));
                    }
                }
            }
            let of_path = |path| Self { verbs: one(verb), non_resource_urls: one(path), ..Self::default() };
            rights.extend(self.non_resource_urls.iter().map(of_path));
        }
        rights
    }

    /// Whether the rule allows all that a single right does.
    fn covers(&self, right: &Self) -> bool {
        let has_all = |known: &[String], wanted: &[String]| {
            known.iter().any(|known| known == ALL) || wanted.iter().all(|one| known.contains(one))
        };
        let resources = has_all(&self.resources, &right.resources)
            || right.resources.iter().all(|wanted| {
                let any_kinds = wanted.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
                self.resources.contains(wanted) || any_kinds.is_some_and(|any| self.resources.contains(&any))
            });
        let paths = right
            .non_resource_urls
            .iter()
            .all(|wanted| self.non_resource_urls.iter().any(|known| is_path_meant(known, wanted)));
        let names = self.resource_names.is_empty()
            || (!right.resource_names.is_empty() && has_all(&self.resource_names, &right.resource_names));
        has_all(&self.verbs, &right.verbs)
            && has_all(&self.api_groups, &right.api_groups)
            && resources
            && names
            && paths
    }

    /// As upstream shows a rule in a sentence.
    fn compact(&self) -> String {
        let parts = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let shown = parts.iter().filter(|(_, texts)| !texts.is_empty()).map(|(field, texts)| {
            let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
            format!("{field}:[{}]", texts.join(" "))
        });
        format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
    }
}

/// What of `wanted` nothing of `held` covers; the verbs on one thing are put together again.
pub(crate) fn missing(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let mut by_object: BTreeMap<[Vec<String>; 4], Rule> = BTreeMap::new();
    for right in wanted.iter().flat_map(Rule::single_rights) {
        if held.iter().any(|rule| rule.covers(&right)) {
            continue;
        }
        let Rule { verbs, api_groups, resources, resource_names, non_resource_urls } = right.clone();
        let rule = by_object
            .entry([api_groups, resources, resource_names, non_resource_urls])
            .or_insert_with(|| Rule { verbs: Vec::new(), ..right });
        rule.verbs.extend(verbs.into_iter().filter(|verb| !rule.verbs.contains(verb)).collect::<Vec<_>>());
    }
    by_object.into_values().collect()
}

/// A line for each rule, sorted.
pub(crate) fn sentence(rules: &[Rule]) -> String {
    let mut lines: Vec<String> = rules.iter().map(Rule::compact).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rules(value: Value) -> Vec<Rule> {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn lacks(held: Value, wanted: Value, lines: &[&str]) {
        assert_eq!(sentence(&missing(&rules(held), &rules(wanted))), lines.join("\n"));
    }

    fn on(verbs: &[&str], resources: &[&str]) -> Value {
        json!({"verbs": verbs, "apiGroups": [""], "resources": resources})
    }

    #[test]
    fn what_is_held_may_be_given() {
        let held = json!([on(&["get"], &["secrets", "pods"]), on(&["list"], &["secrets"])]);
        lacks(held.clone(), json!([on(&["get", "list"], &["secrets"]), on(&["get"], &["pods"])]), &[]);
        lacks(
            held,
            json!([on(&["get", "list", "watch"], &["pods", "secrets"])]),
            &[
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}"#,
                r#"{APIGroups:[""], Resources:["secrets"], Verbs:["watch"]}"#,
            ],
        );
    }

    #[test]
    fn everything_is_only_given_by_whoever_has_everything() {
        let all = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
        lacks(all.clone(), all.clone(), &[]);
        lacks(json!([on(&["*"], &["*"])]), all, &[r#"{APIGroups:["*"], Resources:["*"], Verbs:["*"]}"#]);
    }

    #[test]
    fn one_object_is_less_than_all_of_its_kind() {
        let named =
            json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "b"]}]);
        lacks(json!([on(&["get"], &["secrets"])]), named.clone(), &[]);
        lacks(named.clone(), named.clone(), &[]);
        let lacking = r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}"#;
        lacks(named.clone(), json!([on(&["get"], &["secrets"])]), &[lacking]);
        let other = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["c"]}]);
        lacks(named, other, &[r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["c"], Verbs:["get"]}"#]);
    }

    #[test]
    fn subresources_are_rights_of_their_own() {
        lacks(json!([on(&["get"], &["*/log"])]), json!([on(&["get"], &["instances/log"])]), &[]);
        lacks(json!([on(&["get"], &["*"])]), json!([on(&["get"], &["instances/log"])]), &[]);
        lacks(
            json!([on(&["create"], &["instances"])]),
            json!([on(&["create"], &["instances/exec"])]),
            &[r#"{APIGroups:[""], Resources:["instances/exec"], Verbs:["create"]}"#],
        );
    }

    #[test]
    fn paths_are_covered_by_what_they_begin_with() {
        let paths = |paths: &[&str]| json!([{"verbs": ["get"], "nonResourceURLs": paths}]);
        lacks(paths(&["/api/*", "/metrics"]), paths(&["/api/v1", "/api/x/*", "/metrics"]), &[]);
        lacks(paths(&["/metrics"]), paths(&["/metrics/*"]), &[r#"{NonResourceURLs:["/metrics/*"], Verbs:["get"]}"#]);
        lacks(
            json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]),
            paths(&["/metrics"]),
            &[r#"{NonResourceURLs:["/metrics"], Verbs:["get"]}"#],
        );
    }
}
