//! The paths and operations of a kind, in OpenAPI v3's words.

use serde_json::{Map, Value, json};

use crate::lifecycle::rules;
use crate::patch::PatchType;
use crate::registry::{Kind, Version};

use super::names::{GroupVersion, capitalized, schema_name};
use super::{parameters, schemas};

const TOKEN_REQUEST: &str = "io.k8s.api.authentication.v1.TokenRequest";
const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// Adds everything a kind serves in a version.
pub(super) fn add(paths: &mut Map<String, Value>, kind: &Kind, version: &Version) {
    let writer = Writer {
        kind,
        names: GroupVersion { group: kind.group.clone(), version: version.name.clone() },
        object: schema_name(kind, &version.name, &kind.kind),
        list: schema_name(kind, &version.name, &kind.list_kind),
        scope: if kind.namespaced { "Namespaced" } else { "" },
    };
    let root = format!("/{}", writer.names.path());
    let plural = &kind.plural;
    let collection =
        if kind.namespaced { format!("{root}/namespaces/{{namespace}}/{plural}") } else { format!("{root}/{plural}") };
    if kind.namespaced && writer.serves("list") {
        let mut item = Map::new();
        item.insert("get".into(), writer.list("ForAllNamespaces", ""));
        paths.insert(format!("{root}/{plural}"), Value::Object(item));
    }
    writer.put(paths, &collection, &[], writer.collection());
    let object = format!("{collection}/{{name}}");
    writer.put(paths, &object, &["name"], writer.object());
    if version.status {
        writer.put(paths, &format!("{object}/status"), &["name"], writer.subresource("status", &writer.object));
    }
    if version.scale.is_some() {
        writer.put(paths, &format!("{object}/scale"), &["name"], writer.subresource("scale", SCALE));
    }
    if rules::has_tokens(kind) {
        writer.put(paths, &format!("{object}/token"), &["name"], writer.token());
    }
    if kind.behaviour.keeps_versions {
        writer.put(paths, &format!("{object}/versions"), &["name"], writer.versions());
    }
    if rules::has_api_keys(kind) {
        writer.put(paths, &format!("{object}/token"), &["name"], writer.key());
    }
    if rules::has_passwords(kind) {
        writer.put(paths, &format!("{object}/password"), &["name"], writer.password());
    }
    for connect in &kind.connects {
        writer.put(paths, &format!("{object}/{connect}"), &["name"], writer.connect(connect));
    }
}

struct Writer<'a> {
    kind: &'a Kind,
    names: GroupVersion,
    object: String,
    list: String,
    scope: &'static str,
}

