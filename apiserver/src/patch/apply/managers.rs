//! Who owns which fields, and what a write makes of that.
//!
//! Follows structured-merge-diff, which Kubernetes uses: an update owns what it changed, an apply owns what it says,
//! and what an applier no longer says goes, unless somebody else owns it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::compare::{Comparison, compare};
use super::reconcile::{with_named_fields, with_schema};
use super::set::Set;
use super::walk::{field_set, misfits};
use super::{merge, remove};
use crate::schema::merging::{TypeId, Types, equal};

/// What a manager owns, in the fields of one version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Owned {
    pub(crate) version: String,
    pub(crate) applied: bool,
    pub(crate) set: Set,
}

/// The managers by their identity.
pub(crate) type Managers = BTreeMap<String, Owned>;

/// Why a value can't be had in a version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Unconvertible {
    /// The version is not served any more: what is said of it is forgotten.
    Gone,
    /// The value has no form in it.
    #[cfg_attr(not(test), expect(dead_code, reason = "conversions that can fail are only in the shared cases so far"))]
    Impossible(String),
}

/// The versions of a kind.
pub(crate) trait Versions {
    /// What the objects of a version are.
    fn types(&self, version: &str) -> Option<(&Types, TypeId)>;

    /// A value of one version in another.
    fn convert<'a>(&self, value: &'a Value, from: &str, to: &str) -> Result<Cow<'a, Value>, Unconvertible>;

    /// Fields that nobody owns who writes in a version.
    fn ignored(&self, _version: &str) -> Option<&Set> {
        None
    }
}

/// Why an apply didn't take place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ApplyError {
    /// Others own fields that it would change: the manager and what of its fields.
    Conflicts(BTreeMap<String, Set>),
    /// What is applied doesn't fit its type.
    Misfit(Vec<String>),
    /// A conversion failed.
    Unconvertible(String),
}

/// A value in one version.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    pub(crate) value: &'a Value,
    pub(crate) version: &'a str,
}

/// A writer on a kind.
pub(crate) struct Writer<'a, V> {
    pub(crate) versions: &'a V,
    /// Whose write it is.
    pub(crate) manager: &'a str,
}

