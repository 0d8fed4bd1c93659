//! Decides whether one ResourceQuota has room, and what its status says afterwards.

use std::sync::Arc;

use apiserver_store::{Change, Entry, Expect, Write};
use serde_json::{Map, Value};

use super::{Amounts, Cost, Quantity};
use crate::response::to_bytes;

/// One ResourceQuota while a write is counted.
pub(crate) struct Limit {
    entry: Arc<Entry>,
    object: Value,
    hard: Amounts,
    used: Amounts,
}

impl Limit {
    /// Reads a stored quota; `None` for one that applies to none of our objects: scopes are about Pods.
    pub(crate) fn of(entry: Arc<Entry>) -> Option<Self> {
        let object = entry.value();
        let is_scoped = object["spec"]["scopes"].as_array().is_some_and(|scopes| !scopes.is_empty())
            || object["spec"]["scopeSelector"].is_object();
        if is_scoped {
            return None;
        }
        let hard = amounts(&object["spec"]["hard"]);
        let mut used = amounts(&object["status"]["used"]);
        used.retain(|name, _| hard.contains_key(name));
        Some(Self { entry, object, hard, used })
    }

    /// What it limits.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.hard.keys().map(String::as_str)
    }

    /// Whether its status tells what is used of everything that it limits.
    pub(super) fn knows_its_usage(&self) -> bool {
        self.hard.keys().all(|name| self.used.contains_key(name))
    }

    /// Whether its status says what it limits, and what is used of that.
    pub(crate) fn is_in_force(&self) -> bool {
        self.knows_its_usage() && amounts(&self.object["status"]["hard"]) == self.hard
    }

    /// Replaces what is used by what was measured.
    pub(crate) fn set_used(&mut self, measured: &Amounts) {
        let of = |name: &String| measured.get(name).copied().unwrap_or(Quantity::ZERO);
        self.used = self.hard.keys().map(|name| (name.clone(), of(name))).collect();
    }

    /// Says why the object must not become `new`, if so.
    pub(super) fn check(&self, new: &Cost, old: &Cost) -> Result<(), String> {
        let name = &self.entry.key.name;
        let unknown: Vec<&str> = self
            .names()
            .filter(|resource| new.unknown.contains(*resource) && !old.unknown.contains(*resource))
            .collect();
        if !unknown.is_empty() {
            return Err(format!("failed quota: {name}: must specify {}", unknown.join(",")));
        }
        let requested = |resource: &str| new.of(resource) - old.of(resource);
        let exceeded: Vec<(&String, &Quantity)> = self
            .hard
            .iter()
            .filter(|(resource, hard)| {
                let requested = requested(resource);
                requested > Quantity::ZERO && self.used(resource) + requested > **hard
            })
            .collect();
        if exceeded.is_empty() {
            return Ok(());
        }
        let list = |amount: &dyn Fn(&str) -> Quantity| {
            let items: Vec<String> =
                exceeded.iter().map(|(resource, _)| format!("{resource}={}", amount(resource))).collect();
            items.join(",")
        };
        Err(format!(
            "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
            list(&requested),
            list(&|resource| self.used(resource)),
            list(&|resource| self.hard[resource]),
        ))
    }

    /// Counts an object that becomes `new`.
    pub(super) fn add(&mut self, new: &Cost, old: &Cost) {
        for (resource, used) in &mut self.used {
            *used = (*used + (new.of(resource) - old.of(resource))).at_least_zero();
        }
    }

    fn used(&self, resource: &str) -> Quantity {
        self.used.get(resource).copied().unwrap_or(Quantity::ZERO)
    }

    /// The object with the status that says what is used; `None` where it says so already.
    pub(crate) fn into_object(mut self) -> Option<(Arc<Entry>, Value)> {
        let status = serde_json::json!({"hard": written(&self.hard), "used": written(&self.used)});
        if self.object["status"] == status {
            return None;
        }
        self.object["status"] = status;
        Some((self.entry, self.object))
    }

    /// The write that says what is used, if there is something new to say.
    pub(super) fn into_write(self) -> Option<Write> {
        let (entry, object) = self.into_object()?;
        let change = Change::Put { uid: entry.uid, body: to_bytes(&object) };
        Some(Write { key: entry.key.clone(), expect: Expect::Revision(entry.revision), change })
    }
}

