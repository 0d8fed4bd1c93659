//! Decides whether the names that a definition wants are well formed.

use serde_json::Value;

use super::validate::dns1035_problem;
use super::{text, texts};
use crate::error::FieldError;
use crate::schema::words;

pub(super) fn validate(names: &Value, errors: &mut Vec<FieldError>) {
    for (field, is_required) in [("plural", true), ("singular", false), ("kind", true), ("listKind", false)] {
        let name = text(names, field);
        let place = format!("spec.names.{field}");
        if name.is_empty() {
            if is_required {
                errors.push(words::required(place, ""));
            }
            continue;
        }
        // Kinds are in CamelCase; otherwise they follow the same rule.
        let judged = if field.to_lowercase().ends_with("kind") { name.to_lowercase() } else { name.to_owned() };
        if let Some(detail) = dns1035_problem(&judged) {
            let detail = if judged == name {
                detail.to_owned()
            } else {
                format!("may have mixed case, but should otherwise match: {detail}")
            };
            errors.push(words::invalid(place, &name.into(), &detail));
        }
    }
    if !text(names, "kind").is_empty() && text(names, "kind") == text(names, "listKind") {
        let shown = text(names, "listKind").into();
        errors.push(words::invalid("spec.names.listKind", &shown, "kind and listKind may not be the same"));
    }
    for field in ["shortNames", "categories"] {
        for (index, name) in texts(names, field).iter().enumerate() {
            if let Some(detail) = dns1035_problem(name) {
                errors.push(words::invalid(format!("spec.names.{field}[{index}]"), &name.as_str().into(), detail));
            }
        }
    }
}
