//! Decides how value validations are read: limits, patterns, formats, enums and logical junctors.

use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::super::formats::Format;
use super::super::node::{Bound, Checks};
use super::{Level, Node, Parser, Path, words};

/// The compiled size that one pattern may have. Matching is linear whatever the pattern.
const MAX_PATTERN_BYTES: usize = 1 << 20;

impl Parser {
    pub(super) fn checks(
        &mut self,
        node: &Node,
        schema: &Map<String, Value>,
        path: &Path<'_>,
        level: Level,
        depth: usize,
    ) -> Option<Box<Checks>> {
        let mut bound = |limit: &str, exclusive: &str| {
            let exclusive = self.flag(schema, exclusive, path);
            self.float(schema, limit, path).map(|value| Bound { value, exclusive })
        };
        let minimum = bound("minimum", "exclusiveMinimum");
        let maximum = bound("maximum", "exclusiveMaximum");
        let mut checks = Checks {
            required: self.strings(schema, "required", path),
            one_of_values: schema.get("enum").and_then(Value::as_array).cloned(),
            format: self.string(schema, "format", path).and_then(|name| Format::parse(name, node.kind)),
            pattern: self.pattern(schema, path),
            minimum,
            maximum,
            multiple_of: self.multiple_of(schema, path),
            min_length: self.count(schema, "minLength", path),
            max_length: self.count(schema, "maxLength", path),
            min_items: self.count(schema, "minItems", path),
            max_items: self.count(schema, "maxItems", path),
            min_properties: self.count(schema, "minProperties", path),
            max_properties: self.count(schema, "maxProperties", path),
            ..Checks::default()
        };
        self.junctors(&mut checks, node, schema, path, level, depth);
        (!checks.is_empty()).then(|| Box::new(checks))
    }

    fn pattern(&mut self, schema: &Map<String, Value>, path: &Path<'_>) -> Option<regex::Regex> {
        let pattern = self.string(schema, "pattern", path).filter(|pattern| !pattern.is_empty())?;
        match RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build() {
            Ok(regex) => Some(regex),
            Err(error) => {
                // The regex crate draws the place under the pattern; an API message is one line.
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let detail = format!("must be a valid regular expression, but isn't: {reason}");
                self.errors.push(words::invalid(path.field("pattern"), &pattern.into(), &detail));
                None
            }
        }
    }

    fn multiple_of(&mut self, schema: &Map<String, Value>, path: &Path<'_>) -> Option<f64> {
        let factor = self.float(schema, "multipleOf", path)?;
        if factor > 0.0 {
            return Some(factor);
        }
        self.errors.push(words::invalid(path.field("multipleOf"), &factor.into(), "must be greater than 0"));
        None
    }

    fn junctors(
        &mut self,
        checks: &mut Checks,
        node: &Node,
        schema: &Map<String, Value>,
        path: &Path<'_>,
        level: Level,
        depth: usize,
    ) {
        let structural = !matches!(level, Level::Junctor { .. });
        // `anyOf: [{type: integer}, {type: string}]`, alone or inside `allOf`, is how an int-or-string is often written.
        let typed = node.int_or_string || level == Level::Junctor { typed: true };
        let mut read = |key: &str| {
            let place = path.field(key);
            let mut nodes = Vec::new();
            for (index, schema) in self.list(schema, key, path).iter().enumerate() {
                let place = place.index(index);
                let inner = self.node(schema, &place, Level::Junctor { typed }, depth + 1);
                if structural {
                    self.require_declared(&inner, node, path, &place);
                }
                nodes.push(inner);
            }
            nodes
        };
        checks.all_of = read("allOf");
        checks.any_of = read("anyOf");
        checks.one_of = read("oneOf");
        if let Some(schema) = schema.get("not").filter(|value| !value.is_null()) {
            let place = path.field("not");
            let inner = self.node(schema, &place, Level::Junctor { typed: false }, depth + 1);
            if structural {
                self.require_declared(&inner, node, path, &place);
            }
            checks.not = Some(Box::new(inner));
        }
    }
}

impl Checks {
    fn is_empty(&self) -> bool {
        let limits = [
            self.min_length,
            self.max_length,
            self.min_items,
            self.max_items,
            self.min_properties,
            self.max_properties,
        ];
        self.required.is_empty()
            && self.one_of_values.is_none()
            && self.format.is_none()
            && self.pattern.is_none()
            && self.minimum.is_none()
            && self.maximum.is_none()
            && self.multiple_of.is_none()
            && limits.iter().all(Option::is_none)
            && self.all_of.is_empty()
            && self.any_of.is_empty()
            && self.one_of.is_empty()
            && self.not.is_none()
    }
}
