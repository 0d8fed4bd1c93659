//! Decides how a difference between two states of an object reads. Values of a Secret never show, only which of them changed.

use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use super::consequence::consequence;
use crate::output::{Colour, Paint, yaml};

/// Lines around a change.
const CONTEXT: usize = 3;

/// The difference of two objects' substance as text; empty when there is none. What is not there is created, or pruned.
pub(super) fn difference(name: &str, before: Option<&Value>, after: Option<&Value>, paint: Paint) -> String {
    let shown = masked(before, after);
    let [before_text, after_text] = shown.map(|object| object.map_or_else(String::new, |object| yaml::yaml(&object)));
    if before_text == after_text {
        return String::new();
    }
    let mut text = String::new();
    let mut line = |colour: Option<Colour>, words: &str| {
        text.push_str(&colour.map_or_else(|| words.to_owned(), |colour| paint.colour(colour, words)));
        text.push('\n');
    };
    let (old, new) = (before.map_or("not there", |_| "live"), after.map_or("pruned", |_| "applied"));
    line(Some(Colour::Bold), &format!("--- {name} ({old})"));
    line(Some(Colour::Bold), &format!("+++ {name} ({new})"));
    let diff = TextDiff::from_lines(&before_text, &after_text);
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        line(Some(Colour::Cyan), hunk.header().to_string().trim_end());
        for change in hunk.iter_changes() {
            let (sign, colour) = match change.tag() {
                ChangeTag::Delete => ('-', Some(Colour::Red)),
                ChangeTag::Insert => ('+', Some(Colour::Green)),
                ChangeTag::Equal => (' ', None),
            };
            line(colour, &format!("{sign}{}", change.value().trim_end_matches('\n')));
        }
    }
    if let (Some(before), Some(after)) = (before, after)
        && let Some(note) = consequence(before, after)
    {
        line(Some(Colour::Yellow), &format!("# {note}"));
    }
    text
}

/// Both states, without the values of a Secret, yet with a sign where they differ.
fn masked(before: Option<&Value>, after: Option<&Value>) -> [Option<Value>; 2] {
    let secret =
        [before, after].into_iter().flatten().any(|object| object["kind"] == "Secret" && object["apiVersion"] == "v1");
    if !secret {
        return [before.cloned(), after.cloned()];
    }
    let hide = |object: Option<&Value>, other: Option<&Value>, sign: &str| {
        let mut object = object.cloned()?;
        for field in ["data", "stringData"] {
            for (key, value) in object.get_mut(field).and_then(Value::as_object_mut).into_iter().flatten() {
                let same = other.and_then(|other| other[field].get(key)).is_none_or(|other| other == value);
                *value = json!(if same { "***" } else { sign });
            }
        }
        Some(object)
    };
    [hide(before, after, "*** (before)"), hide(after, before, "*** (after)")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(spec: Value) -> Value {
        json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": "Instance",
            "metadata": {"name": "web"}, "spec": spec})
    }

    fn told(before: Option<&Value>, after: Option<&Value>) -> String {
        difference("instance.thecloud.dev/web", before, after, Paint::new(false))
    }

    #[test]
    fn changed_created_and_pruned_are_told_apart() {
        let before = instance(json!({"image": "a:1", "resources": {"cpu": "1"}, "args": ["httpd"]}));
        let after = instance(json!({"image": "a:2", "resources": {"cpu": "2"}, "args": ["httpd"]}));
        let mut text = told(Some(&before), Some(&after));
        text.push_str(&told(None, Some(&after)));
        text.push_str(&told(Some(&before), None));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn secret_values_never_show() {
        let secret = |password: &str, user: &str| json!({"apiVersion": "v1", "kind": "Secret", "data": {"p": password, "u": user}, "stringData": {"q": password}});
        let (before, after) = (secret("b2xk", "c2FtZQ=="), secret("bmV3", "c2FtZQ=="));
        for (before, after) in [(Some(&before), Some(&after)), (None, Some(&after)), (Some(&before), None)] {
            let text = told(before, after);
            assert!(!text.contains("b2xk") && !text.contains("bmV3") && !text.contains("c2FtZQ"), "{text}");
            assert_eq!(text.contains("(before)"), before.is_some() && after.is_some(), "{text}");
        }
    }
}
