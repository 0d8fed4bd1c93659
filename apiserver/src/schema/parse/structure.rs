//! Decides what makes a node structural: the rules of upstream's `NonStructuralSchema` condition.

use serde_json::{Map, Value};

use super::{Additional, Level, Node, Parser, Path, Type, misfit, words};

/// JSON Schema keywords that have no meaning in a structural schema.
const UNSUPPORTED: [&str; 6] = ["id", "definitions", "dependencies", "patternProperties", "additionalItems", "$ref"];

/// Keywords that describe structure and so stand outside of junctors only, with upstream's reason.
const STRUCTURE: [(&str, &str); 12] = [
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
    ("x-kubernetes-map-type", "must be undefined to be structural"),
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
        if node.kind == Some(Type::Array) && node.items.is_none() {
            self.errors.push(words::required(path.field("items"), "must be specified"));
        }
        if node.embedded && node.kind != Some(Type::Object) {
            self.errors.push(misfit(node, path, "must be object if x-kubernetes-embedded-resource is true"));
        } else if node.kind.is_none() && !node.int_or_string && !node.preserve_unknown {
            let detail = match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                _ => "must not be empty for specified object fields",
            };
            self.errors.push(words::required(place, detail));
        }
        if let Some(kind) = node.kind.filter(|kind| level == Level::Root && *kind != Type::Object) {
            self.errors.push(words::invalid(place, &kind.name().into(), "must be object at the root"));
        }
        for (is_set, name) in [
            (node.preserve_unknown, "x-kubernetes-preserve-unknown-fields"),
            (node.embedded, "x-kubernetes-embedded-resource"),
        ] {
            if node.int_or_string && is_set {
                let detail = "must be false if x-kubernetes-int-or-string is true";
                self.errors.push(words::invalid(path.field(name), &true.into(), detail));
            }
        }
        if node.embedded && node.properties.is_empty() && !node.preserve_unknown {
            let detail = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
            self.errors.push(words::required(path.field("properties"), detail));
        }
        if level == Level::Root || node.embedded {
            self.require_free_metadata(node, path, level);
        }
    }

    /// `metadata` is the API's own; a schema may only narrow the name.
    fn require_free_metadata(&mut self, node: &Node, path: &Path<'_>, level: Level) {
        let base = path.field("properties");
        for (name, wanted) in [("apiVersion", Type::String), ("kind", Type::String), ("metadata", Type::Object)] {
            let Some(child) = node.properties.get(name).filter(|child| child.kind != Some(wanted)) else { continue };
            let kind = child.kind.map_or("", Type::name).into();
            let detail = format!("must be {}", wanted.name());
            self.errors.push(words::invalid(base.key(name).field("type"), &kind, &detail));
        }
        let Some(metadata) = node.properties.get("metadata").filter(|_| level == Level::Root) else { return };
        let is_name = |name: &String| matches!(name.as_str(), "name" | "generateName");
        let is_free = matches!(metadata.additional, Additional::None)
            && metadata.properties.keys().all(is_name)
            && !metadata.preserve_unknown
            && !metadata.nullable;
        if !is_free {
            let detail =
                "must not specify anything other than name and generateName, but metadata is implicitly specified";
            self.errors.push(words::forbidden(base.key("metadata"), detail));
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
        if schema.get("properties").and_then(|properties| properties.get("metadata")).is_some() {
            let properties = path.field("properties");
            self.errors.push(words::forbidden(properties.key("metadata"), "must not be specified in a nested context"));
        }
    }

    /// What a junctor speaks about must be declared outside of it.
    pub(super) fn require_declared(&mut self, inner: &Node, outer: &Node, path: &Path<'_>, junctor: &Path<'_>) {
        let (base, said) = (path.field("properties"), junctor.field("properties"));
        for (name, child) in &inner.properties {
            let (place, said) = (base.key(name), said.key(name));
            match outer.properties.get(name) {
                Some(outer) => self.require_declared(child, outer, &place, &said),
                None => self.errors.push(words::required(place, &format!("because it is defined in {said}"))),
            }
        }
        if let Some(item) = &inner.items {
            let (place, said) = (path.field("items"), junctor.field("items"));
            match &outer.items {
                Some(outer) => self.require_declared(item, outer, &place, &said),
                None => self.errors.push(words::required(place, &format!("because it is defined in {said}"))),
            }
        }
        let Some(checks) = &inner.checks else { return };
        for (key, nested) in [("allOf", &checks.all_of), ("anyOf", &checks.any_of), ("oneOf", &checks.one_of)] {
            let said = junctor.field(key);
            for (index, nested) in nested.iter().enumerate() {
                self.require_declared(nested, outer, path, &said.index(index));
            }
        }
        if let Some(nested) = &checks.not {
            self.require_declared(nested, outer, path, &junctor.field("not"));
        }
    }
}
