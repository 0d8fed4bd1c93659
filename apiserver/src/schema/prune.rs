//! Decides which fields of an object are unknown, and removes them. `apiVersion`, `kind` and `metadata` of an object
//! (and of an embedded one) are always known; what stands in `metadata` is compared with `ObjectMeta`.

use serde_json::{Map, Value};

use super::metadata;
use super::node::{Additional, Node};

/// The keywords of an `openAPIV3Schema` (`JSONSchemaProps`).
const KEYWORDS: [&str; 43] = [
    "$ref",
    "$schema",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "definitions",
    "dependencies",
    "description",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "id",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "patternProperties",
    "properties",
    "required",
    "title",
    "type",
    "uniqueItems",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
];

/// `x-kubernetes-validations` stands apart because its own fields are checked too.
const VALIDATIONS: &str = "x-kubernetes-validations";
const VALIDATION: [&str; 6] = ["fieldPath", "message", "messageExpression", "optionalOldSelf", "reason", "rule"];

/// Removes what the schema of a whole object does not know and returns the paths, sorted.
pub(crate) fn prune_object(node: &Node, value: &mut Value) -> Vec<String> {
    let mut pruner = Pruner::default();
    pruner.resource(node, value);
    pruner.sorted()
}

/// Removes what the schema of a value inside an object does not know and returns the paths, sorted.
pub(crate) fn prune_below(node: &Node, value: &mut Value) -> Vec<String> {
    let mut pruner = Pruner::default();
    pruner.value(node, value);
    pruner.sorted()
}

#[derive(Default)]
struct Pruner {
    /// Where we are, as `.spec.ports[0]`.
    path: String,
    unknown: Vec<String>,
    /// Bytes of `unknown`.
    told: usize,
}

/// So many unknown fields are told; all of them go.
const MAX_TOLD: usize = 100;
/// And so many bytes of them: a path repeats the keys of maps above it.
const MAX_TOLD_BYTES: usize = 64 << 10;

impl Pruner {
    fn sorted(mut self) -> Vec<String> {
        self.unknown.sort_unstable();
        self.unknown
    }

    fn at(&mut self, step: std::fmt::Arguments<'_>, visit: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        std::fmt::Write::write_fmt(&mut self.path, step).expect("writing to a string cannot fail");
        visit(self);
        self.path.truncate(length);
    }

    fn report(&mut self, key: &str) {
        if self.unknown.len() >= MAX_TOLD || self.told >= MAX_TOLD_BYTES {
            return;
        }
        let path = format!("{}.{key}", self.path);
        self.told += path.len();
        self.unknown.push(path.trim_start_matches('.').to_owned());
    }

    /// An object with its own `apiVersion`, `kind` and `metadata`.
    fn resource(&mut self, node: &Node, value: &mut Value) {
        let Value::Object(map) = value else { return };
        if let Some(metadata) = map.get_mut("metadata") {
            self.at(format_args!(".metadata"), |pruner| pruner.value(metadata::schema(), metadata));
        }
        self.object(node, map, |key| matches!(key, "apiVersion" | "kind" | "metadata"));
    }

    fn value(&mut self, node: &Node, value: &mut Value) {
        match value {
            Value::Object(map) if node.json_schema => self.json_schema(map),
            Value::Object(_) if node.embedded => self.resource(node, value),
            Value::Object(map) => self.object(node, map, |_| false),
            Value::Array(list) => {
                let Some(items) = &node.items else { return };
                for (index, value) in list.iter_mut().enumerate() {
                    self.at(format_args!("[{index}]"), |pruner| pruner.value(items, value));
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, node: &Node, map: &mut Map<String, Value>, kept: impl Fn(&str) -> bool) {
        let open = node.preserve_unknown;
        map.retain(|key, value| {
            if kept(key) {
                return true;
            }
            if let Some(child) = node.child(key) {
                self.at(format_args!(".{key}"), |pruner| pruner.value(child, value));
                return true;
            }
            if matches!(node.additional, Additional::Any) {
                self.at(format_args!(".{key}"), |pruner| pruner.undeclared(value));
                return true;
            }
            if !open {
                self.report(key);
            }
            open
        });
    }

    /// A value of which only that it is there is declared: as upstream has it, what its objects hold is unknown.
    fn undeclared(&mut self, value: &mut Value) {
        match value {
            Value::Object(map) => map.retain(|key, _| {
                self.report(key);
                false
            }),
            Value::Array(list) => {
                for (index, value) in list.iter_mut().enumerate() {
                    self.at(format_args!("[{index}]"), |pruner| pruner.undeclared(value));
                }
            }
            _ => {}
        }
    }

    fn json_schema(&mut self, map: &mut Map<String, Value>) {
        map.retain(|key, value| {
            let known = key == VALIDATIONS || KEYWORDS.binary_search(&key.as_str()).is_ok();
            if !known {
                self.report(key);
                return false;
            }
            self.at(format_args!(".{key}"), |pruner| match (key.as_str(), value) {
                ("properties" | "definitions" | "patternProperties", Value::Object(named)) => {
                    for (name, schema) in named {
                        pruner.at(format_args!(".{name}"), |pruner| pruner.schema_in(schema));
                    }
                }
                ("items" | "additionalProperties" | "not" | "allOf" | "anyOf" | "oneOf", schema) => {
                    pruner.schema_in(schema);
                }
                (VALIDATIONS, Value::Array(rules)) => {
                    for (index, rule) in rules.iter_mut().enumerate() {
                        let Value::Object(rule) = rule else { continue };
                        pruner.at(format_args!("[{index}]"), |pruner| {
                            rule.retain(|key, _| {
                                let known = VALIDATION.contains(&key.as_str());
                                if !known {
                                    pruner.report(key);
                                }
                                known
                            });
                        });
                    }
                }
                _ => {}
            });
            true
        });
    }

    /// A schema, or a list of schemas.
    fn schema_in(&mut self, value: &mut Value) {
        match value {
            Value::Object(map) => self.json_schema(map),
            Value::Array(list) => {
                for (index, value) in list.iter_mut().enumerate() {
                    self.at(format_args!("[{index}]"), |pruner| pruner.schema_in(value));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_for_the_search() {
        assert!(KEYWORDS.is_sorted());
    }
}
