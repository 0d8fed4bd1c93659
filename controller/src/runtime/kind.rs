//! What a kind supplies to the driver: its types and the four functions observe, plan, apply and report.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::failure::Failure;

/// What should become of the real thing behind an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// It should be as the spec says.
    Present,
    /// Nothing of it should be left.
    Absent,
}

/// What is to be done now, in this order, and what is waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<Step> {
    /// Each needs the one before it: after a failure the rest is left for the next round.
    pub steps: Vec<Step>,
    /// Why the goal can't be reached now.
    pub waiting: Option<Waiting>,
    /// When to look again if nothing happens before.
    pub look_again: Option<Timestamp>,
    /// Whether a step may take long, so that the status should tell about it first. What the last attempt failed of
    /// stands while it is tried again.
    pub slow: bool,
    /// Whether the status must be right before the first step, because a later look decides by it, or because it claims
    /// what no longer holds.
    pub tell: bool,
    /// Whether there is no use in looking again at once after these steps: their effect comes as an event.
    pub last: bool,
}

impl<Step> Default for Plan<Step> {
    fn default() -> Self {
        Self { steps: Vec::new(), waiting: None, look_again: None, slow: false, tell: false, last: false }
    }
}

impl<Step> Plan<Step> {
    /// Nothing to do but to wait for this.
    #[must_use]
    pub fn wait(waiting: Waiting) -> Self {
        Self { waiting: Some(waiting), ..Self::default() }
    }

    /// These steps.
    #[must_use]
    pub fn of(steps: Vec<Step>) -> Self {
        Self { steps, ..Self::default() }
    }
}

/// Why a goal can't be reached now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The condition's reason.
    pub reason: &'static str,
    /// The condition's message: a sentence that names what is waited for.
    pub message: String,
    /// Whether it needs the user; waiting alone won't help.
    pub stalled: bool,
    /// Whether it deserves an Event, too.
    pub is_news: bool,
}

impl Waiting {
    /// It goes on by itself, or as soon as the named thing is there.
    pub fn on(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), stalled: false, is_news: true }
    }

    /// It goes on by itself, as it usually does.
    pub fn briefly(reason: &'static str, message: impl Into<String>) -> Self {
        Self { is_news: false, ..Self::on(reason, message) }
    }

    /// It needs the user.
    pub fn on_user(reason: &'static str, message: impl Into<String>) -> Self {
        Self { stalled: true, ..Self::on(reason, message) }
    }
}

/// What a step that succeeded left.
#[derive(Debug)]
pub struct Applied<Object> {
    /// The object as the apiserver has it now, where the step wrote it.
    pub object: Option<Object>,
    /// What happened to the real world, if anything did.
    pub note: Option<Note>,
}

impl<Object> Applied<Object> {
    /// Nothing that anybody should be told.
    #[must_use]
    pub fn quietly() -> Self {
        Self { object: None, note: None }
    }

    /// This happened.
    #[must_use]
    pub fn telling(reason: &'static str, message: impl Into<String>) -> Self {
        Self { object: None, note: Some(Note::normal(reason, message)) }
    }

    /// The object was written.
    #[must_use]
    pub fn wrote(object: Object) -> Self {
        Self { object: Some(object), note: None }
    }
}

/// What becomes an Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Whether something is wrong.
    pub warning: bool,
    /// One CamelCase word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

impl Note {
    /// Something went as it should.
    pub fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { warning: false, reason, message: message.into() }
    }

    /// Something is wrong.
    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { warning: true, reason, message: message.into() }
    }
}

/// All that a report is made from.
#[derive(Debug)]
pub struct Account<'a, K: Kind> {
    /// What should become of it.
    pub goal: Goal,
    /// The object.
    pub object: &'a K::Object,
    /// What was observed last; `None` if even that failed.
    pub observed: Option<&'a K::Observed>,
    /// What was planned last; `None` if nothing could be.
    pub plan: Option<&'a Plan<K::Step>>,
    /// Why the last step or observation failed.
    pub failure: Option<&'a Failure>,
    /// The time.
    pub now: Timestamp,
}

/// What is told about an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Report<Status> {
    /// The whole status.
    pub status: Status,
    /// What happened to the real world by itself, or failed.
    pub notes: Vec<Note>,
}

/// A kind: its types, and the four functions.
#[async_trait]
pub trait Kind: Send + Sync + Sized + 'static {
    /// The kind's name.
    const NAME: &'static str;

    /// The object in the API.
    type Object: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Its status.
    type Status: Serialize + Send + Sync;
    /// What is known of the world.
    type Observed: Debug + Send + Sync;
    /// One thing to do; it can be repeated, and cut off anywhere.
    type Step: Debug + Clone + PartialEq + Send + Sync;

    /// The way to the objects of a namespace; of the cluster, where the kind has none.
    fn api(client: Client, namespace: &str) -> Api<Self::Object>;

    /// Looks at the world. Changes nothing.
    async fn observe(&self, goal: Goal, object: &Self::Object) -> Result<Self::Observed, Failure>;

    /// Decides what to do. Pure: no client, clock, log or randomness. `Absent` is reached when it plans nothing and
    /// waits for nothing.
    fn plan(&self, goal: Goal, object: &Self::Object, observed: &Self::Observed) -> Plan<Self::Step>;

    /// Does one step, without any choice of its own.
    async fn apply(&self, object: &Self::Object, step: &Self::Step) -> Result<Applied<Self::Object>, Failure>;

    /// Says what there is. Pure.
    fn report(&self, account: &Account<'_, Self>) -> Report<Self::Status>;

    /// Drops what is remembered for speed about an object that is gone.
    fn forget(&self, uid: Uuid);
}
