//! Policies: expressions that requests must satisfy.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use serde_json::{Value, json};

use super::{Kind, POLICIES, age, column, items, matching, openapi, text};
use crate::error::FieldError;
use crate::registry::{CellForm, Column};
use crate::schema::cel::RESERVED;
use crate::schema::cel::request::{Expression, Names, Wanted};
use crate::schema::fields::names::{label_1035_problems, qualified_name_problems, subdomain_problems};
use crate::schema::words;

const MAX_CONDITIONS: u64 = 64;
const MAX_ANNOTATIONS: usize = 20;
const MAX_ANNOTATION: usize = 5 * 1024;
/// Compiling takes time; upstream has no limit of its own.
const MAX_EXPRESSIONS: u64 = 256;
const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];

pub(super) fn kind() -> Kind {
    let mut schema = openapi::schema::<ValidatingAdmissionPolicy>();
    openapi::set_atomic_map(&mut schema, &["spec", "paramKind"]);
    for list in ["auditAnnotations", "validations"] {
        openapi::set_atomic_list(&mut schema, &["spec", list]);
    }
    openapi::set_atomic_list(&mut schema, &["status", "typeChecking", "expressionWarnings"]);
    let lists = [("spec", "matchConditions", "name"), ("spec", "variables", "name"), ("status", "conditions", "type")];
    for (part, list, key) in lists {
        openapi::set(&mut schema, &[part, list], "x-kubernetes-list-type", "map".into());
        openapi::set(&mut schema, &[part, list], "x-kubernetes-list-map-keys", json!([key]));
        if part == "spec" {
            openapi::set(&mut schema, &[part, list], "x-kubernetes-patch-merge-key", key.into());
            openapi::set(&mut schema, &[part, list], "x-kubernetes-patch-strategy", "merge".into());
        }
        // Upstream's structs have it always, be it empty.
        openapi::set(&mut schema, &[part, list, "[]", key], "default", "".into());
    }
    let validations = "Validations indicates the number of validation rules defined in this configuration";
    let params = "ParamKind specifies the kind of resources used to parameterize this policy";
    let validations = column("Validations", CellForm::Count, validations, "=count .spec.validations");
    let columns = vec![
        Column { type_: "integer".to_owned(), ..validations },
        column("ParamKind", CellForm::Text, params, "=set .spec.paramKind.apiVersion .spec.paramKind.kind"),
        age(),
    ];
    super::declared("ValidatingAdmissionPolicy", POLICIES, true, columns, schema, &["spec", "matchConstraints"])
}

/// What is wrong with a policy.
pub(in crate::registry::builtin) fn validate(policy: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let spec = &policy["spec"];
    // What was taken once is not compiled again, nor are changes of the status.
    if old.is_some_and(|old| old["spec"] == *spec) {
        return Vec::new();
    }
    let mut errors = Vec::new();
    match text(spec, "failurePolicy") {
        "" => errors.push(words::required("spec.failurePolicy", "")),
        "Fail" | "Ignore" => {}
        other => {
            errors.push(words::not_supported("spec.failurePolicy", &other.into(), &["Fail", "Ignore"]));
        }
    }
    let param_kind = spec.get("paramKind").filter(|kind| kind.is_object());
    if let Some(kind) = param_kind {
        validate_param_kind(kind, &mut errors);
    }
    match spec.get("matchConstraints").filter(|matches| matches.is_object()) {
        None => errors.push(words::required("spec.matchConstraints", "")),
        Some(matches) => {
            matching::validate(matches, "spec.matchConstraints", &mut errors);
            if items(matches, "resourceRules").is_empty() {
                errors.push(words::required("spec.matchConstraints.resourceRules", ""));
            }
        }
    }
    let names = Names { params: param_kind.is_some(), variables: None };
    validate_conditions(items(spec, "matchConditions"), &names, &mut errors);
    for list in ["variables", "validations"] {
        let count = items(spec, list).len();
        if count as u64 > MAX_EXPRESSIONS {
            errors.push(words::too_many(format!("spec.{list}"), count, MAX_EXPRESSIONS));
            return errors;
        }
    }
    let variables = validate_variables(items(spec, "variables"), &names, &mut errors);
    let names = Names { variables: (!variables.is_empty()).then_some(&variables), ..names };
    let (validations, annotations) = (items(spec, "validations"), items(spec, "auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.push(words::required("spec.validations", detail));
        errors.push(words::required("spec.auditAnnotations", detail));
    }
    for (index, validation) in validations.iter().enumerate() {
        validate_validation(validation, &names, &format!("spec.validations[{index}]"), &mut errors);
    }
    validate_annotations(policy, annotations, &names, &mut errors);
    errors
}

fn compile(text: &str, names: &Names<'_>, wanted: Wanted, place: String, errors: &mut Vec<FieldError>) {
    if let Err(detail) = Expression::compile(text, names, wanted) {
        errors.push(words::invalid(place, &text.into(), &detail));
    }
}

fn validate_param_kind(kind: &Value, errors: &mut Vec<FieldError>) {
    let place = "spec.paramKind.apiVersion";
    let given = text(kind, "apiVersion");
    let parts: Vec<&str> = given.split('/').collect();
    match parts.as_slice() {
        [""] => errors.push(words::required(place, "")),
        [version] | [_, version] => {
            let group = if parts.len() == 2 { parts[0] } else { "" };
            if !group.is_empty() {
                let problems = subdomain_problems(group);
                if !problems.is_empty() {
                    errors.push(words::invalid(place, &group.into(), &problems.join(",")));
                }
            }
            let problems = label_1035_problems(version);
            if version.is_empty() {
                errors.push(words::invalid(place, &given.into(), "version must be specified"));
            } else if !problems.is_empty() {
                errors.push(words::invalid(place, &(*version).into(), &problems.join(",")));
            }
        }
        _ => {
            let detail = format!("unexpected GroupVersion string: {given}");
            errors.push(words::invalid(place, &given.into(), &detail));
        }
    }
    let name = text(kind, "kind");
    let problems = label_1035_problems(&name.to_lowercase());
    if name.is_empty() {
        errors.push(words::required("spec.paramKind.kind", ""));
    } else if !problems.is_empty() {
        let detail = format!("may have mixed case, but should otherwise match: {}", problems.join(","));
        errors.push(words::invalid("spec.paramKind.kind", &name.into(), &detail));
    }
}

fn validate_conditions(conditions: &[Value], names: &Names<'_>, errors: &mut Vec<FieldError>) {
    if conditions.len() as u64 > MAX_CONDITIONS {
        errors.push(words::too_many("spec.matchConditions", conditions.len(), MAX_CONDITIONS));
        return;
    }
    for (index, condition) in conditions.iter().enumerate() {
        let place = format!("spec.matchConditions[{index}]");
        match text(condition, "expression").trim() {
            "" => errors.push(words::required(format!("{place}.expression"), "")),
            text => compile(text, names, Wanted::Bool, format!("{place}.expression"), errors),
        }
        let (name, place) = (text(condition, "name"), format!("{place}.name"));
        if name.is_empty() {
            errors.push(words::required(place, ""));
            continue;
        }
        for detail in qualified_name_problems(name) {
            errors.push(words::invalid(&place, &name.into(), &detail));
        }
    }
}

/// Returns the names that validations may speak of.
fn validate_variables(variables: &[Value], names: &Names<'_>, errors: &mut Vec<FieldError>) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for (index, variable) in variables.iter().enumerate() {
        let place = format!("spec.variables[{index}]");
        let name = text(variable, "name");
        if name.trim().is_empty() {
            errors.push(words::required(format!("{place}.name"), "name is not specified"));
        } else if !is_identifier(name) {
            let detail = "name is not a valid CEL identifier";
            errors.push(words::invalid(format!("{place}.name"), &name.into(), detail));
        }
        let expression = text(variable, "expression");
        if expression.trim().is_empty() {
            errors.push(words::required(format!("{place}.expression"), "expression is not specified"));
        } else {
            let names = Names { variables: Some(&known), ..*names };
            compile(expression, &names, Wanted::Any, format!("{place}.expression"), errors);
        }
        known.push(name.to_owned());
    }
    known
}

