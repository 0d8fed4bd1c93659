//! What the Instances of a schedule take from Secrets; and decides whether their machines have it, and whether they were
//! started no more often for it than they should.

use std::collections::BTreeMap;

use controller_backend::MachineState;
use crds::compute::instance::{EnvSource, EnvVar, Instance, KeyRef, PowerState, SecretUpdatePolicy, VolumeMount};
use crds::status::{READY, condition, is_true};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use uuid::Uuid;

use super::judge::{instances, uid};
use super::step::{Step, Taking, Thing};
use crate::cloud::Cloud;

/// The key of every Secret that is taken.
pub(super) const KEY: &str = "word";

/// What a Secret holds. No value is a part of another one, nor that of another Secret.
pub(super) fn text(number: usize, value: u64) -> String {
    format!("<{number}:{value}>")
}

/// The name of a Secret.
pub(super) fn name(number: usize) -> String {
    format!("secret{number}")
}

/// Lets an Instance take this.
pub(super) fn take(instance: &mut Instance, taking: &Taking) {
    for name in taking.secrets.iter().map(|number| name(*number)) {
        if taking.mounted {
            let mount_path = format!("/{name}");
            instance.spec.volumes.push(VolumeMount { mount_path, secret: Some(name), ..VolumeMount::default() });
        } else {
            let variable = name.to_uppercase();
            let key = KeyRef { name, key: KEY.to_owned(), optional: false };
            let value_from = Some(EnvSource { secret_key_ref: Some(key), ..EnvSource::default() });
            instance.spec.env.push(EnvVar { name: variable, value_from, ..EnvVar::default() });
        }
    }
    instance.spec.secret_update_policy = match taking.policy.as_str() {
        "Restart" => SecretUpdatePolicy::Restart,
        _ => SecretUpdatePolicy::Ignore,
    };
}

/// The Secrets that an Instance takes.
fn taken(instance: &Instance) -> Vec<&str> {
    let keys = instance.spec.env.iter().filter_map(|variable| variable.value_from.as_ref()?.secret_key_ref.as_ref());
    let mounts = instance.spec.volumes.iter().filter_map(|mount| mount.secret.as_deref());
    keys.map(|key| key.name.as_str()).chain(mounts).collect()
}

/// A machine that is Ready has the last values of its Secrets, or says what has changed; an Instance without a machine says what
/// it waits for.
pub(super) async fn is_as_told(cloud: &Cloud) -> Result<(), String> {
    for instance in instances(cloud).await {
        for secret in taken(&instance) {
            let found = cloud.get::<Secret>(secret).await;
            let value = found.and_then(|secret| secret.data?.get(KEY).map(|bytes| bytes.0.clone()));
            let wrong = match value {
                Some(value) => differs(cloud, &instance, secret, &value),
                None => says_nothing(cloud, &instance, secret),
            };
            if let Some(wrong) = wrong {
                return Err(format!("{} with {secret} {wrong}", instance.name_any()));
            }
        }
    }
    Ok(())
}

/// What is wrong about a machine whose Secret holds this, if anything.
fn differs(cloud: &Cloud, instance: &Instance, secret: &str, value: &[u8]) -> Option<String> {
    let (uid, status) = (uid(instance)?, instance.status.as_ref()?);
    // What waits for something else, an image or another Secret, says so, and goes on as it is.
    if !runs(cloud, uid) || !is_true(&status.conditions, READY) {
        return None;
    }
    // One that is frozen reads nothing; it gets them when it goes on.
    let reads = instance.spec.env.is_empty() && instance.spec.power_state == PowerState::Running;
    if reads && !is_among(value, &cloud.engine.files_of(uid)) {
        return Some("has older files than there are".to_owned());
    }
    if !status.restarting_for.is_empty() {
        return Some("is to be restarted, and isn't".to_owned());
    }
    let is_last = is_among(value, &cloud.engine.begun_with(uid));
    let told = status.secrets.iter().find(|known| known.name == secret).map(|known| known.changed);
    match instance.spec.secret_update_policy {
        SecretUpdatePolicy::Restart if !is_last => Some("was started with an older value, and not again".to_owned()),
        _ if told != Some(!is_last) => Some(format!("says changed={told:?}, and was started with the last: {is_last}")),
        _ => None,
    }
}

