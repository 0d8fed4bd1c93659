//! Policies and bindings, ready to be asked. It follows the cache by what has changed since it looked last; a policy is
//! compiled when it is first asked.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use apiserver_store::{Entries, Entry, Storage};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::matching::Matching;
use super::params::ParamRef;
use super::program::{self, Program};
use super::{BINDINGS_ID, POLICIES_ID};

/// Policies and bindings at one moment.
#[derive(Default)]
pub(super) struct Index {
    seen: [Entries; 2],
    policies: BTreeMap<String, Arc<Policy>>,
    /// By the names of their policies, then by their own.
    bindings: BTreeMap<String, BTreeMap<String, Arc<Binding>>>,
}

/// A policy.
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) spec: PolicySpec,
    program: OnceLock<Program>,
}

/// What a policy says.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PolicySpec {
    pub(super) param_kind: Option<ParamKind>,
    pub(super) match_constraints: Matching,
    failure_policy: String,
    #[serde(flatten)]
    pub(super) source: program::Source,
}

/// The kind that parameters are of.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ParamKind {
    pub(super) api_version: String,
    pub(super) kind: String,
}

/// A binding.
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) spec: BindingSpec,
}

/// What a binding says.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct BindingSpec {
    policy_name: String,
    pub(super) param_ref: Option<ParamRef>,
    pub(super) match_resources: Option<Matching>,
    pub(super) validation_actions: Vec<String>,
}

impl PolicySpec {
    /// Whether what can't be judged is let through.
    pub(super) fn ignores_failures(&self) -> bool {
        self.failure_policy == "Ignore"
    }
}

impl Policy {
    /// The expressions, compiled.
    pub(super) fn program(&self) -> &Program {
        self.program.get_or_init(|| Program::new(&self.spec.source, self.spec.param_kind.is_some()))
    }
}

impl Index {
    /// The index with what has changed, if anything has.
    pub(super) fn followed(&self, storage: &Storage) -> Option<Self> {
        let now = [&*POLICIES_ID, &*BINDINGS_ID].map(|resource| storage.snapshot(resource).entries);
        if self.seen.iter().zip(&now).all(|(then, now)| then.differences(now).next().is_none()) {
            return None;
        }
        let mut next = Self { seen: now, policies: self.policies.clone(), bindings: self.bindings.clone() };
        for (old, new) in self.seen[0].differences(&next.seen[0]) {
            if let Some(old) = old {
                next.policies.remove(&old.key.name);
            }
            if let Some(new) = new {
                let name = new.key.name.clone();
                let policy = Policy { name: name.clone(), spec: spec(new), program: OnceLock::new() };
                next.policies.insert(name, Arc::new(policy));
            }
        }
        for (old, new) in self.seen[1].differences(&next.seen[1]) {
            if let Some(old) = old {
                for bindings in next.bindings.values_mut() {
                    bindings.remove(&old.key.name);
                }
            }
            if let Some(new) = new {
                let binding = Binding { name: new.key.name.clone(), spec: spec(new) };
                let of = next.bindings.entry(binding.spec.policy_name.clone()).or_default();
                of.insert(binding.name.clone(), Arc::new(binding));
            }
        }
        next.bindings.retain(|_, bindings| !bindings.is_empty());
        Some(next)
    }

    /// The policies that are bound, by name.
    pub(super) fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values().map(AsRef::as_ref).filter(|policy| self.bindings.contains_key(&policy.name))
    }

    /// The bindings of a policy, by name.
    pub(super) fn bindings(&self, policy: &str) -> impl Iterator<Item = &Binding> {
        self.bindings.get(policy).into_iter().flat_map(BTreeMap::values).map(AsRef::as_ref)
    }
}

/// What is stored was validated; what can't be read all the same matches nothing.
fn spec<T: Default + DeserializeOwned>(entry: &Entry) -> T {
    serde_json::from_value(entry.value()["spec"].take()).unwrap_or_default()
}