impl Writer<'_> {
    fn serves(&self, verb: &str) -> bool {
        self.kind.verbs.contains(&verb)
    }

    /// Stores a path with the parameters that stand in it; a path without operations is left out.
    fn put(&self, paths: &mut Map<String, Value>, path: &str, extra: &[&str], mut item: Map<String, Value>) {
        if item.is_empty() {
            return;
        }
        let mut in_path = Vec::new();
        for name in extra {
            in_path.push(parameters::in_path(name, &format!("name of the {}", self.kind.kind)));
        }
        if self.kind.namespaced {
            in_path.push(parameters::in_path("namespace", "the namespace of the object"));
        }
        if !in_path.is_empty() {
            item.insert("parameters".into(), in_path.into());
        }
        paths.insert(path.to_owned(), Value::Object(item));
    }

    fn collection(&self) -> Map<String, Value> {
        let kind = &self.kind.kind;
        let mut item = Map::new();
        if self.serves("list") {
            item.insert("get".into(), self.list("", self.scope));
        }
        if self.serves("create") {
            let mut operation =
                self.operation("post", &format!("create a {kind}"), &format!("create#{}{kind}", self.scope));
            operation["requestBody"] = self.body(&self.object);
            operation["responses"] = responses(&["200", "201", "202"], &self.object);
            item.insert("post".into(), operation);
        }
        if self.serves("deletecollection") {
            let id = format!("delete#Collection{}{kind}", self.scope);
            let mut operation = self.operation("deletecollection", &format!("delete collection of {kind}"), &id);
            operation["requestBody"] = optional_body(schemas::DELETE_OPTIONS);
            operation["responses"] = responses(&["200"], schemas::STATUS);
            item.insert("delete".into(), operation);
        }
        item
    }

    fn list(&self, suffix: &str, scope: &str) -> Value {
        let kind = &self.kind.kind;
        let mut operation =
            self.operation("list", &format!("list objects of kind {kind}"), &format!("list#{scope}{kind}{suffix}"));
        operation["responses"] = responses(&["200"], &self.list);
        operation
    }

    fn object(&self) -> Map<String, Value> {
        let kind = &self.kind.kind;
        let named = format!("{}{kind}", self.scope);
        let mut item = Map::new();
        if self.serves("get") {
            let mut operation = self.operation("get", &format!("read the specified {kind}"), &format!("read#{named}"));
            operation["responses"] = responses(&["200"], &self.object);
            item.insert("get".into(), operation);
        }
        if self.serves("update") {
            item.insert("put".into(), self.replace(&format!("replace the specified {kind}"), &named, &self.object));
        }
        if self.serves("patch") {
            item.insert(
                "patch".into(),
                self.patch(&format!("partially update the specified {kind}"), &named, &self.object),
            );
        }
        if self.serves("delete") {
            let mut operation = self.operation("delete", &format!("delete a {kind}"), &format!("delete#{named}"));
            operation["requestBody"] = optional_body(schemas::DELETE_OPTIONS);
            operation["responses"] = responses(&["200", "202"], schemas::STATUS);
            item.insert("delete".into(), operation);
        }
        item
    }

    fn subresource(&self, name: &str, schema: &str) -> Map<String, Value> {
        let kind = &self.kind.kind;
        let named = format!("{}{kind}{}", self.scope, capitalized(name));
        let mut read = self.operation("get", &format!("read {name} of the specified {kind}"), &format!("read#{named}"));
        read["responses"] = responses(&["200"], schema);
        let mut item = Map::new();
        item.insert("get".into(), read);
        item.insert("put".into(), self.replace(&format!("replace {name} of the specified {kind}"), &named, schema));
        item.insert(
            "patch".into(),
            self.patch(&format!("partially update {name} of the specified {kind}"), &named, schema),
        );
        if schema == SCALE {
            for operation in item.values_mut() {
                operation["x-kubernetes-group-version-kind"] =
                    json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
            }
        }
        item
    }

    fn token(&self) -> Map<String, Value> {
        let kind = &self.kind.kind;
        let id = format!("create#{}{kind}Token", self.scope);
        let mut operation = self.operation("post", &format!("create token of a {kind}"), &id);
        operation["requestBody"] = self.body(TOKEN_REQUEST);
        operation["responses"] = responses(&["200", "201", "202"], TOKEN_REQUEST);
        operation["x-kubernetes-group-version-kind"] =
            json!({"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"});
        Map::from_iter([("post".to_owned(), operation)])
    }

    fn versions(&self) -> Map<String, Value> {
        let kind = &self.kind.kind;
        let id = format!("read#{}{kind}Versions", self.scope);
        let mut operation = self.operation("get", &format!("read what a {kind} held before"), &id);
        operation["parameters"] = json!([parameters::in_query(
            "version",
            "integer",
            "Answer with the object as it was in this version instead of a list of the versions there are.",
        )]);
        operation["responses"] = json!({"200": {"description": "OK"}, "401": {"description": "Unauthorized"}});
        Map::from_iter([("get".to_owned(), operation)])
    }

    fn key(&self) -> Map<String, Value> {
        let kind = &self.kind.kind;
        let id = format!("create#{}{kind}Token", self.scope);
        let mut operation = self.operation("post", &format!("make the key of the specified {kind}, and show it"), &id);
        operation["responses"] = responses(&["201"], &self.object);
        Map::from_iter([("post".to_owned(), operation)])
    }

    fn password(&self) -> Map<String, Value> {
        let kind = &self.kind.kind;
        let named = format!("{}{kind}Password", self.scope);
        let mut set =
            self.operation("post", &format!("set the password of the specified {kind}"), &format!("create#{named}"));
        let schema = json!({
            "type": "object",
            "required": ["password"],
            "properties": {"password": {"type": "string", "format": "password"}},
            "additionalProperties": false,
        });
        set["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
        let description = format!("take the password of the specified {kind} away");
        let mut taken = self.operation("delete", &description, &format!("delete#{named}"));
        for operation in [&mut set, &mut taken] {
            operation["responses"] = responses(&["200"], schemas::STATUS);
        }
        Map::from_iter([("post".to_owned(), set), ("delete".to_owned(), taken)])
    }

    fn connect(&self, name: &str) -> Map<String, Value> {
        let kind = &self.kind.kind;
        let id = format!("connectGet#{}{kind}{}", self.scope, capitalized(name));
        let mut operation = self.operation("connect", &format!("connect to {name} of {kind}"), &id);
        operation["responses"] = json!({"200": {"description": "OK"}, "401": {"description": "Unauthorized"}});
        Map::from_iter([("get".to_owned(), operation)])
    }

    fn replace(&self, description: &str, named: &str, schema: &str) -> Value {
        let mut operation = self.operation("put", description, &format!("replace#{named}"));
        operation["requestBody"] = self.body(schema);
        operation["responses"] = responses(&["200", "201"], schema);
        operation
    }

    fn patch(&self, description: &str, named: &str, schema: &str) -> Value {
        let mut operation = self.operation("patch", description, &format!("patch#{named}"));
        let patch = json!({"schema": reference(schemas::PATCH)});
        let content: Map<String, Value> =
            PatchType::of(self.kind).iter().map(|type_| (type_.media_type().to_owned(), patch.clone())).collect();
        operation["requestBody"] = json!({"required": true, "content": content});
        operation["responses"] = responses(&["200"], schema);
        operation
    }

    fn body(&self, schema: &str) -> Value {
        json!({"required": true, "content": content(schema)})
    }

    /// An operation without body and answers. `id` has `#` where group and version go.
    fn operation(&self, action: &str, description: &str, id: &str) -> Value {
        let mut operation = json!({
            "tags": [self.names.tag()],
            "description": description,
            "operationId": id.replace('#', &self.names.camel()),
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {
                "group": self.kind.group,
                "version": self.names.version,
                "kind": self.kind.kind,
            },
        });
        let parameters = parameters::of(action);
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        operation
    }
}

fn optional_body(schema: &str) -> Value {
    json!({"content": content(schema)})
}

fn content(schema: &str) -> Value {
    let schema = json!({"schema": reference(schema)});
    json!({"application/json": schema, "application/yaml": schema})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("{}{schema}", schemas::V3_PREFIX)})
}

fn responses(codes: &[&str], schema: &str) -> Value {
    let mut responses = Map::new();
    for code in codes {
        let description = match *code {
            "201" => "Created",
            "202" => "Accepted",
            _ => "OK",
        };
        responses.insert((*code).to_owned(), json!({"description": description, "content": content(schema)}));
    }
    responses.insert("401".into(), json!({"description": "Unauthorized"}));
    Value::Object(responses)
}
