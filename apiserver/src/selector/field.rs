//! Field selectors: `path=value`, `==`, `!=`, joined by commas, on `metadata.name`, `metadata.namespace` and the paths
//! that the version declares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::error::ApiError;
use crate::registry::{Kind, Version};
use crate::schema::words;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    path: String,
    negated: bool,
    value: String,
}

/// A selector as it was read, before anybody knows what it can select by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms(Vec<Term>);

impl Terms {
    /// Reads a selector; the empty text selects everything.
    ///
    /// # Errors
    /// 400 for a text that can't be read.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut parts = split_terms(text);
        // In this order upstream finds what is wrong.
        parts.sort_unstable();
        let mut terms = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let (path, negated, value) = split_term(part).ok_or_else(|| {
                ApiError::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'"))
            })?;
            terms.push(Term { path: path.to_owned(), negated, value: unescape(value)? });
        }
        Ok(Self(terms))
    }

    /// The selector for objects of a version of a kind.
    ///
    /// # Errors
    /// 400 for a path that isn't selectable.
    pub fn of(&self, kind: &Kind, version: &Version) -> Result<Selector, ApiError> {
        match self.0.iter().find(|term| !is_selectable(&term.path, kind, version)) {
            None => Ok(Selector::of(self.0.clone())),
            Some(term) if kind.is_built_in() && version.selectable_fields.is_empty() => {
                Err(ApiError::bad_request(format!(
                    "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                    words::quoted(&term.path)
                )))
            }
            Some(term) => Err(ApiError::bad_request(format!("field label not supported: {}", term.path))),
        }
    }
}

/// A conjunction of terms; without any it matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    terms: Vec<Term>,
    /// The same by path: a URL holds thousands of terms, and a list asks them of every object.
    wanted: BTreeMap<String, Wanted>,
}

/// What one field must be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    /// All of these at once.
    equal: BTreeSet<String>,
    unequal: BTreeSet<String>,
}

impl Selector {
    fn of(terms: Vec<Term>) -> Self {
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        for term in &terms {
            let wanted = wanted.entry(term.path.clone()).or_default();
            let values = if term.negated { &mut wanted.unequal } else { &mut wanted.equal };
            values.insert(term.value.clone());
        }
        Self { terms, wanted }
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether an object satisfies every term. A field that is absent has the empty value.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.wanted.iter().all(|(path, wanted)| {
            let found = text_at(object, path);
            wanted.equal.iter().take(2).all(|value| *value == found) && !wanted.unequal.contains(&found)
        })
    }

    /// The same, asked of each term by itself.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn matches_one_by_one(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| (text_at(object, &term.path) == term.value) != term.negated)
    }

    /// Whether it matches exactly what another one does by its terms, in whatever order they are.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn selects_as(&self, other: &Self) -> bool {
        self.wanted == other.wanted
    }

    /// The one name that can match, where the selector says so: such a list or watch needs to look at one object.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.equal("metadata.name")
    }

    /// The one namespace that can match, where the selector says so.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.equal("metadata.namespace")
    }

    fn equal(&self, path: &str) -> Option<&str> {
        self.wanted.get(path)?.equal.first().map(String::as_str)
    }
}

/// The one name that a selector leaves, in the text of a request whose kind nobody has looked up yet.
pub(crate) fn only_name(text: &str) -> Option<String> {
    let terms = split_terms(text).into_iter().filter_map(split_term);
    let (_, _, value) = terms.into_iter().find(|(path, negated, _)| *path == "metadata.name" && !negated)?;
    unescape(value).ok().filter(|name| !name.is_empty())
}

/// The canonical text: `=` for both equalities, values escaped.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let operator = if term.negated { "!=" } else { "=" };
            write!(f, "{comma}{}{operator}{}", term.path, escape(&term.value))?;
        }
        Ok(())
    }
}

fn is_selectable(path: &str, kind: &Kind, version: &Version) -> bool {
    path == "metadata.name"
        || (path == "metadata.namespace" && has_namespace(kind, version))
        || version.selectable_fields.iter().any(|field| field.trim_start_matches('.') == path)
}

/// Upstream lets objects without a namespace be selected by it where nobody said which fields they have.
fn has_namespace(kind: &Kind, version: &Version) -> bool {
    kind.namespaced || (kind.is_built_in() && version.selectable_fields.is_empty())
}

fn text_at(object: &Value, path: &str) -> String {
    let found = path.split('.').try_fold(object, |at, key| at.get(key));
    match found {
        // The source of an Event is the component that it names, or else the one that reports.
        Some(Value::Object(_)) if path == "source" => {
            let component = text_at(object, "source.component");
            if component.is_empty() { text_at(object, "reportingComponent") } else { component }
        }
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
        _ => String::new(),
    }
}

