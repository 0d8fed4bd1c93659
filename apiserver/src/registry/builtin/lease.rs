//! Decides what a Lease is: who leads, and since when.

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::Value;

use super::{CellForm, Declaration, Kind, age, column, openapi};
use crate::error::FieldError;
use crate::schema::words;

pub(super) fn kind() -> Kind {
    let schema = openapi::schema::<Lease>();
    let holder = openapi::description(&schema, &["spec", "holderIdentity"]);
    Declaration {
        group: "coordination.k8s.io",
        version: "v1",
        kind: "Lease",
        plural: "leases",
        short_names: &[],
        categories: &[],
        namespaced: true,
        status: false,
        selectable_fields: &[],
        columns: vec![column("Holder", CellForm::Text, &holder, ".spec.holderIdentity"), age()],
        openapi: schema,
    }
    .into_kind()
}

/// What is wrong with a Lease.
pub(super) fn validate(lease: &Value) -> Vec<FieldError> {
    let spec = &lease["spec"];
    let mut errors = Vec::new();
    if let Some(seconds) = spec["leaseDurationSeconds"].as_i64().filter(|seconds| *seconds <= 0) {
        errors.push(words::invalid("spec.leaseDurationSeconds", &seconds.into(), "must be greater than 0"));
    }
    if let Some(count) = spec["leaseTransitions"].as_i64().filter(|count| *count < 0) {
        let detail = "must be greater than or equal to 0";
        errors.push(words::invalid("spec.leaseTransitions", &count.into(), detail));
    }
    if spec.get("preferredHolder").is_some_and(|holder| holder != "" && !holder.is_null())
        && spec.get("strategy").is_none_or(Value::is_null)
    {
        errors.push(words::forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"));
    }
    errors
}
