//! Decides how objects become the columns that a user asked for: `NAME:.metadata.name,IP:.status.ip`.

use serde_json::Value;

use super::{Paint, table};
use crate::jsonpath::Template;

/// Headings, each with what stands below it.
#[derive(Debug)]
pub(crate) struct CustomColumns(Vec<(String, Template)>);

impl CustomColumns {
    /// Reads the columns.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let columns: Result<Vec<_>, _> = split(text).into_iter().map(column).collect();
        columns.map(Self)
    }

    /// The line of headings, and one for each object.
    pub(crate) fn lines(&self, objects: &[Value], paint: Paint) -> Vec<String> {
        let headings: Vec<_> = self.0.iter().map(|(heading, _)| heading.as_str()).collect();
        let cell = |template: &Template, object: &Value| {
            let text = template.render(object);
            if text.is_empty() { "<none>".to_owned() } else { text }
        };
        let rows: Vec<Vec<String>> =
            objects.iter().map(|object| self.0.iter().map(|(_, template)| cell(template, object)).collect()).collect();
        table::lines(&headings, &rows, paint)
    }
}

fn column(text: &str) -> Result<(String, Template), String> {
    match text.split_once(':') {
        Some((heading, path)) if !heading.is_empty() && !path.is_empty() => {
            Ok((heading.to_owned(), Template::parse(path)?))
        }
        _ => Err(format!("`{text}` is not HEADING:PATH, for example NAME:.metadata.name")),
    }
}

/// At the commas that are not in brackets or quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut quote, mut start) = (0_usize, None, 0);
    let mut parts = Vec::new();
    for (index, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[' | '(' | '{') => depth += 1,
            (None, ']' | ')' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_show_what_their_paths_select() {
        let columns = CustomColumns::parse(
            r#"NAME:.metadata.name,READY:{.status.conditions[?(@.type=="a,b")].status},PORTS:.spec.ports[*].port"#,
        )
        .unwrap();
        let objects = [
            json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}, {"port": 81}]},
                "status": {"conditions": [{"type": "a,b", "status": "True"}]}}),
            json!({"metadata": {"name": "database"}}),
        ];
        insta::assert_snapshot!(columns.lines(&objects, Paint::new(false)).join("\n"), @r"
        NAME      READY   PORTS
        web       True    80 81
        database  <none>  <none>
        ");
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for text in ["", "NAME", "NAME:", ":.a", "A:.a,", "A:{.a"] {
            assert!(CustomColumns::parse(text).is_err(), "{text}");
        }
    }
}
