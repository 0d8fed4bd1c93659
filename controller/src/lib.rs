//! The controllers: they make the real world match the objects of the API, one module a kind, and tell in each
//! object's status what there is.
//!
//! Every kind takes the same four steps (observe, plan, apply, report), which `runtime` drives. State is reached
//! through the Kubernetes API only, the real world through the ports of `controller-backend` only.

mod claims;
mod clients;
mod compute;
mod digests;
mod host;
mod network;
mod options;
pub mod orphans;
pub mod rights;
mod run;
mod runtime;
mod slow;
mod storage;
pub mod streams;
mod sweep;
mod wake;
mod world;

pub use host::{NAME, NAMESPACE};
pub use options::{DEFAULT_PUBLISH_RANGE, Options, PRIVATE_RANGES};
pub use run::{Error, run};
pub use runtime::identity::this_process;
pub use runtime::{Clock, Metrics, SystemClock};
