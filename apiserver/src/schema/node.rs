//! Decides what a structural schema is in memory: a tree of [`Node`]s, parsed once a kind and shared.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::cel::Rule;
use super::formats::Format;

/// A JSON type, as `type` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Type {
    pub(crate) const ALL: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// What a list is to merging and uniqueness (`x-kubernetes-list-type`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ListType {
    /// One value.
    #[default]
    Atomic,
    /// Elements are unique.
    Set,
    /// Elements are unique by these fields.
    Map(Vec<String>),
}

/// What an object may hold beside its `properties`.
#[derive(Debug, Clone, Default)]
pub(crate) enum Additional {
    /// Nothing.
    #[default]
    None,
    /// Anything (`additionalProperties: true`).
    Any,
    /// Values of this schema.
    Schema(Box<Node>),
}

/// One node of a structural schema. The nodes inside `allOf` and the like are the same type, without a structure
/// of their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) kind: Option<Type>,
    pub(crate) nullable: bool,
    pub(crate) int_or_string: bool,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded: bool,
    /// The value is itself an `openAPIV3Schema`: unknown fields are found by that language's own list.
    pub(crate) json_schema: bool,
    pub(crate) list: ListType,
    /// The object is one value to merging (`x-kubernetes-map-type: atomic`).
    pub(crate) atomic: bool,
    pub(crate) properties: BTreeMap<String, Node>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) default: Option<Value>,
    /// Value validations; most nodes have none.
    pub(crate) checks: Option<Box<Checks>>,
    /// `x-kubernetes-validations`, compiled.
    pub(crate) rules: Vec<Arc<Rule>>,
    /// Whether this node or one below it has rules, so that evaluation skips the rest.
    pub(crate) has_rules: bool,
    /// Whether this node or one below it is an embedded object.
    pub(crate) has_embedded: bool,
}

/// The value validations of one node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks {
    pub(crate) required: Vec<String>,
    pub(crate) one_of_values: Option<Vec<Value>>,
    pub(crate) format: Option<Format>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) minimum: Option<Bound>,
    pub(crate) maximum: Option<Bound>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) all_of: Vec<Node>,
    pub(crate) any_of: Vec<Node>,
    pub(crate) one_of: Vec<Node>,
    pub(crate) not: Option<Box<Node>>,
}

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    pub(crate) exclusive: bool,
}

impl Node {
    /// A schema that takes anything.
    pub(crate) fn anything() -> Self {
        Self { preserve_unknown: true, ..Self::default() }
    }

    /// The schema of a field or key, if one is declared.
    pub(crate) fn child(&self, key: &str) -> Option<&Node> {
        self.properties.get(key).or(match &self.additional {
            Additional::Schema(node) => Some(node),
            Additional::None | Additional::Any => None,
        })
    }

    /// The node's own name for its types, as a type error lists them.
    pub(crate) fn type_names(&self) -> &'static str {
        match self.kind {
            Some(kind) => kind.name(),
            None if self.int_or_string => "integer,string",
            None => "",
        }
    }
}
