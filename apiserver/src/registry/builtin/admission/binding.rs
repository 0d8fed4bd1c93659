//! Bindings: where a policy is in force, with which parameters, and what follows.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use serde_json::Value;

use super::{BINDINGS, Kind, age, column, matching, openapi, text, texts};
use crate::error::FieldError;
use crate::registry::CellForm;
use crate::registry::builtin::label_selector;
use crate::schema::fields::names::{NameRule, problems};
use crate::schema::words;

const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];

pub(super) fn kind() -> Kind {
    let mut schema = openapi::schema::<ValidatingAdmissionPolicyBinding>();
    openapi::set_atomic_map(&mut schema, &["spec", "paramRef"]);
    openapi::set(&mut schema, &["spec", "validationActions"], "x-kubernetes-list-type", "set".into());
    let policy = "PolicyName indicates the policy definition which the policy binding binded to";
    let param = "ParamRef indicates the param resource which sets the configration param";
    let columns = vec![
        column("PolicyName", CellForm::Text, policy, ".spec.policyName"),
        column("ParamRef", CellForm::Text, param, "=set .spec.paramRef.namespace .spec.paramRef.name"),
        age(),
    ];
    super::declared("ValidatingAdmissionPolicyBinding", BINDINGS, false, columns, schema, &["spec", "matchResources"])
}

/// What is wrong with a binding.
pub(in crate::registry::builtin) fn validate(binding: &Value) -> Vec<FieldError> {
    let spec = &binding["spec"];
    let mut errors = Vec::new();
    match text(spec, "policyName") {
        "" => errors.push(words::required("spec.policyName", "")),
        name => {
            for detail in problems(NameRule::Subdomain, name) {
                errors.push(words::invalid("spec.policyName", &name.into(), &detail));
            }
        }
    }
    if let Some(params) = spec.get("paramRef").filter(|params| params.is_object()) {
        validate_params(params, &mut errors);
    }
    if let Some(matches) = spec.get("matchResources").filter(|matches| matches.is_object()) {
        // Upstream calls the field so.
        matching::validate(matches, "spec.matchResouces", &mut errors);
    }
    validate_actions(&texts(spec, "validationActions"), &mut errors);
    errors
}

fn validate_params(params: &Value, errors: &mut Vec<FieldError>) {
    let place = "spec.paramRef";
    let name = text(params, "name");
    let selector = params.get("selector").filter(|selector| selector.is_object());
    let exclusive = "name and selector are mutually exclusive";
    if !name.is_empty() {
        for detail in problems(NameRule::PathSegment, name) {
            errors.push(words::invalid(format!("{place}.name"), &name.into(), &detail));
        }
        if selector.is_some() {
            errors.push(words::forbidden(format!("{place}.name"), exclusive));
        }
    }
    if let Some(selector) = selector {
        label_selector::validate(selector, &format!("{place}.selector"), errors);
        if !name.is_empty() {
            errors.push(words::forbidden(format!("{place}.selector"), exclusive));
        }
    }
    if name.is_empty() && selector.is_none() {
        errors.push(words::required(place, "one of name or selector must be specified"));
    }
    let place = format!("{place}.parameterNotFoundAction");
    match text(params, "parameterNotFoundAction") {
        "" => errors.push(words::required(place, "")),
        "Allow" | "Deny" => {}
        other => errors.push(words::not_supported(place, &other.into(), &["Deny", "Allow"])),
    }
}

fn validate_actions(actions: &[&str], errors: &mut Vec<FieldError>) {
    let place = "spec.validationActions";
    let mut known = BTreeSet::new();
    for (index, action) in actions.iter().enumerate() {
        let place = format!("{place}[{index}]");
        if !ACTIONS.contains(action) {
            errors.push(words::not_supported(place, &(*action).into(), &ACTIONS));
        }
        // One that is there twice the schema refuses.
        known.insert(*action);
    }
    if known.contains("Deny") && known.contains("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                      response and headers serves no purpose)";
        errors.push(words::invalid(place, &actions.into(), detail));
    }
    if known.is_empty() {
        errors.push(words::required(place, "at least one validation action is required"));
    }
}
