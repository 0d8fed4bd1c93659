//! Decides whether a machine was started with what its Secrets hold now, and what follows from `secretUpdatePolicy`. The
//! status remembers a digest of what it was started with, written before each start, so that nothing is forgotten
//! whoever is cut off where. Pure.

use std::collections::{BTreeMap, BTreeSet};

use controller_backend::{Machine, MachineState};
use crds::compute::instance::{Instance, InstanceStatus, PowerState, SecretStatus, SecretUpdatePolicy};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::Step;
use super::inputs::Sources;
use super::observe::Observed;
use super::restart;
use crate::digests::{Digests, comparable, differ};
use crate::runtime::conditions::whole_seconds;
use crate::runtime::{Note, Plan, uid_of};

/// A machine runs for so long at least before a change of a Secret restarts it: of many changes in a row the last one
/// counts.
const APART: SignedDuration = SignedDuration::from_secs(30);
/// So long after a change was noticed others still come to it: who writes several Secrets, or one twice, has it restarted
/// once. In whole seconds, so it is one at least.
const GATHER: SignedDuration = SignedDuration::from_secs(2);

/// Digests of what an Instance takes from each of its Secrets; `None` of one that isn't there.
pub(super) type Digested = BTreeMap<String, Option<String>>;

/// When a machine is to be restarted for its Secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// Now, because of these.
    Now(Vec<String>),
    /// Not before then.
    At(Timestamp),
}

/// What an Instance takes from its Secrets now.
pub(super) fn digested(instance: &Instance, sources: &impl Sources, digests: &Digests) -> Digested {
    let digest = |name: &str, keys: Option<&BTreeSet<&str>>| {
        let secret = sources.secret(name)?;
        let data = secret.data.iter().flatten();
        let taken = data.filter(|(key, _)| keys.is_none_or(|keys| keys.contains(key.as_str())));
        digests.of(uid_of(instance), name, taken.map(|(key, value)| (key.as_str(), value.0.as_slice())))
    };
    taken(instance).into_iter().map(|(name, keys)| (name.to_owned(), digest(name, keys.as_ref()))).collect()
}

/// The Secrets that an Instance takes something from, and which keys; `None` is all of them.
fn taken(instance: &Instance) -> BTreeMap<&str, Option<BTreeSet<&str>>> {
    let spec = &instance.spec;
    let mut taken: BTreeMap<&str, Option<BTreeSet<&str>>> = BTreeMap::new();
    for key in spec.env.iter().filter_map(|variable| variable.value_from.as_ref()?.secret_key_ref.as_ref()) {
        if let Some(keys) = taken.entry(&key.name).or_insert_with(|| Some(BTreeSet::new())) {
            keys.insert(&key.key);
        }
    }
    let whole = spec.env_from.iter().filter_map(|source| Some(source.secret_ref.as_ref()?.name.as_str()));
    let mounted = spec.volumes.iter().filter_map(|mount| mount.secret.as_deref());
    taken.extend(whole.chain(mounted).map(|name| (name, None)));
    taken
}

/// The Secrets that hold something else than the machine was started with. One that is gone holds nothing else: it may
/// come back as it was.
fn changed<'a>(status: Option<&'a InstanceStatus>, now: &Digested) -> Vec<&'a str> {
    let is_changed = |known: &&SecretStatus| match (&known.digest, now.get(&known.name)) {
        (Some(then), Some(Some(now))) => differ(then, now),
        (None, Some(Some(_))) => true,
        _ => false,
    };
    status.iter().flat_map(|status| &status.secrets).filter(is_changed).map(|known| known.name.as_str()).collect()
}

/// Whether a machine that runs is to be restarted for its Secrets, and when.
pub(super) fn due(instance: &Instance, observed: &Observed, machine: &Machine) -> Option<Due> {
    let changed = changed(instance.status.as_ref(), &observed.secrets);
    if instance.spec.secret_update_policy != SecretUpdatePolicy::Restart || changed.is_empty() {
        return None;
    }
    let rested = machine.started_at.and_then(|start| start.checked_add(APART).ok());
    let gathered = noticed(instance, &changed).unwrap_or(observed.now).checked_add(GATHER).ok();
    match rested.max(gathered).filter(|time| *time > observed.now) {
        Some(time) => Some(Due::At(time)),
        None => Some(Due::Now(changed.into_iter().map(str::to_owned).collect())),
    }
}

