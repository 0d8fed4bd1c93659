//! The driver of the four steps (observe, plan, apply, report), written once for all kinds.

mod clock;
pub mod conditions;
pub(crate) mod difference;
mod driver;
pub(crate) mod failure;
pub(crate) mod identity;
mod index;
pub(crate) mod introduction;
mod kind;
pub(crate) mod leader;
mod metrics;
mod queue;
mod recorder;
mod removals;
mod restraint;
mod standing;
mod store;
mod workers;

pub use clock::{Clock, SystemClock};
pub(crate) use driver::Driver;
pub(crate) use failure::Failure;
pub(crate) use index::Entry;
pub(crate) use kind::{Account, Applied, Goal, Kind, Note, Plan, Report, Waiting};
pub use metrics::Metrics;
pub(crate) use queue::Queue;
pub(crate) use recorder::{Events, Recorder, Writer};
pub(crate) use removals::Removals;
pub(crate) use standing::{Standing, Verdicts, stand};
pub(crate) use store::{Changed, Key, Store, uid_of};
pub(crate) use workers::run as run_workers;
