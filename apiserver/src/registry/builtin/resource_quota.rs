//! Decides what a ResourceQuota is: which names it may limit, and how its amounts are written. What objects cost is
//! [`crate::quota`]'s matter.

use k8s_openapi::api::core::v1::ResourceQuota;
use serde_json::{Value, json};

use super::{CellForm, Declaration, Kind, age, column, data, openapi};
use crate::error::FieldError;
use crate::quota::Quantity;
use crate::schema::fields::names::qualified_name_problems;
use crate::schema::words;

/// Counts that have a name of their own, beside `count/...`.
const COUNTED: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
/// Amounts. All but `storage` are upstream's.
const MEASURED: [&str; 11] = [
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "storage",
];
const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

pub(super) fn kind() -> Kind {
    Declaration {
        group: "",
        version: "v1",
        kind: "ResourceQuota",
        plural: "resourcequotas",
        short_names: &["quota"],
        categories: &[],
        namespaced: true,
        status: true,
        selectable_fields: &[],
        columns: vec![
            column(
                "Request",
                CellForm::Text,
                "Request represents a minimum amount of cpu/memory that a container may consume.",
                "=usage .status !limits.",
            ),
            column(
                "Limit",
                CellForm::Text,
                "Limits control the maximum amount of cpu/memory that a container may use independent of contention on \
                 the node.",
                "=usage .status limits.",
            ),
            age(),
        ],
        openapi: openapi::schema::<ResourceQuota>(),
    }
    .into_kind()
}

pub(super) fn blank() -> Value {
    json!({"spec": {}, "status": {}})
}

/// Writes every amount in its one form.
pub(super) fn prepare(value: &mut Value) {
    for place in ["/spec/hard", "/status/hard", "/status/used"] {
        let Some(amounts) = value.pointer_mut(place).and_then(Value::as_object_mut) else { continue };
        for amount in amounts.values_mut() {
            if let Some(quantity) = Quantity::of(amount) {
                *amount = quantity.to_string().into();
            }
        }
    }
}

/// Whether a quota may limit something of this name.
pub(crate) fn is_quota_name(name: &str) -> bool {
    name_problems(name).is_empty()
}

pub(super) fn validate(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    amounts(&new["spec"], "spec", "hard", &mut errors);
    let scopes = |object: &Value| {
        let mut scopes: Vec<String> = list(&object["spec"]["scopes"]).map(str::to_owned).collect();
        scopes.sort();
        scopes.dedup();
        scopes
    };
    let given = &new["spec"]["scopes"];
    for scope in list(given) {
        if !SCOPES.contains(&scope) {
            errors.push(words::invalid("spec.scopes", given, "unsupported scope"));
        }
        for _ in unfit(scope, &new["spec"]["hard"]) {
            errors.push(words::invalid("spec.scopes", given, "unsupported scope applied to resource"));
        }
    }
    for _ in 0..conflicts(&list(given).collect::<Vec<_>>()) {
        errors.push(words::invalid("spec.scopes", given, "conflicting scopes"));
    }
    if let Some(selector) = new["spec"].get("scopeSelector").filter(|selector| selector.is_object()) {
        scope_selector(selector, &new["spec"]["hard"], &mut errors);
    }
    if old.is_some_and(|old| scopes(old) != scopes(new)) {
        errors.push(words::invalid("spec.scopes", &new["spec"]["scopes"], "field is immutable"));
    }
    amounts(&new["status"], "status", "hard", &mut errors);
    amounts(&new["status"], "status", "used", &mut errors);
    errors
}

/// Limits that a scope can't be about.
fn unfit<'a>(scope: &'a str, hard: &'a Value) -> impl Iterator<Item = &'a String> {
    const COMPUTE: [&str; 7] =
        ["cpu", "limits.cpu", "limits.memory", "memory", "pods", "requests.cpu", "requests.memory"];
    let fits = move |name: &str| match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        scope if SCOPES.contains(&scope) => COMPUTE.contains(&name),
        _ => true,
    };
    let is_standard = |name: &str| COUNTED.contains(&name) || MEASURED.contains(&name) || is_huge_pages(name);
    let names = hard.as_object().into_iter().flatten().map(|(name, _)| name);
    names.filter(move |name| is_standard(name) && !fits(name))
}

/// How many pairs of scopes contradict each other.
fn conflicts(scopes: &[&str]) -> usize {
    let pairs = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];
    pairs.iter().filter(|pair| pair.iter().all(|scope| scopes.contains(scope))).count()
}

