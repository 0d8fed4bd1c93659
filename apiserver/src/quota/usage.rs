//! Measures: what an object costs by the charges of its kind, and what all objects of a namespace cost together.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use apiserver_store::Key;
use serde_json::Value;

use super::{Amounts, Cost, Quantity};
use crate::catalog::Edition;
use crate::lifecycle::rules;
use crate::registry::{Charge, Kind, Reference};
use crate::state::State;

/// Measures objects as they are stored, by the kinds of one edition.
pub(crate) struct Measure<'a> {
    state: &'a State,
    edition: &'a Edition,
    /// Objects that others refer to: many to few.
    referred: RefCell<HashMap<Key, Option<Arc<Value>>>>,
}

impl<'a> Measure<'a> {
    pub(crate) fn new(state: &'a State, edition: &'a Edition) -> Self {
        Self { state, edition, referred: RefCell::default() }
    }

    /// What a stored object costs.
    pub(super) fn cost_of_body(&self, kind: &Kind, namespace: &str, body: &[u8]) -> Cost {
        let mut cost = Cost::default();
        for name in count_names(kind) {
            cost.amounts.insert(name, Quantity::whole(1));
        }
        if kind.charges.is_empty() {
            return cost;
        }
        // Whatever can't be read has no amounts that could be told.
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        for charge in &kind.charges {
            match self.amount(charge, namespace, &object) {
                Some(amount) => cost.amounts.extend(charge.names.iter().map(|name| (name.clone(), amount))),
                None => cost.unknown.extend(charge.names.iter().cloned()),
            }
        }
        cost
    }

    /// What is used of these in a namespace.
    pub(crate) fn usage<'n>(&self, namespace: &str, names: impl Iterator<Item = &'n str>) -> Amounts {
        let mut used: Amounts = names.map(|name| (name.to_owned(), Quantity::ZERO)).collect();
        let kinds = self.edition.registry.kinds().filter(|kind| kind.stored_as.is_none());
        for kind in kinds.filter(|kind| rules::counts_in_quotas(kind)) {
            let wanted: BTreeSet<&String> = used.keys().collect();
            let is_charged = kind.charges.iter().flat_map(|charge| &charge.names).any(|name| wanted.contains(name));
            let counts: Vec<String> = count_names(kind).filter(|name| wanted.contains(name)).collect();
            if !is_charged && counts.is_empty() {
                continue;
            }
            let snapshot = self.state.storage().snapshot(&kind.resource());
            let found = snapshot.entries.within(namespace);
            if !is_charged {
                let count = Quantity::whole(found.count());
                used.extend(counts.into_iter().map(|name| (name, count)));
                continue;
            }
            for entry in found {
                for (name, amount) in self.cost_of_body(kind, namespace, &entry.body).amounts {
                    if let Some(used) = used.get_mut(&name) {
                        *used = *used + amount.at_least_zero();
                    }
                }
            }
        }
        used
    }

    fn amount(&self, charge: &Charge, namespace: &str, object: &Value) -> Option<Quantity> {
        charge.amount.iter().find_map(|source| match &source.of {
            None => Quantity::of(at(object, &source.field)?),
            Some(reference) => Quantity::of(at(&*self.referred(reference, namespace, object)?, &source.field)?),
        })
    }

    fn referred(&self, reference: &Reference, namespace: &str, object: &Value) -> Option<Arc<Value>> {
        let named = at(object, &reference.name_field).and_then(Value::as_str).filter(|name| !name.is_empty());
        let setting = reference.name_setting.as_ref().and_then(|setting| self.state.config.settings.get(setting));
        let name = named.or(setting.map(String::as_str))?;
        let (plural, group) = reference.resource.split_once('.').unwrap_or((&reference.resource, ""));
        let kind = self.edition.registry.kind(group, plural)?;
        let key = Key::new(kind.resource(), if kind.namespaced { namespace } else { "" }, name);
        let mut referred = self.referred.borrow_mut();
        if let Some(known) = referred.get(&key) {
            return known.clone();
        }
        let found = self.state.storage().get(&key).map(|entry| Arc::new(entry.value()));
        referred.insert(key, found.clone());
        found
    }
}

/// The names under which an object counts as one: `count/widgets.example.com`, and in the core group also `secrets`.
fn count_names(kind: &Kind) -> impl Iterator<Item = String> {
    let resource = kind.resource();
    let short = resource.group.is_empty().then(|| resource.plural.clone());
    std::iter::once(format!("count/{resource}")).chain(short)
}

/// Follows `spec.resources.cpu`.
fn at<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(object, |value, key| value.get(key)).filter(|value| !value.is_null())
}
