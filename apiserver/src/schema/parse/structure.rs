//! Decides what makes a node structural: the rules of upstream's `NonStructuralSchema` condition.

use serde_json::{Map, Value};

use super::{Additional, Level, Node, Parser, Path, Type, words};

/// JSON Schema keywords that have no meaning in a structural schema.
const UNSUPPORTED: [&str; 5] = ["definitions", "dependencies", "patternProperties", "additionalItems", "$ref"];

/// Keywords that describe structure and so stand outside of junctors only, with upstream's reason.
const STRUCTURE: [(&str, &str); 11] = [
    ("description", "must be empty to be structural"),
    ("title", "must be empty to be structural"),
    ("default", "must be undefined to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
];

impl Parser {
    pub(super) fn refuse_unsupported(&mut self, schema: &Map<String, Value>, path: &Path<'_>) {
        for key in UNSUPPORTED {
            if schema.get(key).is_some_and(|value| !value.is_null()) {
                self.errors.push(words::forbidden(path.field(key), &format!("{key} is not supported")));
            }
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.errors.push(words::forbidden(path.field("uniqueItems"), detail));
        }
    }

    /// What every node outside of junctors must have.
    pub(super) fn require_structure(&mut self, node: &Node, path: &Path<'_>, level: Level) {
        let place = path.field("type");
        match (node.kind, node.int_or_string) {
            (None, false) if level == Level::Root => {
                self.errors.push(words::required(place, "must not be empty at the root"));
            }
            (None, false) if !node.preserve_unknown => {
                let what = if level == Level::Item { "array items" } else { "object fields" };
                self.errors.push(words::required(place, &format!("must not be empty for specified {what}")));
            }
            (Some(kind), false) if level == Level::Root && kind != Type::Object => {
                self.errors.push(words::invalid(place, &kind.name().into(), "must be object at the root"));
            }
            (Some(_), true) => {
                self.errors.push(words::forbidden(place, "must be empty if x-kubernetes-int-or-string is true"));
            }
            _ => {}
        }
        let place = path.field("additionalProperties");
        if !matches!(node.additional, Additional::None) && !node.properties.is_empty() {
            self.errors.push(words::forbidden(place, "additionalProperties and properties are mutual exclusive"));
        }
        if node.kind == Some(Type::Array) && node.items.is_none() {
            self.errors.push(words::required(path.field("items"), "must be specified"));
        }
        self.require_object_for_object_keywords(node, path);
        if level == Level::Root || node.embedded {
            self.require_free_metadata(node, path);
        }
    }

    fn require_object_for_object_keywords(&mut self, node: &Node, path: &Path<'_>) {
        let object = node.kind == Some(Type::Object);
        let shown = Value::from(node.kind.map_or("", Type::name));
        let place = path.field("type");
        if node.preserve_unknown && node.kind.is_some() && !object {
            let detail = "must be object if x-kubernetes-preserve-unknown-fields is true";
            self.errors.push(words::invalid(place, &shown, detail));
        }
        if node.embedded {
            if !object {
                self.errors.push(words::invalid(
                    place,
                    &shown,
                    "must be object if x-kubernetes-embedded-resource is true",
                ));
            }
            if node.properties.is_empty() && !node.preserve_unknown {
                let detail = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
                self.errors.push(words::required(path.field("properties"), detail));
            }
        }
        if !object && node.kind.is_some() && !node.properties.is_empty() {
            let detail = "must be object if properties are specified";
            self.errors.push(words::invalid(place, &shown, detail));
        }
    }

    /// `metadata` is the API's own; a schema may only narrow the name.
    fn require_free_metadata(&mut self, node: &Node, path: &Path<'_>) {
        let base = path.field("properties");
        for name in ["apiVersion", "kind"] {
            if let Some(kind) = node.properties.get(name).and_then(|child| child.kind)
                && kind != Type::String
            {
                let place = base.key(name);
                self.errors.push(words::invalid(place.field("type"), &kind.name().into(), "must be string"));
            }
        }
        let Some(metadata) = node.properties.get("metadata") else { return };
        let place = base.key("metadata");
        if let Some(kind) = metadata.kind
            && kind != Type::Object
        {
            self.errors.push(words::invalid(place.field("type"), &kind.name().into(), "must be object"));
        }
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        for name in metadata.properties.keys().filter(|name| !matches!(name.as_str(), "name" | "generateName")) {
            self.errors.push(words::forbidden(place.field("properties").key(name), detail));
        }
        if !matches!(metadata.additional, Additional::None) || metadata.preserve_unknown || metadata.nullable {
            self.errors.push(words::forbidden(place, detail));
        }
    }

    /// What nodes inside junctors must not have.
    pub(super) fn refuse_structure(&mut self, schema: &Map<String, Value>, path: &Path<'_>, typed: bool) {
        let set = |value: Option<&Value>| {
            value.is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)) && value.as_str() != Some(""))
        };
        if set(schema.get("type")) && !typed {
            self.errors.push(words::forbidden(path.field("type"), "must be empty to be structural"));
        }
        for (key, detail) in STRUCTURE {
            if set(schema.get(key)) {
                self.errors.push(words::forbidden(path.field(key), detail));
            }
        }
    }

    /// What a junctor speaks about must be declared outside of it.
    pub(super) fn require_declared(&mut self, inner: &Node, outer: &Node, path: &Path<'_>, junctor: &Path<'_>) {
        let base = path.field("properties");
        for (name, child) in &inner.properties {
            let place = base.key(name);
            match outer.child(name) {
                Some(outer) => self.require_declared(child, outer, &place, junctor),
                None if outer.preserve_unknown || matches!(outer.additional, Additional::Any) => {}
                None => self.errors.push(words::required(place, &format!("because it is defined in {junctor}"))),
            }
        }
        if let Some(item) = &inner.items {
            let place = path.field("items");
            match &outer.items {
                Some(outer) => self.require_declared(item, outer, &place, junctor),
                None => self.errors.push(words::required(place, &format!("because it is defined in {junctor}"))),
            }
        }
        for nested in
            inner.checks.iter().flat_map(|checks| checks.all_of.iter().chain(&checks.any_of).chain(&checks.one_of))
        {
            self.require_declared(nested, outer, path, junctor);
        }
    }
}