fn is_identifier(name: &str) -> bool {
    let is_letter = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
    name.chars().all(is_letter) && !name.starts_with(|first: char| first.is_ascii_digit()) && !RESERVED.contains(&name)
}

fn validate_validation(validation: &Value, names: &Names<'_>, place: &str, errors: &mut Vec<FieldError>) {
    let expression = text(validation, "expression");
    if expression.trim().is_empty() {
        errors.push(words::required(format!("{place}.expression"), "expression is not specified"));
    } else {
        compile(expression, names, Wanted::Bool, format!("{place}.expression"), errors);
    }
    let by_expression = text(validation, "messageExpression");
    let place_of_message = format!("{place}.messageExpression");
    if !by_expression.trim().is_empty() {
        compile(by_expression, names, Wanted::Text, place_of_message, errors);
    } else if !by_expression.is_empty() {
        errors.push(words::invalid(place_of_message, &by_expression.into(), "must be non-empty if specified"));
    }
    let message = text(validation, "message");
    if !message.is_empty() && message.trim().is_empty() {
        let detail = "message must be non-empty if specified";
        errors.push(words::invalid(format!("{place}.message"), &message.into(), detail));
    } else if message.trim().contains(['\n', '\r']) {
        let detail = "message must not contain line breaks";
        errors.push(words::invalid(format!("{place}.message"), &message.into(), detail));
    }
    if let Some(reason) = validation.get("reason").filter(|reason| !reason.is_null())
        && !REASONS.iter().any(|known| reason == known)
    {
        errors.push(words::not_supported(format!("{place}.reason"), reason, &REASONS));
    }
}

fn validate_annotations(policy: &Value, annotations: &[Value], names: &Names<'_>, errors: &mut Vec<FieldError>) {
    if annotations.len() > MAX_ANNOTATIONS {
        let detail = format!("must not have more than {MAX_ANNOTATIONS} auditAnnotations");
        errors.push(words::invalid("spec.auditAnnotations", &annotations.into(), &detail));
        return;
    }
    let policy = text(&policy["metadata"], "name");
    let mut known = BTreeSet::new();
    for (index, annotation) in annotations.iter().enumerate() {
        let place = format!("spec.auditAnnotations[{index}]");
        let key = text(annotation, "key");
        if policy.is_empty() {
            let detail = "requires metadata.name be non-empty";
            errors.push(words::invalid(format!("{place}.key"), &key.into(), detail));
        } else {
            let whole = format!("{policy}/{key}");
            for detail in qualified_name_problems(&whole) {
                errors.push(words::invalid(format!("{place}.key"), &whole.as_str().into(), &detail));
            }
        }
        let place_of_value = format!("{place}.valueExpression");
        match text(annotation, "valueExpression").trim() {
            "" => errors.push(words::required(place_of_value, "valueExpression is not specified")),
            long if long.len() > MAX_ANNOTATION => {
                let detail = format!("must not exceed {MAX_ANNOTATION} bytes in length");
                errors.push(words::required(place_of_value, &detail));
            }
            text => compile(text, names, Wanted::TextOrNull, place_of_value, errors),
        }
        if !known.insert(key) {
            errors.push(words::duplicate(format!("{place}.key"), &key.into()));
        }
    }
}