fn is_among(value: &[u8], files: &[impl AsRef<[u8]>]) -> bool {
    files.iter().any(|file| file.as_ref().windows(value.len()).any(|part| part == value))
}

/// What is wrong about an Instance whose Secret isn't there, if anything.
fn says_nothing(cloud: &Cloud, instance: &Instance, secret: &str) -> Option<String> {
    if runs(cloud, uid(instance)?) || instance.spec.power_state == PowerState::Stopped {
        return None;
    }
    let status = instance.status.as_ref()?;
    let ready = condition(&status.conditions, READY);
    // Of several things that are missing, some are only told once the others are there.
    let words = ["Vpc `", "Volume `", "Image `", "Snapshot `", "image `", "may not have", secret];
    let is_told = ready
        .filter(|ready| ready.status == "False")
        .is_some_and(|ready| words.iter().any(|word| ready.message.contains(word)));
    (!is_told).then(|| format!("doesn't say what it waits for: {ready:?}"))
}

fn runs(cloud: &Cloud, uid: Uuid) -> bool {
    let machines = cloud.engine.machines_of(uid);
    machines.iter().any(|machine| matches!(machine.state, MachineState::Running | MachineState::Paused))
}

/// Nobody restarts what ignores changes.
pub(super) fn is_let_alone(instance: &Instance) -> Result<(), String> {
    let announced = instance.status.as_ref().is_some_and(|status| !status.restarting_for.is_empty());
    match instance.spec.secret_update_policy {
        SecretUpdatePolicy::Ignore if announced => Err(format!("{} is restarted for a Secret", instance.name_any())),
        _ => Ok(()),
    }
}

/// How often the machine of each Instance was started, and whether it runs.
#[derive(Debug, Default)]
pub(super) struct Starts(BTreeMap<Uuid, (u64, bool)>);

impl Starts {
    pub(super) async fn count(cloud: &Cloud) -> Self {
        let counted = instances(cloud).await.into_iter().filter_map(|instance| {
            let uid = uid(&instance)?;
            Some((uid, (cloud.engine.starts_of(uid), runs(cloud, uid))))
        });
        Self(counted.collect())
    }

    /// Since they were counted, and the user did nothing but these steps, no machine was started more often than it ended and
    /// its Secrets changed.
    pub(super) async fn is_bounded(&self, cloud: &Cloud, steps: &[Step]) -> Result<(), String> {
        let is_about_secrets = |step: &Step| match step {
            Step::Write(thing) | Step::Delete(thing) => matches!(thing, Thing::Secret { .. }),
            Step::Burst(things) => things.iter().all(|thing| matches!(thing, Thing::Secret { .. })),
            _ => true,
        };
        if !steps.iter().all(is_about_secrets) {
            return Ok(());
        }
        for instance in instances(cloud).await {
            let Some((uid, (before, ran))) = uid(&instance).and_then(|uid| Some((uid, *self.0.get(&uid)?))) else {
                continue;
            };
            let most = allowed(&instance, steps) + u64::from(!ran);
            let found = cloud.engine.starts_of(uid) - before;
            if found > most {
                return Err(format!("{} was started {found} times, which {most} would do", instance.name_any()));
            }
        }
        Ok(())
    }
}

/// How often a machine that runs may be started in the course of these steps.
fn allowed(instance: &Instance, steps: &[Step]) -> u64 {
    let taken = taken(instance);
    let restarts = instance.spec.secret_update_policy == SecretUpdatePolicy::Restart;
    let counts = |thing: &Thing| match thing {
        Thing::Secret { number, .. } => restarts && taken.contains(&name(*number).as_str()),
        _ => false,
    };
    let disturbed = steps.iter().any(|step| !step.is_wished());
    let starts = steps.iter().map(|step| match step {
        Step::Write(thing) => u64::from(counts(thing)),
        // What goes wrong may tear it apart.
        Step::Burst(things) if disturbed => things.iter().map(|thing| u64::from(counts(thing))).sum(),
        Step::Burst(things) => u64::from(things.iter().any(counts)),
        Step::Dies(..) | Step::MachineRemoved(_) | Step::MachineAstray(_) | Step::NetworkRemoved(_) | Step::Reboot => 1,
        _ => 0,
    });
    starts.sum()
}
