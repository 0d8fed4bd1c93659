//! The schemas of a kind and of its list, and how schemas point at each other.

use serde_json::{Map, Value, json};

use crate::registry::{Kind, Version};

use super::declared;
use super::names::schema_name;

/// What a `$ref` of v3 starts with.
pub(super) const V3_PREFIX: &str = "#/components/schemas/";

pub(super) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
pub(super) const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
pub(super) const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub(super) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should \
    convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this \
    from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const CONVENTIONS: &str = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";
const LIST_METADATA: &str = "Standard list metadata. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";

/// Adds the schemas of a kind and of its list.
pub(super) fn add(schemas: &mut Map<String, Value>, kind: &Kind, version: &Version) {
    let name = schema_name(kind, &version.name, &kind.kind);
    schemas.insert(name.clone(), object(kind, version));
    if kind.verbs.contains(&"list") {
        schemas.insert(schema_name(kind, &version.name, &kind.list_kind), list(kind, version, &name));
    }
}

fn object(kind: &Kind, version: &Version) -> Value {
    let published = match kind.is_built_in() {
        true => Value::clone(&version.openapi),
        false => declared::published(&version.openapi),
    };
    let mut schema = match published {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    schema.insert("type".into(), "object".into());
    let properties = schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(properties) = properties {
        properties.insert("apiVersion".into(), text(API_VERSION));
        properties.insert("kind".into(), text(KIND));
        properties.insert("metadata".into(), described_reference(declared::METADATA, OBJECT_META));
    }
    schema.insert("x-kubernetes-group-version-kind".into(), group_version_kind(kind, version, &kind.kind));
    if !kind.is_built_in() && !version.selectable_fields.is_empty() {
        let fields: Vec<Value> =
            version.selectable_fields.iter().map(|path| json!({"fieldPath": path.trim_start_matches('.')})).collect();
        schema.insert("x-kubernetes-selectable-fields".into(), fields.into());
    }
    Value::Object(schema)
}

fn list(kind: &Kind, version: &Version, item: &str) -> Value {
    json!({
        "description": format!("{} is a list of {}", kind.list_kind, kind.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": text(API_VERSION),
            "kind": text(KIND),
            "metadata": described_reference(LIST_METADATA, LIST_META),
            "items": {
                "description": format!("List of {}. More info: {CONVENTIONS}", kind.plural),
                "type": "array",
                "items": {"$ref": format!("{V3_PREFIX}{item}")},
            },
        },
        "x-kubernetes-group-version-kind": group_version_kind(kind, version, &kind.list_kind),
    })
}

fn group_version_kind(kind: &Kind, version: &Version, name: &str) -> Value {
    json!([{"group": kind.group, "version": version.name, "kind": name}])
}

/// A string.
pub(super) fn text(description: &str) -> Value {
    json!({"description": description, "type": "string"})
}

/// A reference with a text of its own: OpenAPI 3.0 ignores what stands beside a bare `$ref`.
pub(super) fn described_reference(description: &str, schema: &str) -> Value {
    json!({"description": description, "allOf": [{"$ref": format!("{V3_PREFIX}{schema}")}]})
}

/// Calls `visit` with the name that each `$ref` below points at.
pub(super) fn each_reference(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(target) if key == "$ref" => {
                        visit(target.rsplit('/').next().unwrap_or(target));
                    }
                    _ => each_reference(value, visit),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_reference(item, visit)),
        _ => {}
    }
}
