//! The kinds whose objects are applied to.

use serde_json::{Value, json};

/// A kind whose objects several managers apply to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) path: &'static str,
    /// Fields that come back with these values when nobody sets them.
    pub(super) defaults: &'static [(&'static str, &'static str)],
}

pub(super) const GADGET: Target = Target {
    api_version: "apply.test/v1",
    kind: "Gadget",
    path: "/apis/apply.test/v1/namespaces/a/gadgets/it",
    defaults: &[("f:mode", "auto")],
};
pub(super) const CONFIG_MAP: Target =
    Target { api_version: "v1", kind: "ConfigMap", path: "/api/v1/namespaces/a/configmaps/it", defaults: &[] };
pub(super) const SECRET: Target =
    Target { api_version: "v1", kind: "Secret", path: "/api/v1/namespaces/a/secrets/it", defaults: &[] };
pub(super) const ACCOUNT: Target = Target {
    api_version: "v1",
    kind: "ServiceAccount",
    path: "/api/v1/namespaces/a/serviceaccounts/it",
    defaults: &[],
};
pub(super) const ROLE: Target = Target {
    api_version: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    path: "/apis/rbac.authorization.k8s.io/v1/namespaces/a/roles/it",
    defaults: &[],
};
pub(super) const LEASE: Target = Target {
    api_version: "coordination.k8s.io/v1",
    kind: "Lease",
    path: "/apis/coordination.k8s.io/v1/namespaces/a/leases/it",
    defaults: &[],
};

/// Lists of every kind, maps in maps, defaults, numbers that may be texts and fields that no schema knows.
pub(super) fn gadgets() -> Value {
    let text = json!({"type": "string"});
    let spec = json!({"type": "object", "properties": {
        "text": text,
        "size": {"x-kubernetes-int-or-string": true},
        "mode": {"type": "string", "default": "auto"},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": text},
        "order": {"type": "array", "items": text},
        "ports": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {"type": "object", "required": ["port"], "properties": {
                "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}, "note": text,
                "inner": {"type": "object", "additionalProperties": text},
            }},
        },
        "labels": {"type": "object", "additionalProperties": text},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": text},
        "nested": {"type": "object", "properties": {"a": {"type": "object", "properties": {
            "b": {"type": "object", "properties": {"c": text, "d": {"type": "integer"}}},
            "e": {"type": "object", "additionalProperties": {"type": "object", "properties": {"f": text}}},
        }}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": text}},
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.apply.test", "annotations": {"thecloud.dev/schema-version": "1"}},
        "spec": {
            "group": "apply.test", "scope": "Namespaced", "names": {"plural": "gadgets", "kind": "Gadget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
            }],
        },
    })
}
