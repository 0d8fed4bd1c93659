//! Decides whether an `openAPIV3Schema` is structural, and makes the [`Node`] tree that everything else walks.
//!
//! Structural means: every value has one type, found without looking into `allOf`, `anyOf`, `oneOf` or `not`, so that
//! unknown fields can be dropped and defaults filled in. Errors have paths below the schema, as
//! `properties[spec].type`. It never looks at an object.

mod checks;
mod keywords;
mod structure;

use serde_json::{Map, Value};

use super::cel;
use super::node::{Additional, ListType, Node, Type};
use super::path::Path;
use super::words;
use crate::error::FieldError;

/// How deep schemas may nest. Real ones stay below 20.
const MAX_DEPTH: usize = 64;

/// Where in a schema we are, which decides what must and must not be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The schema itself.
    Root,
    /// The value of a field or key.
    Field,
    /// The element of a list.
    Item,
    /// Inside a logical junctor: value validations only. `typed` where an int-or-string may repeat its two types.
    Junctor { typed: bool },
}

/// Parses a schema that stands by itself.
pub(crate) fn parse(schema: &Value) -> Result<Node, Vec<FieldError>> {
    parse_at(schema, &Path::Root)
}

/// Parses a schema that stands in a document.
pub(crate) fn parse_at(schema: &Value, path: &Path<'_>) -> Result<Node, Vec<FieldError>> {
    let (node, errors) = parse_stored(schema, path);
    if errors.is_empty() { Ok(node) } else { Err(errors) }
}

/// Makes what can be made of a schema that was taken once, and says what is wrong with it. Where nothing can be made of it,
/// everything goes.
pub(crate) fn parse_stored(schema: &Value, path: &Path<'_>) -> (Node, Vec<FieldError>) {
    let mut parser = Parser { errors: Vec::new() };
    let node = parser.node(schema, path, Level::Root, 0);
    (node, parser.errors)
}

struct Parser {
    errors: Vec<FieldError>,
}

impl Parser {
    fn node(&mut self, schema: &Value, path: &Path<'_>, level: Level, depth: usize) -> Node {
        let Some(schema) = schema.as_object() else {
            self.errors.push(words::invalid(path, schema, "must be a schema object"));
            return Node::anything();
        };
        if depth > MAX_DEPTH {
            self.errors.push(words::invalid_omitted(path, &format!("must not nest deeper than {MAX_DEPTH} levels")));
            return Node::anything();
        }
        self.refuse_unsupported(schema, path);
        let mut node = Node {
            kind: self.kind(schema, path),
            nullable: self.flag(schema, "nullable", path),
            int_or_string: self.flag(schema, "x-kubernetes-int-or-string", path),
            preserve_unknown: self.only_true(schema, "x-kubernetes-preserve-unknown-fields", path),
            embedded: self.flag(schema, "x-kubernetes-embedded-resource", path),
            json_schema: schema.get("x-thecloud-json-schema") == Some(&Value::Bool(true)),
            ..Node::default()
        };
        self.children(&mut node, schema, path, level, depth);
        if node.int_or_string {
            // It has these two types, whatever it says.
            node.kind = None;
        }
        node.list = self.list_type(&node, schema, path);
        node.atomic = self.is_atomic_map(&node, schema, path);
        node.checks = self.checks(&node, schema, path, level, depth);
        match level {
            Level::Junctor { typed } => self.refuse_structure(schema, path, typed),
            Level::Root | Level::Field | Level::Item => {
                self.require_structure(&node, path, level);
                self.rules(&mut node, schema, path);
                self.default(&mut node, schema, path, level);
            }
        }
        node
    }

    fn kind(&mut self, schema: &Map<String, Value>, path: &Path<'_>) -> Option<Type> {
        let name = self.string(schema, "type", path).filter(|name| !name.is_empty())?;
        let kind = Type::parse(name);
        if kind.is_none() {
            let path = path.field("type");
            self.errors.push(words::not_supported(path, &name.into(), &Type::ALL));
            if name == "null" {
                let detail = "type cannot be set to null, use nullable as an alternative";
                self.errors.push(words::forbidden(path, detail));
            }
        }
        kind
    }

    fn children(&mut self, node: &mut Node, schema: &Map<String, Value>, path: &Path<'_>, level: Level, depth: usize) {
        let below = |other: Level| if matches!(level, Level::Junctor { .. }) { level } else { other };
        if let Some(properties) = self.object(schema, "properties", path) {
            let base = path.field("properties");
            for (name, schema) in properties {
                let child = self.node(schema, &base.key(name), below(Level::Field), depth + 1);
                node.properties.insert(name.clone(), child);
            }
        }
        match schema.get("additionalProperties") {
            None | Some(Value::Null) => {}
            // As upstream: also what says that there are no others lets them stand.
            Some(Value::Bool(is_free)) => {
                node.additional = Additional::Any;
                if !is_free && !node.properties.is_empty() {
                    self.errors.push(exclusive(path));
                }
            }
            Some(schema) => {
                let child = self.node(schema, &path.field("additionalProperties"), below(Level::Field), depth + 1);
                node.additional = Additional::Schema(Box::new(child));
                if !node.properties.is_empty() {
                    self.errors.push(exclusive(path));
                }
            }
        }
        match schema.get("items") {
            None | Some(Value::Null) => {}
            Some(Value::Array(_)) => {
                self.errors
                    .push(words::forbidden(path.field("items"), "items must be a schema object and not an array"));
            }
            Some(schema) => {
                let child = self.node(schema, &path.field("items"), below(Level::Item), depth + 1);
                node.items = Some(Box::new(child));
            }
        }
        let additional = match &node.additional {
            Additional::Schema(child) => Some(child.as_ref()),
            Additional::None | Additional::Any => None,
        };
        let below = node.properties.values().chain(additional).chain(node.items.as_deref());
        let (has_rules, has_embedded) = below.fold((false, node.embedded), |(rules, embedded), child| {
            (rules || child.has_rules, embedded || child.has_embedded)
        });
        (node.has_rules, node.has_embedded) = (has_rules, has_embedded);
    }

