//! Decides what the objects of a kind count for in a ResourceQuota, beyond their number: the definition's annotation
//! [`CHARGES`] says which fields hold which amounts, so that no kind needs code here.

use serde::Deserialize;
use serde_json::Value;

use crate::error::FieldError;
use crate::schema::words;

/// Annotation with the amounts that a kind's objects are charged for: a JSON list of [`Charge`]s.
pub const CHARGES: &str = "thecloud.dev/charges";

/// One amount, under all the names by which a quota may limit it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Charge {
    /// `cpu`, `requests.cpu`
    pub names: Vec<String>,
    /// Where the amount is, in order of preference: the first place that holds something counts.
    pub amount: Vec<Source>,
}

/// A place where an amount may be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// `spec.resources.cpu`: a quantity in the object, or in the one it refers to.
    pub field: String,
    /// The object that has the field, where it is another.
    #[serde(default)]
    pub of: Option<Reference>,
}

/// How an object names another: one of the same namespace, or of none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reference {
    /// `instancetypes.thecloud.dev`
    pub resource: String,
    /// `spec.instanceType`: the field with the name.
    pub name_field: String,
    /// The setting of the server that has the name where the field has none.
    #[serde(default)]
    pub name_setting: Option<String>,
}

/// The charges that a definition declares; none where its annotation can't be read.
pub(super) fn charges(metadata: &Value) -> Vec<Charge> {
    declared(metadata).and_then(Result::ok).unwrap_or_default()
}

/// Says what is wrong with the annotation.
pub(super) fn validate(metadata: &Value, errors: &mut Vec<FieldError>) {
    let field = format!("metadata.annotations[{CHARGES}]");
    let mut refuse = |why: &str| errors.push(words::invalid(&field, &metadata["annotations"][CHARGES], why));
    let charges = match declared(metadata) {
        None => return,
        Some(Err(error)) => return refuse(&format!("must be a list of charges in JSON: {error}")),
        Some(Ok(charges)) => charges,
    };
    for charge in &charges {
        for name in &charge.names {
            if name.starts_with("count/") || !super::builtin::is_quota_name(name) {
                refuse(&format!("`{name}` is no name of an amount: use cpu, memory, storage, or DOMAIN/NAME"));
            }
        }
        if charge.names.is_empty() || charge.amount.is_empty() {
            refuse("a charge has at least one name and one amount");
        }
    }
}

fn declared(metadata: &Value) -> Option<Result<Vec<Charge>, serde_json::Error>> {
    metadata["annotations"][CHARGES].as_str().map(serde_json::from_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(annotation: &str) -> Vec<String> {
        let mut errors = Vec::new();
        validate(&json!({"annotations": {CHARGES: annotation}}), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn charge_names_fields_of_the_object_and_of_others() {
        let annotation = r#"[{"names": ["cpu", "example.com/chips"], "amount": [
            {"field": "spec.cpu"},
            {"field": "spec.cpu", "of": {"resource": "sizes.example.com", "nameField": "spec.size", "nameSetting": "size"}}
        ]}]"#;
        assert_eq!(problems(annotation), [""; 0]);
        let charges = charges(&json!({"annotations": {CHARGES: annotation}}));
        assert_eq!(charges[0].names, ["cpu", "example.com/chips"]);
        assert_eq!(charges[0].amount[1].of.as_ref().unwrap().name_setting.as_deref(), Some("size"));
        assert!(super::charges(&json!({})).is_empty());
    }

    #[test]
    fn what_is_no_list_of_charges_is_refused() {
        for annotation in [
            "cpu",
            r#"[{"names": ["cpu"]}]"#,
            r#"[{"names": [], "amount": [{"field": "spec.cpu"}]}]"#,
            r#"[{"names": ["cpu"], "amount": []}]"#,
            r#"[{"names": ["cpus"], "amount": [{"field": "spec.cpu"}]}]"#,
            r#"[{"names": ["count/widgets.wire.test"], "amount": [{"field": "spec.cpu"}]}]"#,
            r#"[{"names": ["cpu"], "amount": [{"fields": "spec.cpu"}]}]"#,
        ] {
            assert_eq!(problems(annotation).len(), 1, "{annotation}");
            assert!(problems(annotation)[0].starts_with("metadata.annotations[thecloud.dev/charges]: Invalid value: "));
        }
    }
}
