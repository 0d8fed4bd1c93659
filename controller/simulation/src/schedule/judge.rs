//! Decides whether a schedule ends as it does where nothing goes wrong.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use controller_backend::MachineState;
use crds::compute::instance::Instance;
use kube::ResourceExt;
use kube::api::ListParams;
use uuid::Uuid;

use super::act::Stage;
use super::keeping::Kept;
use super::lag::Lag;
use super::leaving::Asked;
use super::step::Step;
use super::taking::{self, Starts};
use super::text::{difference, named};
use crate::cloud::Cloud;
use crate::crash::Tripwire;

/// How long the state must stay as it is to be settled.
const STILL: Duration = Duration::from_secs(45);
/// How often it is looked at: until the slow resync has come round, and after it the longest pause before a restart.
const LOOKS: usize = 40;

/// What is wrong with how a schedule ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub what: String,
}

impl Failure {
    /// The first line that should be there, and the first that is there instead; nothing where something happened that never
    /// may.
    pub(super) fn first(&self) -> [Option<&str>; 2] {
        ["- ", "+ "].map(|sign| self.what.lines().find(|line| line.starts_with(sign)))
    }
}

/// Plays the schedule, and what of it the user wants without the accidents, each in a cloud of its own.
///
/// # Errors
/// They end differently; or on the way something happened that never may.
pub fn judge(steps: &[Step]) -> Result<(), Failure> {
    let wished: Vec<Step> = steps.iter().filter(|step| step.is_wished()).cloned().collect();
    let wanted = played(&wished, None).map_err(|what| Failure { what: format!("where nothing goes wrong: {what}") })?;
    played(steps, Some(&wanted)).map(|_| ()).map_err(|what| Failure { what })
}

/// Plays steps in a new cloud; the states in which it settled, which must be the wanted ones.
fn played(steps: &[Step], wanted: Option<&[String]>) -> Result<Vec<String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(play(steps, wanted))));
    played.unwrap_or_else(|panic| Err(words(panic.as_ref())))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

async fn play(steps: &[Step], wanted: Option<&[String]>) -> Result<Vec<String>, String> {
    let mut cloud = Cloud::new().await;
    let (wire, lag) = (Tripwire::default(), Lag::default());
    cloud.start_lagging(&wire, &lag);
    let stage = Stage { cloud, wire, lag, asked: Asked::default() };
    let (mut states, mut kept) = (Vec::new(), Kept::default());
    let (mut starts, mut since) = (Starts::default(), 0);
    for (index, step) in steps.iter().enumerate() {
        let never = |what| format!("at step {} ({step:?}): {what}", index + 1);
        kept.before(&stage.cloud, step).await.map_err(never)?;
        stage.act(step).await.map_err(never)?;
        always(&stage.cloud, &mut kept).await.map_err(never)?;
        if *step == Step::Settle {
            let wanted = wanted.and_then(|wanted| wanted.get(states.len())).map(String::as_str);
            states.push(settled(&stage.cloud, wanted).await.map_err(never)?);
            always(&stage.cloud, &mut kept).await.map_err(never)?;
            taking::is_as_told(&stage.cloud).await.map_err(never)?;
            starts.is_bounded(&stage.cloud, &steps[since..index]).await.map_err(never)?;
            (starts, since) = (Starts::count(&stage.cloud).await, index + 1);
        }
    }
    Ok(states)
}

/// The state in which nothing moves any more; the wanted one, if one is.
async fn settled(cloud: &Cloud, wanted: Option<&str>) -> Result<String, String> {
    let mut last = String::new();
    for _ in 0..LOOKS {
        cloud.pass(STILL).await;
        let now = named(&cloud.state().await, &addresses(cloud).await?);
        if now == last && wanted.is_none_or(|wanted| wanted == now) {
            return Ok(now);
        }
        last = now;
    }
    let difference = wanted.map(|wanted| difference(wanted, &last));
    Err(format!("it settles differently:\n{}", difference.unwrap_or(last)))
}

/// What must be so at any moment: no machine runs twice, and no data is lost or exchanged.
async fn always(cloud: &Cloud, kept: &mut Kept) -> Result<(), String> {
    for instance in instances(cloud).await {
        taking::is_let_alone(&instance)?;
        let Some(uid) = uid(&instance) else { continue };
        let machines = cloud.engine.machines_of(uid);
        let running = machines.iter().filter(|machine| machine.state == MachineState::Running).count();
        if running > 1 {
            return Err(format!("{running} machines of {} run", instance.name_any()));
        }
    }
    kept.is_whole(cloud).await
}

/// Names for the addresses of machines. No two have the same.
async fn addresses(cloud: &Cloud) -> Result<BTreeMap<String, String>, String> {
    let mut names = BTreeMap::new();
    for instance in instances(cloud).await {
        let Some(address) = instance.status.as_ref().and_then(|status| status.ip.clone()) else { continue };
        let name = format!("<{}>", instance.name_any());
        if let Some(other) = names.insert(address.clone(), name.clone()) {
            return Err(format!("{other} and {name} both have {address}"));
        }
    }
    Ok(names)
}

pub(super) async fn instances(cloud: &Cloud) -> Vec<Instance> {
    cloud.api::<Instance>().list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default()
}

pub(super) fn uid<K: kube::Resource>(object: &K) -> Option<Uuid> {
    object.meta().uid.as_deref()?.parse().ok()
}
