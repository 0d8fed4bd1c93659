//! Label selectors: `=`, `==`, `!=`, `in`, `notin`, `<`, `>`, a key alone, `!key`; requirements are joined by commas.

mod lexer;
mod parser;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::error::ApiError;

use self::rules::Rules;

/// How a requirement's values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `key`
    Exists,
    /// `!key`
    DoesNotExist,
    /// `key=value`
    Equals,
    /// `key==value`
    DoubleEquals,
    /// `key!=value`; true also where the key is absent.
    NotEquals,
    /// `key in (a,b)`
    In,
    /// `key notin (a,b)`; true also where the key is absent.
    NotIn,
    /// `key>1`
    GreaterThan,
    /// `key<1`
    LessThan,
}

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

/// A conjunction of requirements; without any it matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
    /// The same by key, for a quick look at many objects.
    rules: Rules,
}

impl Selector {
    /// Reads a selector; the empty text selects everything.
    ///
    /// # Errors
    /// 400 in Kubernetes' words.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut requirements = parser::parse(text).map_err(ApiError::bad_request)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        let rules = Rules::of(&requirements);
        Ok(Self { requirements, rules })
    }

    /// Reads a `LabelSelector`, which was validated; `None` for what is none.
    #[must_use]
    pub fn of_object(object: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut requirements = Vec::new();
        for (key, value) in object["matchLabels"].as_object().into_iter().flatten() {
            let values = BTreeSet::from([text(value)?]);
            requirements.push(Requirement { key: key.clone(), operator: Operator::In, values });
        }
        for expression in object["matchExpressions"].as_array().into_iter().flatten() {
            let operator = match expression["operator"].as_str()? {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                _ => return None,
            };
            let values = expression["values"].as_array().into_iter().flatten().map(text).collect::<Option<_>>()?;
            requirements.push(Requirement { key: text(&expression["key"])?, operator, values });
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        let rules = Rules::of(&requirements);
        Some(Self { requirements, rules })
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether labels satisfy every requirement.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.rules.allow(labels)
    }

    /// The same, asked of each requirement by itself.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn matches_one_by_one(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|Requirement { key, operator, values }| {
            let found = labels.get(key);
            let is_among = found.is_some_and(|found| values.contains(found));
            let number = |text: &String| text.parse::<i64>().ok();
            let numbers = || Some((number(found?)?, number(values.first()?)?));
            match operator {
                Operator::Exists => found.is_some(),
                Operator::DoesNotExist => found.is_none(),
                Operator::Equals | Operator::DoubleEquals | Operator::In => is_among,
                Operator::NotEquals | Operator::NotIn => !is_among,
                Operator::GreaterThan => numbers().is_some_and(|(found, limit)| found > limit),
                Operator::LessThan => numbers().is_some_and(|(found, limit)| found < limit),
            }
        })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values = self.values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        if values.is_empty() && matches!(self.operator, Operator::In | Operator::NotIn) {
            // The empty value alone: `()` would be no value at all.
            values.push(',');
        }
        let key = &self.key;
        match self.operator {
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

/// The canonical text: requirements by key, values sorted, no spaces but those of `in`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                write!(f, ",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