    fn list_type(&mut self, node: &Node, schema: &Map<String, Value>, path: &Path<'_>) -> ListType {
        let Some(name) = self.string(schema, "x-kubernetes-list-type", path) else {
            if schema.contains_key("x-kubernetes-list-map-keys") {
                self.errors.push(words::required(
                    path.field("x-kubernetes-list-type"),
                    "must be map if x-kubernetes-list-map-keys is non-empty",
                ));
            }
            return ListType::Atomic;
        };
        if node.kind != Some(Type::Array) {
            self.errors.push(misfit(node, path, "must be array if x-kubernetes-list-type is specified"));
        }
        match name {
            "atomic" => ListType::Atomic,
            "set" => ListType::Set,
            "map" => ListType::Map(self.map_keys(node, schema, path)),
            other => {
                let value = other.into();
                self.errors.push(words::not_supported(
                    path.field("x-kubernetes-list-type"),
                    &value,
                    &["atomic", "set", "map"],
                ));
                ListType::Atomic
            }
        }
    }

    fn is_atomic_map(&mut self, node: &Node, schema: &Map<String, Value>, path: &Path<'_>) -> bool {
        let Some(name) = self.string(schema, "x-kubernetes-map-type", path) else { return false };
        if node.kind != Some(Type::Object) {
            self.errors.push(misfit(node, path, "must be object if x-kubernetes-map-type is specified"));
        }
        if !matches!(name, "atomic" | "granular") {
            let place = path.field("x-kubernetes-map-type");
            self.errors.push(words::not_supported(place, &name.into(), &["atomic", "granular"]));
        }
        name == "atomic"
    }

    fn map_keys(&mut self, node: &Node, schema: &Map<String, Value>, path: &Path<'_>) -> Vec<String> {
        let keys = self.strings(schema, "x-kubernetes-list-map-keys", path);
        let place = path.field("x-kubernetes-list-map-keys");
        if keys.is_empty() {
            self.errors.push(words::required(place, "must not be empty if x-kubernetes-list-type is map"));
        }
        let items = path.field("items");
        let properties = items.field("properties");
        let Some(item) = node.items.as_deref() else { return keys };
        for key in &keys {
            let Some(property) = item.properties.get(key) else {
                let detail = "entries must all be names of item properties";
                self.errors.push(words::invalid(place, &keys.as_slice().into(), detail));
                continue;
            };
            if matches!(property.kind, Some(Type::Object | Type::Array)) {
                // Upstream shows the type of the item.
                let kind = item.kind.map_or("", Type::name).into();
                let key = properties.key(key);
                self.errors.push(words::invalid(
                    key.field("type"),
                    &kind,
                    "must be a scalar type if parent array's x-kubernetes-list-type is map",
                ));
            }
            let required = item.checks.as_ref().is_some_and(|checks| checks.required.contains(key));
            if !required && property.default.is_none() {
                let key = properties.key(key);
                let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                self.errors.push(words::required(key.field("default"), detail));
            }
        }
        keys
    }

    fn rules(&mut self, node: &mut Node, schema: &Map<String, Value>, path: &Path<'_>) {
        let place = path.field("x-kubernetes-validations");
        for (index, rule) in self.list(schema, "x-kubernetes-validations", path).iter().enumerate() {
            match cel::compile(rule, node, &place.index(index)) {
                Ok(rule) => {
                    node.rules.push(rule);
                    node.has_rules = true;
                }
                Err(error) => self.errors.push(error),
            }
        }
    }

    fn default(&mut self, node: &mut Node, schema: &Map<String, Value>, path: &Path<'_>, level: Level) {
        let Some(value) = schema.get("default") else { return };
        let place = path.field("default");
        if level == Level::Root {
            self.errors.push(words::forbidden(place, "must not be set at the root"));
            return;
        }
        if value.is_null() && !node.nullable {
            return;
        }
        let mut cleaned = value.clone();
        let unknown = super::prune::prune_below(node, &mut cleaned);
        if !unknown.is_empty() {
            self.errors.push(words::invalid(place, value, "must not have unknown fields"));
            return;
        }
        // As it is written: defaults inside of a default come too late for it.
        let mut errors = super::validate::errors_at(node, &cleaned, &place);
        if errors.is_empty() && node.has_rules {
            errors = cel::errors_at(node, &cleaned, Some(&cleaned), &place);
            if errors.is_empty() {
                errors = cel::errors_at(node, &cleaned, None, &place);
            }
        }
        self.errors.extend(errors);
        super::default::fill(node, &mut cleaned);
        node.default = Some(cleaned);
    }
}

fn exclusive(path: &Path<'_>) -> FieldError {
    let detail = "additionalProperties and properties are mutual exclusive";
    words::forbidden(path.field("additionalProperties"), detail)
}

/// A type that another keyword doesn't go with, or none where it wants one.
fn misfit(node: &Node, path: &Path<'_>, detail: &str) -> FieldError {
    match node.kind {
        None => words::required(path.field("type"), detail),
        Some(kind) => words::invalid(path.field("type"), &kind.name().into(), detail),
    }
}

#[cfg(test)]
mod tests;
