//! Follows a path through an object.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Comparison, Filter, Operand, Step};

pub(super) fn find<'a>(steps: &[Step], from: &'a Value, root: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![from];
    for step in steps {
        let each = |step: &Step| found.iter().flat_map(|value| take(step, value, root)).collect::<Vec<_>>();
        found = match step {
            // `[*]['a','b']` is every `a`, then every `b`.
            Step::Union(members) => members.iter().flat_map(each).collect(),
            step => each(step),
        };
    }
    found
}

fn take<'a>(step: &Step, value: &'a Value, root: &'a Value) -> Vec<&'a Value> {
    match step {
        Step::Key(key) => value.as_object().and_then(|fields| fields.get(key)).into_iter().collect(),
        Step::Union(steps) => steps.iter().flat_map(|step| take(step, value, root)).collect(),
        Step::Index(index) => item(value, *index).into_iter().collect(),
        Step::Slice { start, end, step } => slice(value, *start, *end, *step),
        Step::Wildcard => children(value).collect(),
        Step::Descend => {
            let mut all = Vec::new();
            descend(value, &mut all);
            all
        }
        Step::Filter(filter) => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().filter(|item| holds(filter, item, root)).collect()
        }
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        _ => Box::new(std::iter::empty()),
    }
}

fn descend<'a>(value: &'a Value, all: &mut Vec<&'a Value>) {
    all.push(value);
    for child in children(value) {
        descend(child, all);
    }
}

fn item(value: &Value, index: i64) -> Option<&Value> {
    let items = value.as_array()?;
    items.get(absolute(index, items.len())?)
}

/// A position from the front, where negative ones count from the end.
fn absolute(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index + i64::try_from(len).ok()? } else { index };
    usize::try_from(index).ok()
}

fn slice(value: &Value, start: Option<i64>, end: Option<i64>, step: i64) -> Vec<&Value> {
    let Some(items) = value.as_array() else { return Vec::new() };
    let bound = |index: i64| absolute(index, items.len()).unwrap_or(0).min(items.len());
    let start = start.map_or(0, bound);
    let end = end.map_or(items.len(), bound);
    let step = usize::try_from(step).unwrap_or(1).max(1);
    if start >= end { Vec::new() } else { items[start..end].iter().step_by(step).collect() }
}

fn holds(filter: &Filter, item: &Value, root: &Value) -> bool {
    let left = operand(&filter.left, item, root);
    let Some((comparison, right)) = &filter.comparison else { return left.is_some() };
    let right = operand(right, item, root);
    match (left, right) {
        (Some(left), Some(right)) => compare(*comparison, left, right),
        _ => false,
    }
}

fn operand<'a>(operand: &'a Operand, item: &'a Value, root: &'a Value) -> Option<&'a Value> {
    match operand {
        Operand::Literal(value) => Some(value),
        Operand::Item(steps) => find(steps, item, root).into_iter().next(),
        Operand::Root(steps) => find(steps, root, root).into_iter().next(),
    }
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
        },
        (Value::Bool(a), Value::Bool(b)) if a == b => Some(Ordering::Equal),
        (Value::Bool(_), Value::Bool(_)) => return comparison == Comparison::NotEqual,
        // Values of different types can't be compared: the filter leaves the item out.
        _ => None,
    };
    let Some(order) = order else { return false };
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}
