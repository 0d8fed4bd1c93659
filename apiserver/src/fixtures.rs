//! Made-up kinds for the tests of the formats: a `Widget` as a user would declare it, and bare built-in ones.

use std::sync::Arc;

use serde_json::json;

#[cfg(test)]
use crate::registry::Registry;
use crate::registry::{Behaviour, CellForm, Column, Kind, Origin, Scale, Version};
use crate::schema::Structural;

const ALL_VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// A printer column.
pub(crate) fn column(name: &str, type_: &str, json_path: &str) -> Column {
    Column {
        name: name.to_owned(),
        type_: type_.to_owned(),
        format: String::new(),
        description: String::new(),
        priority: 0,
        json_path: json_path.to_owned(),
        cell: CellForm::Typed,
    }
}

/// `widgets.example.com`, version `v1`, with everything that a kind can have.
pub(crate) fn widget() -> Arc<Kind> {
    let openapi = json!({
        "type": "object",
        "description": "Widget is a thing.",
        "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object",
                "required": ["color"],
                "properties": {
                    "color": {"type": "string", "enum": ["red", "green"], "description": "Paint."},
                    "replicas": {"type": "integer", "format": "int32", "minimum": 0, "default": 1},
                    "size": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "note": {"type": "string", "nullable": true, "maxLength": 20},
                    "free": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": true,
                        "properties": {"declared": {"type": "string"}},
                    },
                    "ports": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["port"],
                        "items": {
                            "type": "object",
                            "required": ["port"],
                            "properties": {"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}},
                        },
                    },
                },
                "x-kubernetes-validations": [{"rule": "self.replicas <= 100", "message": "at most 100 replicas"}],
            },
            "status": {
                "type": "object",
                "properties": {"ready": {"type": "integer"}, "selector": {"type": "string"}},
            },
        },
    });
    let mut size = column("Size", "string", ".spec.size");
    size.priority = 1;
    Arc::new(Kind {
        group: "example.com".into(),
        plural: "widgets".into(),
        singular: "widget".into(),
        kind: "Widget".into(),
        list_kind: "WidgetList".into(),
        short_names: vec!["wd".into()],
        categories: vec!["all".into()],
        namespaced: true,
        versions: vec![Version {
            name: "v1".into(),
            served: true,
            deprecation: None,
            schema: Arc::new(Structural::parse(&openapi).expect("the schema is structural")),
            openapi: Arc::new(openapi),
            columns: vec![
                column("Color", "string", ".spec.color"),
                column("Ready", "integer", ".status.ready"),
                size,
                column("Age", "date", ".metadata.creationTimestamp"),
            ],
            status: true,
            scale: Some(Scale {
                spec_replicas_path: ".spec.replicas".into(),
                status_replicas_path: ".status.ready".into(),
                label_selector_path: Some(".status.selector".into()),
            }),
            selectable_fields: vec!["spec.color".into()],
        }],
        storage_version: "v1".into(),
        stored_as: None,
        review: None,
        behaviour: Behaviour::default(),
        origin: Origin::Custom { uid: "0d9d5b0c-55f8-4c27-9f2e-6a6a3c2f4a11".into() },
        connects: vec!["log".into(), "exec".into()],
        charges: Vec::new(),
        verbs: ALL_VERBS.to_vec(),
    })
}

/// A built-in kind without fields of its own.
pub(crate) fn built_in(group: &str, kind: &str) -> Arc<Kind> {
    let singular = kind.to_lowercase();
    let openapi = json!({
        "type": "object",
        "description": format!("{kind} is built in."),
        "properties": {"data": {"type": "object", "additionalProperties": {"type": "string"}}},
    });
    Arc::new(Kind {
        group: group.into(),
        plural: format!("{singular}s"),
        singular,
        kind: kind.into(),
        list_kind: format!("{kind}List"),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: !matches!(kind, "Namespace" | "CustomResourceDefinition"),
        versions: vec![Version {
            name: "v1".into(),
            served: true,
            deprecation: None,
            schema: Arc::new(Structural::parse(&openapi).expect("the schema is structural")),
            openapi: Arc::new(openapi),
            columns: Vec::new(),
            status: false,
            scale: None,
            selectable_fields: Vec::new(),
        }],
        storage_version: "v1".into(),
        stored_as: None,
        review: None,
        behaviour: Behaviour::default(),
        origin: Origin::BuiltIn,
        connects: Vec::new(),
        charges: Vec::new(),
        verbs: ALL_VERBS.to_vec(),
    })
}

/// A registry of the widget and some built-in kinds.
#[cfg(test)]
pub(crate) fn registry() -> Arc<Registry> {
    Arc::new(Registry::new([
        widget(),
        built_in("", "ConfigMap"),
        built_in("", "Namespace"),
        built_in("apiextensions.k8s.io", "CustomResourceDefinition"),
    ]))
}