impl<V: Versions> Writer<'_, V> {
    fn types(&self, version: &str) -> Result<(&Types, TypeId), ApplyError> {
        self.versions.types(version).ok_or_else(|| ApplyError::Unconvertible(format!("no version {version:?}")))
    }

    /// What an update from `old` to `new` makes of the managers.
    pub(crate) fn update(&self, old: Object<'_>, new: Object<'_>, managers: Managers) -> Result<Managers, ApplyError> {
        let managers = self.reconciled(old, managers)?;
        let (mut managers, comparison) = self.take_over(old, new, managers, true)?;
        let mut owned = managers.remove(self.manager).map_or_else(Set::default, |owned| owned.set);
        owned.subtract(&comparison.removed);
        owned.add(&comparison.modified);
        owned.add(&comparison.added);
        if let Some(ignored) = self.versions.ignored(new.version) {
            owned.subtract_recursively(ignored);
        }
        if !owned.is_empty() {
            let owned = Owned { version: new.version.to_owned(), applied: false, set: owned };
            managers.insert(self.manager.to_owned(), owned);
        }
        Ok(managers)
    }

    /// What applying makes of the object and its managers. `None` in place of the object if it stays as it is.
    pub(crate) fn apply(
        &self,
        live: Object<'_>,
        applied: Object<'_>,
        managers: Managers,
        force: bool,
    ) -> Result<(Option<Value>, Managers), ApplyError> {
        let mut managers = self.reconciled(live, managers)?;
        let (types, of) = self.types(applied.version)?;
        let misfits = misfits(types, of, applied.value);
        if !misfits.is_empty() {
            return Err(ApplyError::Misfit(misfits));
        }
        let merged =
            merge::merge(types, of, live.value, applied.value).map_err(|what| ApplyError::Misfit(vec![what]))?;
        let mut set = field_set(types, of, applied.value);
        if let Some(ignored) = self.versions.ignored(applied.version) {
            set.subtract_recursively(ignored);
        }
        let owned = Owned { version: applied.version.to_owned(), applied: true, set };
        let last = managers.insert(self.manager.to_owned(), owned);
        let pruned = match last.filter(|last| !last.set.is_empty()) {
            Some(last) => self.pruned(merged, applied.version, &managers, &last)?,
            None => merged,
        };
        let new = Object { value: &pruned, version: applied.version };
        let (managers, _) = self.take_over(live, new, managers, force)?;
        let is_same = equal(live.value, &pruned);
        Ok(((!is_same).then_some(pruned), managers))
    }

    /// What everybody else keeps after a change, and what the change is.
    fn take_over(
        &self,
        old: Object<'_>,
        new: Object<'_>,
        mut managers: Managers,
        force: bool,
    ) -> Result<(Managers, Comparison), ApplyError> {
        let mut comparisons: BTreeMap<String, Option<(Comparison, Set)>> = BTreeMap::new();
        let own = self.compared(old, new, new.version)?.unwrap_or_default();
        let set = own.set();
        comparisons.insert(new.version.to_owned(), Some((own, set)));
        let mut conflicts = BTreeMap::new();
        let mut gone = Vec::new();
        for (manager, owned) in &managers {
            if manager == self.manager {
                continue;
            }
            if !comparisons.contains_key(&owned.version) {
                let comparison = self.compared(old, new, &owned.version)?;
                let comparison = comparison.map(|comparison| {
                    let set = comparison.set();
                    (comparison, set)
                });
                comparisons.insert(owned.version.clone(), comparison);
            }
            match &comparisons[&owned.version] {
                None => gone.push(manager.clone()),
                Some((_, set)) => {
                    let conflict = owned.set.intersection(set);
                    if !conflict.is_empty() {
                        conflicts.insert(manager.clone(), conflict);
                    }
                }
            }
        }
        if !force && !conflicts.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
        managers.retain(|manager, owned| {
            if manager != self.manager {
                if gone.contains(manager) {
                    return false;
                }
                if let Some(conflict) = conflicts.get(manager) {
                    owned.set.subtract(conflict);
                }
                if let Some((comparison, _)) = &comparisons[&owned.version] {
                    owned.set.subtract(&comparison.removed);
                }
            }
            !owned.set.is_empty()
        });
        let own = comparisons.remove(new.version).flatten().map(|(own, _)| own);
        Ok((managers, own.unwrap_or_default()))
    }

    /// The change in the fields of a version; `None` if that is not served any more.
    fn compared(&self, old: Object<'_>, new: Object<'_>, version: &str) -> Result<Option<Comparison>, ApplyError> {
        let (Some(before), Some(after)) = (self.converted(old, version)?, self.converted(new, version)?) else {
            return Ok(None);
        };
        let (types, of) = self.types(version)?;
        let mut comparison = compare(types, of, &before, &after);
        if let Some(ignored) = self.versions.ignored(version) {
            comparison.exclude(ignored);
        }
        Ok(Some(comparison))
    }

    fn converted<'a>(&self, object: Object<'a>, version: &str) -> Result<Option<Cow<'a, Value>>, ApplyError> {
        match self.versions.convert(object.value, object.version, version) {
            Ok(value) => Ok(Some(value)),
            Err(Unconvertible::Gone) => Ok(None),
            Err(Unconvertible::Impossible(why)) => Err(ApplyError::Unconvertible(why)),
        }
    }

    /// The managers with their fields as the schemas are now.
    fn reconciled(&self, live: Object<'_>, mut managers: Managers) -> Result<Managers, ApplyError> {
        let mut known: BTreeMap<String, bool> = BTreeMap::new();
        for owned in managers.values() {
            if !known.contains_key(&owned.version) {
                let is_known = self.converted(live, &owned.version)?.is_some();
                known.insert(owned.version.clone(), is_known);
            }
        }
        managers.retain(|_, owned| known[&owned.version]);
        for owned in managers.values_mut() {
            let (types, of) = self.types(&owned.version)?;
            if let Some(set) = with_schema(types, of, &owned.set) {
                owned.set = set;
            }
        }
        Ok(managers)
    }

    /// Without what the manager applied before and doesn't any more, unless somebody else owns it.
    fn pruned(&self, merged: Value, version: &str, managers: &Managers, last: &Owned) -> Result<Value, ApplyError> {
        let merged_here = Object { value: &merged, version };
        let Some(in_last) = self.converted(merged_here, &last.version)? else { return Ok(merged) };
        let in_last = in_last.into_owned();
        let (types, of) = self.types(&last.version)?;
        let named = with_named_fields(types, Some(of), &last.set);
        let mut pruned = remove::without(types, of, &in_last, &named);

        // Everything that somebody says or owns comes back, in the version first in which it was taken out: others may
        // need it to be converted at all.
        let mut owned: BTreeMap<&str, Set> = BTreeMap::new();
        for manager in managers.values() {
            owned.entry(&manager.version).or_default().add(&manager.set);
        }
        let mut at = last.version.clone();
        let mut whole = in_last.clone();
        let first = owned.remove_entry(last.version.as_str());
        for (version, owned) in first.into_iter().chain(owned) {
            let (Some(all), Some(left)) = (
                self.converted(Object { value: &whole, version: &at }, version)?,
                self.converted(Object { value: &pruned, version: &at }, version)?,
            ) else {
                continue;
            };
            let (types, of) = self.types(version)?;
            let mut keep = with_named_fields(types, Some(of), &field_set(types, of, &left));
            keep.add(&with_named_fields(types, Some(of), &owned));
            let mut out = with_named_fields(types, Some(of), &field_set(types, of, &all));
            out.subtract(&keep);
            let back = remove::without(types, of, &all, &out);
            whole = all.into_owned();
            pruned = back;
            version.clone_into(&mut at);
        }

        // What the manager never applied is not its to take out.
        let Some(left) = self.converted(Object { value: &pruned, version: &at }, &last.version)? else {
            return Ok(merged);
        };
        let mut out = with_named_fields(types, Some(of), &field_set(types, of, &in_last));
        out.subtract(&with_named_fields(types, Some(of), &field_set(types, of, &left)));
        let out = out.intersection(&named);
        let kept = remove::without(types, of, &in_last, &out);
        match self.converted(Object { value: &kept, version: &last.version }, version)? {
            Some(kept) => Ok(kept.into_owned()),
            None => Ok(merged),
        }
    }
}
