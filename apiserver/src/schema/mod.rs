//! Decides what an object of a kind may look like: decoding, unknown fields, defaults and validation, in
//! Kubernetes' words. In: JSON values and `openAPIV3Schema` documents. Out: cleaned values and field errors.
//! It never reads or writes the store.

pub mod decode;
pub mod fields;
pub(crate) mod merging;
pub mod object;

mod admit;
pub(crate) mod cel;
mod default;
pub(crate) mod formats;
mod metadata;
mod node;
mod parse;
mod path;
mod prune;
mod validate;
pub(crate) mod words;

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use self::merging::Merging;
use self::node::Node;
use crate::error::{FieldError, FieldErrorKind};

/// A parsed structural schema. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Structural {
    root: Arc<Node>,
    /// Made when first asked for.
    merging: Arc<OnceLock<Merging>>,
}

/// A schema that takes anything.
impl Default for Structural {
    fn default() -> Self {
        Self::of(Node::anything())
    }
}

impl Structural {
    fn of(root: Node) -> Self {
        Self { root: Arc::new(root), merging: Arc::default() }
    }

    /// Parses an `openAPIV3Schema` and compiles its rules.
    ///
    /// # Errors
    /// What makes it non-structural, with paths below the schema.
    pub fn parse(schema: &Value) -> Result<Self, Vec<FieldError>> {
        parse::parse(schema).map(Self::of)
    }

    /// What can be made of a schema that stands at `place` in a stored definition, and what is wrong with it.
    pub(crate) fn stored(schema: &Value, place: &str) -> (Self, Vec<FieldError>) {
        let (root, errors) = parse::parse_stored(schema, &path::Path::Root.field(place));
        (Self::of(root), errors)
    }

    /// The same of a schema that stands at `place` in a definition.
    pub(crate) fn parse_at(schema: &Value, place: &str) -> Result<Self, Vec<FieldError>> {
        parse::parse_at(schema, &path::Path::Root.field(place)).map(Self::of)
    }

    /// The same of a schema that stands at `place` in a definition, with what upstream asks of one that is new.
    pub(crate) fn admit(schema: &Value, place: &str, has_status: bool) -> Result<Self, Vec<FieldError>> {
        let path = path::Path::Root.field(place);
        let parsed = parse::parse_at(schema, &path);
        let mut errors = admit::errors(schema, parsed.as_ref().ok(), &path, has_status);
        match parsed {
            Ok(root) if errors.is_empty() => Ok(Self::of(root)),
            Ok(_) => Err(errors),
            Err(structural) => {
                errors.splice(0..0, structural);
                Err(errors)
            }
        }
    }

    /// What merging knows of the schema.
    pub(crate) fn merging(&self) -> &Merging {
        self.merging.get_or_init(|| merging::declared(&self.root))
    }

    /// Removes the fields that the schema does not know, also from `metadata`, and returns their paths, sorted.
    #[must_use = "strict clients want to be told"]
    pub fn prune(&self, value: &mut Value) -> Vec<String> {
        prune::prune_object(&self.root, value)
    }

    /// Fills in the schema's defaults, and drops nulls from fields that may not be null.
    pub fn default(&self, value: &mut Value) {
        default::fill_object(&self.root, value);
    }

    /// Everything wrong with `new` by the schema and then, if that passed, by its rules. `old` is the stored object on
    /// an update. Metadata is not looked at: [`object::validate`] does all.
    #[must_use]
    pub fn validate(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let errors = self.validate_shape(new, old);
        self.validate_rules(new, old, errors)
    }

    /// The schema's part of [`Self::validate`].
    pub(crate) fn validate_shape(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        validate::errors(&self.root, new, old)
    }

    /// The schema's part of a new status. The messages speak of places below the status, as upstream's do.
    pub(crate) fn validate_status(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let (Some(node), Some(status)) = (self.root.child("status"), new.get("status")) else { return Vec::new() };
        let mut errors = validate::errors(node, status, old.get("status"));
        for error in &mut errors {
            error.field = match error.field.as_str() {
                "<nil>" => "status".to_owned(),
                below => format!("status.{below}"),
            };
        }
        errors
    }

    /// The rules' part of [`Self::validate`], after `errors` were found by other checks. Some errors make rules
    /// meaningless; then one more error says that they were not looked at.
    pub(crate) fn validate_rules(
        &self,
        new: &Value,
        old: Option<&Value>,
        mut errors: Vec<FieldError>,
    ) -> Vec<FieldError> {
        if !self.root.has_rules {
            return errors;
        }
        let blocks = |error: &FieldError| {
            matches!(
                error.kind,
                FieldErrorKind::NotSupported
                    | FieldErrorKind::Required
                    | FieldErrorKind::TooLong
                    | FieldErrorKind::TooMany
                    | FieldErrorKind::TypeInvalid
            )
        };
        if errors.iter().any(blocks) {
            errors.push(words::invalid(path::Path::Root, &Value::Null, words::UNCHECKED));
        } else {
            errors.extend(cel::errors(&self.root, new, old));
        }
        errors
    }
}