/// Splits at commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(|c| {
        let splits = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        splits
    })
    .collect()
}

/// The path, whether the term is negated, and the value as written.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    for (index, _) in term.char_indices() {
        let rest = &term[index..];
        for (operator, negated) in [("!=", true), ("==", false), ("=", false)] {
            if let Some(value) = rest.strip_prefix(operator) {
                return Some((&term[..index], negated, value));
            }
        }
    }
    None
}

fn unescape(value: &str) -> Result<String, ApiError> {
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => text.push(escaped),
                Some(other) => {
                    let message = format!("invalid field selector: invalid escape sequence: \\{other}");
                    return Err(ApiError::bad_request(message));
                }
                None => {
                    return Err(ApiError::bad_request("invalid field selector: invalid escape sequence: \\"));
                }
            },
            ',' | '=' => {
                let message = format!("invalid field selector: unescaped character in value: {c}");
                return Err(ApiError::bad_request(message));
            }
            c => text.push(c),
        }
    }
    Ok(text)
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::fixtures;

    use super::*;

    fn parse(text: &str) -> Result<Selector, ApiError> {
        let widget = fixtures::widget();
        Terms::parse(text)?.of(&widget, &widget.versions[0])
    }

    #[test]
    fn terms_select_by_name_namespace_and_declared_fields() {
        let object = json!({"metadata": {"name": "w1", "namespace": "a"}, "spec": {"color": "red"}});
        for text in
            ["", "metadata.name=w1", "metadata.name==w1,metadata.namespace=a", "spec.color!=blue", "spec.color=red,"]
        {
            assert!(parse(text).unwrap().matches(&object), "{text}");
        }
        for text in ["metadata.name=w2", "metadata.name!=w1", "spec.color=", "spec.color=red,metadata.namespace=b"] {
            assert!(!parse(text).unwrap().matches(&object), "{text}");
        }
        assert!(parse("spec.color=").unwrap().matches(&json!({"metadata": {}})));
    }

    #[test]
    fn numbers_and_booleans_are_compared_as_written() {
        let mut widget = fixtures::widget();
        let kind = std::sync::Arc::get_mut(&mut widget).unwrap();
        kind.versions[0].selectable_fields = vec!["spec.replicas".into(), "spec.on".into()];
        let selector = Terms::parse("spec.replicas=3,spec.on=true").unwrap().of(kind, &kind.versions[0]).unwrap();
        assert!(selector.matches(&json!({"spec": {"replicas": 3, "on": true}})));
        assert!(!selector.matches(&json!({"spec": {"replicas": 3, "on": false}})));
    }

    #[test]
    fn an_undeclared_field_is_refused() {
        let error = parse("spec.nope=1").unwrap_err();
        assert_eq!((error.reason.code(), error.message.as_str()), (400, "field label not supported: spec.nope"));
    }

    #[test]
    fn what_can_not_be_read_is_refused() {
        assert_eq!(
            parse("metadata.name").unwrap_err().message,
            "invalid selector: 'metadata.name'; can't understand 'metadata.name'"
        );
        assert!(parse("metadata.name=a\\b").is_err());
        assert!(parse("metadata.name=a=b").is_err());
    }

    #[test]
    fn escapes_survive_a_round_trip() {
        let selector = parse("metadata.name==a\\,b\\=c\\\\,spec.color!=red").unwrap();
        assert_eq!(selector.name(), Some("a,b=c\\"));
        assert_eq!(selector.to_string(), "metadata.name=a\\,b\\=c\\\\,spec.color!=red");
        assert_eq!(parse(&selector.to_string()).unwrap(), selector);
        assert_eq!(selector.namespace(), None);
    }

    #[test]
    fn terms_on_one_field_are_all_asked_however_many_there_are() {
        let object = json!({"metadata": {"name": "w1"}});
        let many: Vec<String> = (0..10_000).map(|number| format!("metadata.name!=x{number}")).collect();
        let begun = std::time::Instant::now();
        let selector = parse(&many.join(",")).unwrap();
        for _ in 0..20_000 {
            assert!(selector.matches(&object));
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(!parse("metadata.name=w1,metadata.name!=w1").unwrap().matches(&object));
        assert!(!parse("metadata.name=w1,metadata.name=w2").unwrap().matches(&object));
        assert!(!parse("metadata.name=w2,metadata.name=w1").unwrap().matches(&object));
    }
}
