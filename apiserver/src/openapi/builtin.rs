//! The schemas that documents share: `ObjectMeta`, `Status`, `Scale`, `TokenRequest` and what they point at. They come from the
//! k8s-openapi crate, whose schemas lack the list extensions that client-side merges need: those are added here.

use std::sync::OnceLock;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ListMeta, ObjectMeta, Status};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::schemas::{OBJECT_META, PATCH, each_reference};

/// The schema of a name, if it is a shared one.
fn schema(name: &str) -> Option<&'static Value> {
    static SCHEMAS: OnceLock<Map<String, Value>> = OnceLock::new();
    SCHEMAS.get_or_init(make).get(name)
}

/// Adds every shared schema that is pointed at, and what those point at.
pub(super) fn add_referenced(schemas: &mut Map<String, Value>, paths: &Map<String, Value>) {
    let mut wanted = Vec::new();
    paths
        .values()
        .chain(schemas.values())
        .for_each(|value| each_reference(value, &mut |name| wanted.push(name.to_owned())));
    while let Some(name) = wanted.pop() {
        if schemas.contains_key(&name) {
            continue;
        }
        if let Some(schema) = schema(&name) {
            each_reference(schema, &mut |name| wanted.push(name.to_owned()));
            schemas.insert(name, schema.clone());
        }
    }
}

fn make() -> Map<String, Value> {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        settings.transforms = Vec::new();
    });
    let mut generator = settings.into_generator();
    generator.subschema_for::<ObjectMeta>();
    generator.subschema_for::<ListMeta>();
    generator.subschema_for::<DeleteOptions>();
    generator.subschema_for::<Status>();
    generator.subschema_for::<Scale>();
    generator.subschema_for::<TokenRequest>();
    let mut schemas = generator.take_definitions(false);
    schemas.values_mut().for_each(wrap_references);
    schemas.insert(
        PATCH.to_owned(),
        json!({
            "description": "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.",
            "type": "object",
        }),
    );
    for (name, group, version, kind) in [
        (super::schemas::DELETE_OPTIONS, "", "v1", "DeleteOptions"),
        (super::schemas::STATUS, "", "v1", "Status"),
        ("io.k8s.api.autoscaling.v1.Scale", "autoscaling", "v1", "Scale"),
        ("io.k8s.api.authentication.v1.TokenRequest", "authentication.k8s.io", "v1", "TokenRequest"),
    ] {
        if let Some(schema) = schemas.get_mut(name) {
            schema["x-kubernetes-group-version-kind"] = json!([{"group": group, "version": version, "kind": kind}]);
        }
    }
    for (field, extensions) in [
        (
            "ownerReferences",
            json!({
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["uid"],
                "x-kubernetes-patch-merge-key": "uid",
                "x-kubernetes-patch-strategy": "merge",
            }),
        ),
        ("finalizers", json!({"x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"})),
        ("managedFields", json!({"x-kubernetes-list-type": "atomic"})),
    ] {
        let property =
            schemas.get_mut(OBJECT_META).and_then(|schema| schema.pointer_mut(&format!("/properties/{field}")));
        if let (Some(Value::Object(property)), Value::Object(extensions)) = (property, extensions) {
            property.extend(extensions);
        }
    }
    schemas
}

/// Moves a `$ref` that has neighbours into `allOf`: OpenAPI 3.0 ignores the neighbours otherwise.
fn wrap_references(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.len() > 1
                && let Some(reference) = fields.remove("$ref")
            {
                fields.insert("allOf".into(), json!([{"$ref": reference}]));
            }
            fields.values_mut().for_each(wrap_references);
        }
        Value::Array(items) => items.iter_mut().for_each(wrap_references),
        _ => {}
    }
}
