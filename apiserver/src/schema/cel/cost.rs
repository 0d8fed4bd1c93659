//! Decides what evaluating a rule costs at most: a polynomial in the size of the object, made from the rule's text.

use std::collections::BTreeMap;

use kube_cel::cel::Value as CelValue;
use serde_json::Value;

use super::growth::Growth;

/// How large the values are that a rule sees.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    /// How many values in all.
    nodes: usize,
    /// The longest list or map.
    widest: usize,
    /// The longest string, in bytes.
    longest: usize,
}

impl Size {
    pub(super) fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.add(value);
        size
    }

    /// The size of what an expression has made; `None` if it is too large to go on with.
    pub(super) fn of_result(value: &CelValue, limit: usize) -> Option<Self> {
        let mut size = Self::default();
        let mut bytes = 0;
        size.add_result(value, &mut bytes, limit).then_some(size)
    }

    fn add_result(&mut self, value: &CelValue, bytes: &mut usize, limit: usize) -> bool {
        self.nodes += 1;
        match value {
            CelValue::List(list) => {
                self.widest = self.widest.max(list.len());
                list.iter().all(|value| self.add_result(value, bytes, limit))
            }
            CelValue::Map(map) => {
                self.widest = self.widest.max(map.map.len());
                map.map.values().all(|value| self.add_result(value, bytes, limit))
            }
            CelValue::String(text) => self.add_text(text.len(), bytes, limit),
            CelValue::Bytes(text) => self.add_text(text.len(), bytes, limit),
            _ => self.nodes <= limit,
        }
    }

    fn add_text(&mut self, length: usize, bytes: &mut usize, limit: usize) -> bool {
        self.longest = self.longest.max(length);
        *bytes += length;
        self.nodes + *bytes <= limit
    }

    fn add(&mut self, value: &Value) {
        self.nodes += 1;
        match value {
            Value::Array(list) => {
                self.widest = self.widest.max(list.len());
                list.iter().for_each(|value| self.add(value));
            }
            Value::Object(map) => {
                self.widest = self.widest.max(map.len());
                map.values().for_each(|value| self.add(value));
            }
            Value::String(text) => self.longest = self.longest.max(text.len()),
            _ => {}
        }
    }

    pub(super) fn and(self, other: Option<Self>) -> Self {
        let other = other.unwrap_or_default();
        Self {
            nodes: self.nodes + other.nodes,
            widest: self.widest.max(other.widest),
            longest: self.longest.max(other.longest),
        }
    }
}

/// An upper bound: `sum(steps[i] * L^i) + N * sum(copies[i] * L^i)`, where L is the longest collection that a rule can
/// walk and N the number of values.
#[derive(Debug, Clone, Default)]
pub(super) struct Cost {
    steps: Vec<f64>,
    copies: Vec<f64>,
    /// The largest collection written in the rule itself.
    literal: usize,
    /// Whether the rule can make a list out of a string.
    pub(super) splits: bool,
    /// Texts that are made: how many times `W^loops * L^power` bytes, by loops and power, where W is the longest
    /// collection and L the longest text.
    texts: BTreeMap<(u32, u32), f64>,
}

/// Bytes of the object's texts that are copied in one step, with all that is around them.
const COPIED_A_STEP: f64 = 64.0;
/// Bytes of a text that are written in one step.
const WRITTEN_A_STEP: f64 = 256.0;

impl Cost {
    pub(super) fn step() -> Self {
        Self { steps: vec![1.0], ..Self::default() }
    }

    /// A collection written in the rule.
    pub(super) fn literal(length: usize) -> Self {
        Self { literal: length, ..Self::step() }
    }

    /// A step that copies a value as large as the object.
    pub(super) fn copy() -> Self {
        Self { steps: vec![1.0], copies: vec![1.0], ..Self::default() }
    }

    pub(super) fn plus(mut self, other: Self) -> Self {
        add(&mut self.steps, &other.steps);
        add(&mut self.copies, &other.copies);
        self.literal = self.literal.max(other.literal);
        self.splits |= other.splits;
        for (key, times) in other.texts {
            *self.texts.entry(key).or_default() += times;
        }
        self
    }

    /// A step that makes a text of this size, or a list as long.
    pub(super) fn making(growth: Growth) -> Self {
        let texts = [((growth.loops, growth.power), growth.times), ((1, 0), (growth.width - 1.0) * WRITTEN_A_STEP)];
        let texts = texts.into_iter().filter(|(_, times)| *times > 0.0).collect();
        Self { texts, ..Self::step() }
    }

    /// The cost of doing it once for every element of a collection, which is so many times as long as the longest that
    /// there was.
    pub(super) fn for_each(mut self, width: f64) -> Self {
        let width = width.max(1.0);
        for costs in [&mut self.steps, &mut self.copies] {
            costs.iter_mut().for_each(|cost| *cost *= width);
            if !costs.is_empty() {
                costs.insert(0, 0.0);
            }
        }
        let texts = self.texts.into_iter();
        self.texts = texts.map(|((loops, power), times)| ((loops + 1, power), times * width)).collect();
        self
    }

    pub(super) fn at(&self, size: &Size) -> f64 {
        let mut widest = size.widest.max(self.literal);
        if self.splits {
            widest = widest.max(size.longest);
        }
        let (widest, nodes) = (float(widest), float(size.nodes));
        let longest = float(size.longest);
        // A loop is gone through once at least, as an estimate.
        let bytes = self.texts.iter().map(|((loops, power), times)| {
            times * float_power(widest.max(1.0), *loops) * float_power(longest.max(1.0), *power)
        });
        let texts = bytes.sum::<f64>() / WRITTEN_A_STEP;
        // Long strings cost too, wherever something is copied.
        let copied = nodes + float(size.longest) / COPIED_A_STEP;
        polynomial(&self.steps, widest) + copied * polynomial(&self.copies, widest) + texts
    }
}

fn float_power(base: f64, power: u32) -> f64 {
    base.powi(i32::try_from(power).unwrap_or(i32::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52, and this is an estimate")]
fn float(size: usize) -> f64 {
    size as f64
}

fn add(to: &mut Vec<f64>, from: &[f64]) {
    if to.len() < from.len() {
        to.resize(from.len(), 0.0);
    }
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

fn polynomial(coefficients: &[f64], at: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * at + coefficient)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_loops_cost_the_product_of_their_lengths() {
        let cost = Cost::step().for_each(1.0).plus(Cost::step()).for_each(1.0);
        let size = Size::of(&json!((0..100).collect::<Vec<_>>()));
        assert!((cost.at(&size) - 10_100.0).abs() < 1e-6);
    }
}
