//! Selectors: by labels and by fields.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::first_line;
use crate::fixtures;
use crate::selector::{field, label};

/// A line with a selector, and lines `key=value`: its canonical text selects the same.
pub fn label_selector(data: &[u8]) {
    let Some((text, rest)) = first_line(data) else { return };
    let Ok(selector) = label::Selector::parse(text) else { return };
    let again = label::Selector::parse(&selector.to_string()).expect("the canonical text can be read");
    assert_eq!(again, selector);
    let rest = String::from_utf8_lossy(rest);
    let labels = rest.lines().filter_map(|line| line.split_once('='));
    let labels: BTreeMap<String, String> = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    assert_eq!(selector.matches(&labels), selector.matches_one_by_one(&labels));
}

/// The same of fields, of which `metadata.name` and `spec.color` are there.
pub fn field_selector(data: &[u8]) {
    let Some((text, rest)) = first_line(data) else { return };
    let named = field::only_name(text);
    let Ok(terms) = field::Terms::parse(text) else { return };
    let widget = fixtures::widget();
    let Ok(selector) = terms.of(&widget, &widget.versions[0]) else { return };
    let text = selector.to_string();
    let again = field::Terms::parse(&text).expect("the canonical text can be read");
    let again = again.of(&widget, &widget.versions[0]).expect("it has the same fields");
    // Terms are in the order of their texts, and `==` is written `=`.
    assert!(again.selects_as(&selector), "`{text}` selects otherwise");
    let rest = String::from_utf8_lossy(rest);
    let mut lines = rest.lines();
    let mut next = || Value::from(lines.next().unwrap_or_default());
    let object = json!({"metadata": {"name": next()}, "spec": {"color": next()}});
    let matches = selector.matches(&object);
    assert_eq!(matches, selector.matches_one_by_one(&object));
    if let Some(name) = named.or(selector.name().map(str::to_owned)) {
        assert!(!matches || object["metadata"]["name"] == name.as_str(), "{name} alone was looked at");
    }
}
