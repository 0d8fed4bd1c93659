//! Decides which of a Table's columns and rows are shown. In: the server's Table. Out: headings and cells as text.

use serde_json::Value;

/// What is added to or left out of the server's columns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape<'a> {
    /// Columns of lower priority, too.
    pub(crate) wide: bool,
    /// A column with the namespace in front.
    pub(crate) namespace: bool,
    /// A column with the labels behind.
    pub(crate) labels: bool,
    /// Before each name, such as `instance.thecloud.dev/`.
    pub(crate) prefix: &'a str,
}

/// The columns of a Table that are shown.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// The headings.
    pub(crate) headings: Vec<String>,
    shown: Vec<usize>,
}

impl Columns {
    /// From the column definitions of a Table.
    pub(crate) fn new(table: &Value, shape: Shape<'_>) -> Self {
        let definitions = table["columnDefinitions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut headings = Vec::new();
        let mut shown = Vec::new();
        if shape.namespace {
            headings.push("NAMESPACE".to_owned());
        }
        for (index, definition) in definitions.iter().enumerate() {
            if shape.wide || definition["priority"].as_i64().unwrap_or_default() == 0 {
                headings.push(definition["name"].as_str().unwrap_or_default().to_uppercase());
                shown.push(index);
            }
        }
        if shape.labels {
            headings.push("LABELS".to_owned());
        }
        Self { headings, shown }
    }

    /// The cells of a row.
    pub(crate) fn cells(&self, row: &Value, shape: Shape<'_>) -> Vec<String> {
        let metadata = &row["object"]["metadata"];
        let mut cells = Vec::new();
        if shape.namespace {
            cells.push(metadata["namespace"].as_str().unwrap_or_default().to_owned());
        }
        for (position, index) in self.shown.iter().enumerate() {
            let text = cell(&row["cells"][*index]);
            cells.push(if position == 0 { format!("{}{text}", shape.prefix) } else { text });
        }
        if shape.labels {
            cells.push(pairs(&metadata["labels"]));
        }
        cells
    }
}

/// A value of a cell as text; nothing is `<none>`, as kubectl writes it.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "<none>".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Labels as `key=value,key=value`.
pub(crate) fn pairs(labels: &Value) -> String {
    let pairs: Vec<_> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Value {
        json!({
            "columnDefinitions": [
                {"name": "Name", "priority": 0}, {"name": "Phase", "priority": 0}, {"name": "Image", "priority": 1}],
            "rows": [{"cells": ["web", null, "busybox"],
                "object": {"metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web", "tier": "front"}}}}]})
    }

    #[test]
    fn narrow_shows_columns_of_priority_zero() {
        let shape = Shape::default();
        let columns = Columns::new(&table(), shape);
        assert_eq!(columns.headings, ["NAME", "PHASE"]);
        assert_eq!(columns.cells(&table()["rows"][0], shape), ["web", "<none>"]);
    }

    #[test]
    fn everything_at_once() {
        let shape = Shape { wide: true, namespace: true, labels: true, prefix: "instance.thecloud.dev/" };
        let columns = Columns::new(&table(), shape);
        assert_eq!(columns.headings, ["NAMESPACE", "NAME", "PHASE", "IMAGE", "LABELS"]);
        assert_eq!(
            columns.cells(&table()["rows"][0], shape),
            ["shop", "instance.thecloud.dev/web", "<none>", "busybox", "app=web,tier=front"]
        );
    }
}
