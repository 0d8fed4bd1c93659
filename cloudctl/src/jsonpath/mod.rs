//! Decides what a JSONPath template selects: the part of kubectl's language that people use in scripts. Text stands for itself,
//! `{...}` selects: `.field`, `['field']`, `[2]`, `[-1]`, `[*]`, `.*`, `[?(@.field)]` and `[?(@.field=="value")]`;
//! `{range PATH}...{end}` repeats what is between for everything that the path selects.

use serde_json::Value;

mod parse;

/// A step into a value.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    Every,
    Filter { path: Vec<Step>, equal: bool, literal: Value },
    Having(Vec<Step>),
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>, Vec<Part>),
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Reads a template; one without braces is a single path.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parse::template(text).map(|parts| Self { parts })
    }

    /// The text that it makes of a value; several selected values are separated by blanks.
    pub(crate) fn render(&self, value: &Value) -> String {
        let mut text = String::new();
        render(&self.parts, value, &mut text);
        text
    }

    /// The first value that its first path selects.
    pub(crate) fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.parts.iter().find_map(|part| match part {
            Part::Path(steps) => select(value, steps).into_iter().next(),
            Part::Text(_) | Part::Range(..) => None,
        })
    }
}

fn render(parts: &[Part], value: &Value, text: &mut String) {
    for part in parts {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Path(steps) => {
                let words: Vec<_> = select(value, steps).into_iter().map(plain).collect();
                text.push_str(&words.join(" "));
            }
            Part::Range(steps, parts) => {
                for selected in select(value, steps) {
                    render(parts, selected, text);
                }
            }
        }
    }
}

/// A value as text: strings without quotes.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn select<'a>(value: &'a Value, steps: &[Step]) -> Vec<&'a Value> {
    let mut selected = vec![value];
    for step in steps {
        selected = selected.into_iter().flat_map(|value| one(value, step)).collect();
    }
    selected
}

fn one<'a>(value: &'a Value, step: &Step) -> Vec<&'a Value> {
    match (step, value) {
        (Step::Field(name), Value::Object(map)) => map.get(name).into_iter().collect(),
        (Step::Index(index), Value::Array(items)) => {
            let position = if *index < 0 { items.len() as i64 + index } else { *index };
            usize::try_from(position).ok().and_then(|position| items.get(position)).into_iter().collect()
        }
        (Step::Every, Value::Array(items)) => items.iter().collect(),
        (Step::Every, Value::Object(map)) => map.values().collect(),
        (Step::Filter { path, equal, literal }, Value::Array(items)) => {
            items.iter().filter(|item| select(item, path).into_iter().any(|found| found == literal) == *equal).collect()
        }
        (Step::Having(path), Value::Array(items)) => {
            items.iter().filter(|item| !select(item, path).is_empty()).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn instance() -> Value {
        json!({"metadata": {"name": "web", "labels": {"a.b/c": "x"}},
            "status": {"ports": [{"port": 80, "publishedPort": 8080}, {"port": 443, "publishedPort": 8443}],
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "False"}]}})
    }

    fn render(template: &str) -> String {
        Template::parse(template).unwrap().render(&instance())
    }

    #[test]
    fn paths_select_and_text_stands_for_itself() {
        assert_eq!(render("{.metadata.name}"), "web");
        assert_eq!(render(".metadata.name"), "web");
        assert_eq!(render("{$.metadata.name}"), "web");
        assert_eq!(render("{.metadata.name}:{.status.ports[0].publishedPort}\\n"), "web:8080\n");
        assert_eq!(render("{.metadata.name}{\"\\t\"}{.status.ports[-1].port}"), "web\t443");
        assert_eq!(render("{.status.ports[*].port}"), "80 443");
        assert_eq!(render("{.metadata.labels['a.b/c']}"), "x");
        assert_eq!(render("{.metadata.labels.a\\.b/c}"), "x");
        assert_eq!(render("{.status.conditions[?(@.type==\"Ready\")].status}"), "True");
        assert_eq!(render("{.status.conditions[?(@.type!='Ready')].type}"), "Stalled");
        assert_eq!(render("{.status.ports[?(@.port==443)].publishedPort}"), "8443");
        assert_eq!(
            render("{range .status.ports[*]}{.port}->{.publishedPort}{'\\n'}{end}done"),
            "80->8080\n443->8443\ndone"
        );
        assert_eq!(render("{range .status.conditions[?(@.reason)]}{.type}{end}"), "");
        assert_eq!(render("{.status.conditions[?(@.type)].type}"), "Ready Stalled");
        assert_eq!(render("{range .status}{range .ports[*]}{.port},{end};{end}"), "80,443,;");
        assert_eq!(render("{.status.nothing[3].here}"), "");
        assert_eq!(render("{.status.ports[0]}"), "{\"port\":80,\"publishedPort\":8080}");
    }

    #[test]
    fn mistakes_are_told() {
        for template in ["{.a", "{.a[}", "{.a[x]}", "{range .items[*]}", "{end}", "{.a[?()]}", "{.a[?(@.b==)]}"] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
    }
}
