//! Decides what a Lease is: who leads, and since when.

use k8s_openapi::api::coordination::v1::Lease;

use super::{Declaration, Kind, age, column, openapi};

pub(super) fn kind() -> Kind {
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
        columns: vec![column("Holder", "string", "The identity of the current holder.", ".spec.holderIdentity"), age()],
        openapi: openapi::schema::<Lease>(),
    }
    .into_kind()
}