fn scope_selector(selector: &Value, hard: &Value, errors: &mut Vec<FieldError>) {
    let place = "spec.scopeSelector.matchExpressions";
    let mut scopes = Vec::new();
    for requirement in selector["matchExpressions"].as_array().into_iter().flatten() {
        let text = |field: &str| requirement[field].as_str().unwrap_or_default();
        let (scope, operator) = (text("scopeName"), text("operator"));
        if !SCOPES.contains(&scope) {
            errors.push(words::invalid(format!("{place}.scopeName"), &scope.into(), "unsupported scope"));
        }
        for _ in unfit(scope, hard) {
            errors.push(words::invalid(place, selector, "unsupported scope applied to resource"));
        }
        let takes_values = matches!(scope, "PriorityClass" | "VolumeAttributesClass") || !SCOPES.contains(&scope);
        if !takes_values && operator != "Exists" {
            let detail = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, \
                          ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or \
                          ResourceQuotaScopeCrossNamespacePodAffinity";
            errors.push(words::invalid(format!("{place}.operator"), &operator.into(), detail));
        }
        let values = &requirement["values"];
        let count = values.as_array().map_or(0, Vec::len);
        match operator {
            "In" | "NotIn" if count == 0 => {
                let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                errors.push(words::required(format!("{place}.values"), detail));
            }
            "Exists" | "DoesNotExist" if count > 0 => {
                let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                errors.push(words::invalid(format!("{place}.values"), values, detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let detail = "not a valid selector operator";
                errors.push(words::invalid(format!("{place}.operator"), &other.into(), detail));
            }
        }
        scopes.push(scope);
    }
    for _ in 0..conflicts(&scopes) {
        errors.push(words::invalid(place, selector, "conflicting scopes"));
    }
}

fn amounts(part: &Value, part_name: &str, field: &str, errors: &mut Vec<FieldError>) {
    for (name, amount) in data::map(part, field) {
        let place = format!("{part_name}.{field}[{name}]");
        for problem in name_problems(name) {
            errors.push(words::invalid(&place, &name.as_str().into(), &problem));
        }
        let Some(quantity) = Quantity::of(amount) else { continue };
        if quantity.is_negative() {
            errors.push(words::invalid(&place, amount, "must be greater than or equal to 0"));
        }
        if is_counted(name) && !quantity.is_whole() {
            errors.push(words::invalid(&place, amount, "must be an integer"));
        }
    }
}

fn name_problems(name: &str) -> Vec<String> {
    let problems = qualified_name_problems(name);
    if !problems.is_empty() || name.contains('/') {
        return problems;
    }
    if COUNTED.contains(&name) || MEASURED.contains(&name) || is_huge_pages(name) {
        return problems;
    }
    vec!["must be a standard resource type or fully qualified".into(), "must be a standard resource for quota".into()]
}

fn is_huge_pages(name: &str) -> bool {
    name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")
}

/// Whether there are only whole ones of it.
fn is_counted(name: &str) -> bool {
    let is_extended = name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.");
    COUNTED.contains(&name) || is_extended
}

fn list(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(spec: Value, old: Option<Value>) -> Vec<String> {
        let old = old.map(|spec| json!({"spec": spec}));
        validate(&json!({"spec": spec}), old.as_ref()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn limits_are_on_counts_and_on_known_amounts() {
        let good = json!({"hard": {
            "count/instances.thecloud.dev": "3", "secrets": "10", "requests.cpu": "1500m", "storage": "1Ti",
            "requests.nvidia.com/gpu": "1",
        }});
        assert_eq!(problems(good, None), [""; 0]);
        let bad = json!({"hard": {"limit.cpu": "1", "pods": "1500m", "memory": "-1", "count/x y": "1"}});
        let found = problems(bad, None);
        for expected in [
            "spec.hard[limit.cpu]: Invalid value: \"limit.cpu\": must be a standard resource type or fully qualified",
            "spec.hard[limit.cpu]: Invalid value: \"limit.cpu\": must be a standard resource for quota",
            "spec.hard[pods]: Invalid value: \"1500m\": must be an integer",
            "spec.hard[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
        ] {
            assert!(found.iter().any(|problem| problem == expected), "{expected}: {found:?}");
        }
        assert!(found.iter().any(|problem| problem.starts_with("spec.hard[count/x y]: Invalid value: ")), "{found:?}");
    }

    #[test]
    fn scopes_are_known_and_stay() {
        assert_eq!(problems(json!({"scopes": ["BestEffort"]}), Some(json!({"scopes": ["BestEffort"]}))), [""; 0]);
        assert_eq!(
            problems(json!({"scopes": ["Best"]}), None),
            ["spec.scopes: Invalid value: [\"Best\"]: unsupported scope"]
        );
        assert_eq!(
            problems(json!({"scopes": ["Terminating"]}), Some(json!({}))),
            ["spec.scopes: Invalid value: [\"Terminating\"]: field is immutable"]
        );
    }

    #[test]
    fn scopes_are_about_what_pods_use() {
        let place = "spec.scopeSelector.matchExpressions";
        let selected = |requirement: Value, hard: Value| {
            problems(json!({"hard": hard, "scopeSelector": {"matchExpressions": [requirement]}}), None)
        };
        let class = json!({"scopeName": "PriorityClass", "operator": "In", "values": ["high"]});
        assert_eq!(selected(class, json!({"cpu": "1", "count/x": "1"})), [""; 0]);
        let class = json!({"scopeName": "PriorityClass", "operator": "Exists", "values": ["high"]});
        assert_eq!(
            selected(class, json!({})),
            [format!(
                "{place}.values: Invalid value: [\"high\"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for \
                 scope selector"
            )]
        );
        let odd = json!({"scopeName": "Best", "operator": "Is"});
        assert_eq!(
            selected(odd, json!({})),
            [
                format!("{place}.scopeName: Invalid value: \"Best\": unsupported scope"),
                format!("{place}.operator: Invalid value: \"Is\": not a valid selector operator"),
            ]
        );
        let found = problems(json!({"hard": {"secrets": "1"}, "scopes": ["BestEffort"]}), None);
        assert_eq!(found, ["spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource"]);
    }

    #[test]
    fn amounts_have_one_form() {
        let mut quota = json!({"spec": {"hard": {"memory": "1024Mi", "pods": 4, "cpu": "0.5"}}, "status": {}});
        prepare(&mut quota);
        assert_eq!(quota["spec"]["hard"], json!({"memory": "1Gi", "pods": "4", "cpu": "500m"}));
    }
}