fn amounts(value: &Value) -> Amounts {
    let all = value.as_object().into_iter().flatten();
    all.filter_map(|(name, amount)| Some((name.clone(), Quantity::of(amount)?))).collect()
}

fn written(amounts: &Amounts) -> Map<String, Value> {
    amounts.iter().map(|(name, amount)| (name.clone(), amount.to_string().into())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use apiserver_store::{Key, ResourceId, Revision};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn limit(object: &Value) -> Option<Limit> {
        Limit::of(Arc::new(Entry {
            key: Key::new(ResourceId::new("", "resourcequotas"), "a", "q"),
            uid: Uuid::nil(),
            revision: Revision(1),
            body: object.to_string().into(),
            labels: Default::default(),
        }))
    }

    fn cost(given: &[(&str, &str)]) -> Cost {
        let amounts = given.iter().map(|(name, amount)| ((*name).to_owned(), Quantity::parse(amount).unwrap()));
        Cost { amounts: amounts.collect(), unknown: BTreeSet::new() }
    }

    fn quota() -> Value {
        let hard = json!({"count/x": "3", "cpu": "2", "memory": "1Gi"});
        json!({"spec": {"hard": hard}, "status": {"hard": hard, "used": {"count/x": "3", "cpu": "1500m", "memory": "0"}}})
    }

    #[test]
    fn refusal_lists_what_is_exceeded_and_nothing_else() {
        let limit = limit(&quota()).unwrap();
        let new = cost(&[("count/x", "1"), ("cpu", "1"), ("memory", "64Mi"), ("other", "9")]);
        assert_eq!(
            limit.check(&new, &Cost::default()).unwrap_err(),
            "exceeded quota: q, requested: count/x=1,cpu=1, used: count/x=3,cpu=1500m, limited: count/x=3,cpu=2"
        );
    }

    #[test]
    fn what_asks_for_no_more_is_never_refused() {
        let mut object = quota();
        object["status"]["used"]["cpu"] = "9".into();
        let limit = limit(&object).unwrap();
        assert_eq!(limit.check(&cost(&[("cpu", "4")]), &cost(&[("cpu", "4")])), Ok(()));
        assert_eq!(limit.check(&cost(&[("cpu", "2")]), &cost(&[("cpu", "4")])), Ok(()));
        assert!(limit.check(&cost(&[("cpu", "5")]), &cost(&[("cpu", "4")])).is_err());
    }

    #[test]
    fn amount_that_nobody_can_tell_must_be_told_unless_that_is_nothing_new() {
        let limit = limit(&quota()).unwrap();
        let unknown = Cost { unknown: BTreeSet::from(["memory".into(), "other".into()]), ..Cost::default() };
        assert_eq!(limit.check(&unknown, &Cost::default()).unwrap_err(), "failed quota: q: must specify memory");
        assert_eq!(limit.check(&unknown, &unknown), Ok(()));
    }

    #[test]
    fn usage_grows_and_shrinks_but_not_below_nothing() {
        let mut limit = limit(&quota()).unwrap();
        limit.add(&Cost::default(), &cost(&[("count/x", "1"), ("cpu", "9")]));
        limit.add(&cost(&[("memory", "512Mi")]), &Cost::default());
        let (_, object) = limit.into_object().unwrap();
        assert_eq!(object["status"]["used"], json!({"count/x": "2", "cpu": "0", "memory": "512Mi"}));
    }

    #[test]
    fn scoped_quota_limits_nothing_and_a_status_that_is_right_is_not_written() {
        assert!(limit(&json!({"spec": {"scopes": ["BestEffort"], "hard": {"pods": "1"}}})).is_none());
        assert!(limit(&quota()).unwrap().into_object().is_none());
        let unmeasured = limit(&json!({"spec": {"hard": {"pods": "1"}}})).unwrap();
        assert!(!unmeasured.knows_its_usage());
    }
}
