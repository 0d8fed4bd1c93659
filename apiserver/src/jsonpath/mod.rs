//! kubectl's JSONPath, as printer columns use it: which values of an object a path names.
//!
//! In: a path (`.spec.color`, `{.status.conditions[?(@.type=="Ready")].status}`) parsed once, then objects. Out:
//! references into the object. It is not RFC 9535: the leading dot may be missing, keys are escaped with a backslash,
//! and a missing key is no match rather than an error. It never prints: the table does.

mod evaluate;
mod parse;

use serde_json::Value;

/// A path that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSONPath `{path}`: {why}")]
pub struct PathError {
    /// The path as given.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// `.key`, `['key']`
    Key(String),
    /// `['a','b']`, `[0,2]`
    Union(Vec<Step>),
    /// `[-1]`
    Index(i64),
    /// `[start:end:step]`
    Slice { start: Option<i64>, end: Option<i64>, step: i64 },
    /// `[*]`, `.*`
    Wildcard,
    /// `..`: the value itself and everything below it.
    Descend,
    /// `[?(left op right)]`
    Filter(Filter),
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    left: Operand,
    /// Absent: whether `left` is there at all.
    comparison: Option<(Comparison, Operand)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    /// A string, number or boolean written in the path.
    Literal(Value),
    /// `@.x`, from the list's item.
    Item(Vec<Step>),
    /// `$.x`, from the object.
    Root(Vec<Step>),
}

impl Path {
    /// Reads a path, with or without braces, a leading `$` or a leading dot.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let steps = parse::path(text).map_err(|why| PathError { path: text.to_owned(), why })?;
        Ok(Self { steps })
    }

    /// All values that the path names, in the object's order; none where the object has another shape.
    #[must_use]
    pub fn find<'a>(&self, object: &'a Value) -> Vec<&'a Value> {
        evaluate::find(&self.steps, object, object)
    }

    /// The first value that the path names.
    #[must_use]
    pub fn first<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.find(object).into_iter().next()
    }
}

#[cfg(test)]
mod tests;
