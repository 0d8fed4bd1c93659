//! A selector put together by key. A URL holds thousands of requirements, and a list asks them of every object: what one
//! object costs depends on its own labels, or on the few keys of a short selector, never on both.

use std::collections::{BTreeMap, BTreeSet};

use super::{Operator, Requirement};

/// All that is required, key by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    by_key: BTreeMap<String, Rule>,
    /// The keys that must be there.
    needed: BTreeSet<String>,
}

/// What is required of one label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rule {
    is_banned: bool,
    within: Option<BTreeSet<String>>,
    without: BTreeSet<String>,
    above: Option<i64>,
    below: Option<i64>,
}

impl Rules {
    pub(super) fn of(requirements: &[Requirement]) -> Self {
        let mut rules = Self::default();
        for requirement in requirements {
            if !matches!(requirement.operator, Operator::DoesNotExist | Operator::NotEquals | Operator::NotIn) {
                rules.needed.insert(requirement.key.clone());
            }
            rules.by_key.entry(requirement.key.clone()).or_default().add(requirement);
        }
        rules
    }

    pub(super) fn allow(&self, labels: &BTreeMap<String, String>) -> bool {
        if self.by_key.len() <= labels.len() {
            return self.by_key.iter().all(|(key, rule)| match labels.get(key) {
                Some(value) => rule.allows(value),
                None => !self.needed.contains(key),
            });
        }
        // The first that is missing ends it.
        self.needed.iter().all(|key| labels.contains_key(key))
            && labels.iter().all(|(key, value)| self.by_key.get(key).is_none_or(|rule| rule.allows(value)))
    }
}

impl Rule {
    fn add(&mut self, requirement: &Requirement) {
        let values = &requirement.values;
        let limit = || values.first().and_then(|value| value.parse::<i64>().ok());
        match requirement.operator {
            Operator::Exists => {}
            Operator::DoesNotExist => self.is_banned = true,
            Operator::Equals | Operator::DoubleEquals | Operator::In => match &mut self.within {
                Some(within) => within.retain(|value| values.contains(value)),
                None => self.within = Some(values.clone()),
            },
            Operator::NotEquals | Operator::NotIn => self.without.extend(values.iter().cloned()),
            Operator::GreaterThan => match limit() {
                Some(limit) => self.above = Some(self.above.map_or(limit, |above| above.max(limit))),
                None => self.is_banned = true,
            },
            Operator::LessThan => match limit() {
                Some(limit) => self.below = Some(self.below.map_or(limit, |below| below.min(limit))),
                None => self.is_banned = true,
            },
        }
    }

    fn allows(&self, value: &str) -> bool {
        let number = || value.parse::<i64>().ok();
        !self.is_banned
            && self.within.as_ref().is_none_or(|within| within.contains(value))
            && !self.without.contains(value)
            && self.above.is_none_or(|above| number().is_some_and(|number| number > above))
            && self.below.is_none_or(|below| number().is_some_and(|number| number < below))
    }
}
