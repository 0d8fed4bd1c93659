//! Decides how a JSONPath template is read.

use serde_json::Value;

use super::{Part, Step};

/// How deep ranges may be in each other; far more than anybody reads.
const DEEPEST: usize = 16;

pub(super) fn template(text: &str) -> Result<Vec<Part>, String> {
    if !text.contains('{') {
        return Ok(vec![Part::Path(path(text.trim())?)]);
    }
    let mut parts = Vec::new();
    // The ranges that are open: what each goes through, and what was before it.
    let mut open_ranges: Vec<(Vec<Step>, Vec<Part>)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(open) = rest.find('{') else {
            parts.push(Part::Text(unescaped(rest)));
            break;
        };
        if open > 0 {
            parts.push(Part::Text(unescaped(&rest[..open])));
        }
        let inside = &rest[open + 1..];
        let close = closing(inside).ok_or_else(|| format!("`{rest}` lacks a closing brace"))?;
        match inside[..close].trim() {
            "end" => {
                let (steps, before) = open_ranges.pop().ok_or("`{end}` ends no `{range}`")?;
                let repeated = std::mem::replace(&mut parts, before);
                parts.push(Part::Range(steps, repeated));
            }
            expression => match expression.strip_prefix("range ") {
                Some(_) if open_ranges.len() >= DEEPEST => return Err("too many ranges in each other".to_owned()),
                Some(through) => open_ranges.push((path(through.trim())?, std::mem::take(&mut parts))),
                None => parts.push(single(expression)?),
            },
        }
        rest = &inside[close + 1..];
    }
    if !open_ranges.is_empty() {
        return Err("`{range}` lacks its `{end}`".to_owned());
    }
    Ok(parts)
}

/// Where the brace closes, quoted text skipped.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (index, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '}') => return Some(index),
            _ => {}
        }
    }
    None
}

fn single(text: &str) -> Result<Part, String> {
    match quoted(text) {
        Some(quoted) => Ok(Part::Text(unescaped(quoted))),
        None => path(text).map(Part::Path),
    }
}

fn path(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix('$').or_else(|| text.strip_prefix('@')).unwrap_or(text);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let close = bracket(inside).ok_or_else(|| format!("`{text}` lacks a closing bracket"))?;
            steps.push(subscript(inside[..close].trim(), text)?);
            rest = &inside[close + 1..];
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let (name, after) = field(rest);
        match name.as_str() {
            "" if after.is_empty() && steps.is_empty() => {}
            "" if after.starts_with('[') => {}
            "" => return Err(format!("`{text}` has an empty field name")),
            "*" => steps.push(Step::Every),
            _ => steps.push(Step::Field(name)),
        }
        rest = after;
    }
    Ok(steps)
}

/// A field name up to the next dot or bracket; a backslash keeps a dot in it.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '.' | '[' => return (name, &text[index..]),
            '\\' => name.extend(letters.next().map(|(_, letter)| letter)),
            other => name.push(other),
        }
    }
    (name, "")
}

fn bracket(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0;
    for (index, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(index),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn subscript(text: &str, whole: &str) -> Result<Step, String> {
    if text == "*" {
        return Ok(Step::Every);
    }
    if let Some(name) = quoted(text) {
        return Ok(Step::Field(name.to_owned()));
    }
    if let Some(condition) = text.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        return filter(condition.trim());
    }
    text.parse()
        .map(Step::Index)
        .map_err(|_| format!("`[{text}]` in `{whole}` is not an index, a name in quotes, * or ?()"))
}

fn filter(text: &str) -> Result<Step, String> {
    let (left, equal, right) = match (text.split_once("=="), text.split_once("!=")) {
        (Some((left, right)), _) => (left, true, right),
        (None, Some((left, right))) => (left, false, right),
        (None, None) if text.starts_with('@') => return path(text).map(Step::Having),
        (None, None) => return Err(format!("`?({text})` needs a path that begins with @")),
    };
    let right = right.trim();
    let literal = match quoted(right) {
        Some(text) => Value::String(text.to_owned()),
        None => serde_json::from_str(right).map_err(|_| format!("`{right}` in `?({text})` is not a value"))?,
    };
    Ok(Step::Filter { path: path(left.trim())?, equal, literal })
}

fn quoted(text: &str) -> Option<&str> {
    ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t")
}