/// When the first of these changes was noticed.
fn noticed(instance: &Instance, changed: &[&str]) -> Option<Timestamp> {
    let known = instance.status.iter().flat_map(|status| &status.secrets);
    let times =
        known.filter(|known| changed.contains(&known.name.as_str())).filter_map(|known| known.changed_at.as_ref());
    times.map(|Time(time)| *time).min()
}

/// Whether the machine was stopped to be started with what its Secrets hold now.
pub(super) fn is_restarting(instance: &Instance) -> bool {
    instance.status.as_ref().is_some_and(|status| !status.restarting_for.is_empty())
}

/// The step that remembers what a machine is about to be started with, unless that is known.
pub(super) fn record(instance: &Instance, observed: &Observed, machine: &Machine) -> Option<Step> {
    let status = instance.status.as_ref();
    let known = status.map(|status| status.secrets.as_slice()).unwrap_or_default();
    let secrets = listed(&observed.secrets);
    if known == secrets && !is_restarting(instance) {
        return None;
    }
    let exit = match &machine.state {
        MachineState::Exited(exit) if is_restarting(instance) => Some(restart::on_purpose(exit)),
        _ => None,
    };
    Some(Step::RecordSecrets { secrets, exit })
}

fn listed(digested: &Digested) -> Vec<SecretStatus> {
    let known = |(name, digest): (&String, &Option<String>)| SecretStatus {
        name: name.clone(),
        digest: digest.clone(),
        ..SecretStatus::default()
    };
    digested.iter().map(known).collect()
}

/// Tells in the status which Secrets have changed. Gives what should be told because it is news.
pub(super) fn account(
    status: &mut InstanceStatus,
    instance: &Instance,
    observed: &Observed,
    machine: Option<&Machine>,
    plan: Option<&Plan<Step>>,
) -> Vec<Note> {
    let runs = machine.is_some_and(|machine| matches!(machine.state, MachineState::Running | MachineState::Paused));
    if instance.spec.power_state == PowerState::Stopped && !runs {
        status.restarting_for.clear();
    }
    if machine.is_none() {
        status.secrets.clear();
    }
    if !runs {
        return Vec::new();
    }
    // What it was started with before anybody looked is taken for what they hold now.
    let secrets = listed(&observed.secrets).into_iter().map(|now| {
        let known = status.secrets.iter().find(|known| known.name == now.name);
        let is_of_use = |known: &&SecretStatus| match (&known.digest, &now.digest) {
            (Some(then), Some(now)) => comparable(then, now),
            _ => true,
        };
        known.filter(is_of_use).cloned().unwrap_or(now)
    });
    status.secrets = secrets.collect();
    let changed: Vec<String> = changed(Some(status), &observed.secrets).into_iter().map(str::to_owned).collect();
    if changed.is_empty() {
        status.restarting_for.clear();
    }
    let mut news = Vec::new();
    for known in &mut status.secrets {
        let before = std::mem::replace(&mut known.changed, changed.contains(&known.name));
        known.changed_at = match known.changed {
            true if before => known.changed_at.take(),
            true => Some(Time(whole_seconds(observed.now))),
            false => None,
        };
        let waits = plan.is_some_and(|plan| plan.waiting.is_some());
        let how = match instance.spec.secret_update_policy {
            SecretUpdatePolicy::Ignore => {
                format!("`cloudctl restart {}` has it begin with what it holds now.", instance.name_any())
            }
            SecretUpdatePolicy::Restart if waits => {
                "it begins with what it holds now once its Instance waits for nothing else.".to_owned()
            }
            // The restart is told.
            SecretUpdatePolicy::Restart => continue,
        };
        if known.changed && !before {
            let what = format!("Secret `{}` has changed since the machine was started", known.name);
            news.push(Note::normal("SecretChanged", format!("{what}: {how}")));
        }
    }
    news
}

/// Secrets, for people.
pub(super) fn words(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names {
        [_] => format!("Secret {} has changed", quoted.join("")),
        _ => format!("Secrets {} have changed", quoted.join(", ")),
    }
}
