//! Rules of access from the roles and bindings in the store (`rbac.authorization.k8s.io`), and the few that are always
//! there.
//!
//! In: who asks for what. Out: a [`Decision`]. Whoever has made a binding is understood in the very next request.

mod built_in;
mod cover;
mod index;
mod rule;
mod subjects;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use apiserver_store::Storage;

use super::{Attributes, Authorizer, Decision, Grant, Identity, MASTERS, Object, Rights};
use built_in::{ALL, BASIC, BuiltIn};
pub(crate) use cover::{missing as missing_rights, sentence as rights_sentence};
use index::Index;
pub use rule::Rule;
use subjects::Binding;
pub use subjects::Held;

/// Rules of access from the store.
pub struct Rbac {
    storage: Storage,
    index: RwLock<Index>,
}

impl std::fmt::Debug for Rbac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rbac").finish_non_exhaustive()
    }
}

impl Rbac {
    /// Rules from the roles and bindings of this store.
    #[must_use]
    pub fn new(storage: Storage) -> Self {
        Self { storage, index: RwLock::default() }
    }

    /// Asks the index in its present state.
    fn ask<T>(&self, question: impl FnOnce(&Index) -> T) -> T {
        {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            if index.is_current(&self.storage) {
                return question(&index);
            }
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if !index.is_current(&self.storage) {
            index.follow(&self.storage);
        }
        question(&index)
    }
}

impl Authorizer for Rbac {
    fn authorize(&self, who: &Identity, wish: &Attributes<'_>) -> Decision {
        if who.is_in(MASTERS) {
            return Decision::Allow(Grant::Master);
        }
        if who.is_in(BASIC.group) && BASIC.rules.iter().any(|rule| rule.allows(wish)) {
            return Decision::Allow(Grant::BuiltIn(BASIC.group));
        }
        let namespace = match &wish.object {
            Object::Resource(of) => of.namespace,
            Object::Path(_) => "",
        };
        self.ask(|index| {
            let mut missing = Missing::default();
            for (held, rules) in index.held(who, namespace) {
                match rules {
                    Some(rules) if rules.iter().any(|rule| rule.allows(wish)) => {
                        return Decision::Allow(Grant::Binding(Arc::clone(held)));
                    }
                    Some(_) => {}
                    None => missing.note(&held.binding),
                }
            }
            let missing = missing.sentence();
            Decision::Deny(if missing.is_empty() { missing } else { format!("RBAC: {missing}") })
        })
    }

    fn rights(&self, who: &Identity, namespace: &str) -> Rights {
        let built_in = [&*ALL, &*BASIC].into_iter().filter(|BuiltIn { group, .. }| who.is_in(group));
        let mut rules: Vec<Rule> = built_in.flat_map(|built_in| &built_in.rules).cloned().collect();
        self.ask(|index| {
            let mut missing = Missing::default();
            let mut told: Vec<*const Binding> = Vec::new();
            for (held, found) in index.held(who, namespace) {
                let binding = Arc::as_ptr(&held.binding);
                // Somebody may be a binding's subject in more than one way.
                if told.contains(&binding) {
                    continue;
                }
                told.push(binding);
                match found {
                    Some(found) => rules.extend_from_slice(found),
                    None => missing.note(&held.binding),
                }
            }
            Rights { rules, problem: missing.sentence() }
        })
    }
}

/// Roles that bindings name and that are not there.
#[derive(Default)]
struct Missing(Vec<String>);

impl Missing {
    fn note(&mut self, binding: &Binding) {
        let kind = binding.role.kind.to_lowercase();
        let sentence = format!("{kind}.rbac.authorization.k8s.io {:?} not found", binding.role.name);
        if !self.0.contains(&sentence) {
            self.0.push(sentence);
        }
    }

    /// As upstream adds up errors.
    fn sentence(mut self) -> String {
        match self.0.len() {
            0 | 1 => self.0.pop().unwrap_or_default(),
            _ => format!("[{}]", self.0.join(", ")),
        }
    }
}
