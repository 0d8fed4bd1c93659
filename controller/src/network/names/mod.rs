//! Keeps served the names of all Instances, each inside its Vpc. Like the packet filter it belongs to no object: the names
//! are made from all Vpcs and Instances as a whole.

#[cfg(test)]
mod tests;
mod zones;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use controller_backend::Zones;
use tokio::sync::Notify;

use crate::runtime::Failure;
use crate::runtime::failure::chain;
use crate::world::World;

use zones::zones;

/// How long changes gather: what comes at once is served at once.
const GATHER: Duration = Duration::from_millis(30);
/// What stopped without a word is taken up again.
const CHECK: Duration = Duration::from_secs(60);
/// The pause after a failure, the first and the longest: a network's gateway is there a moment after it is declared.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Wakes whoever serves the names.
#[derive(Debug, Default)]
pub(crate) struct NameService {
    changed: Notify,
    /// Why the last attempt failed, for people.
    trouble: Mutex<Option<String>>,
}

impl NameService {
    /// Something that the names are made from has changed.
    pub(crate) fn nudge(&self) {
        self.changed.notify_one();
    }

    /// Notes how it went; `true` if a failure is news.
    fn note(&self, failure: Option<&Failure>) -> bool {
        let text = failure.map(|failure| chain(failure));
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *trouble, text.clone()) != text && text.is_some()
    }
}

/// Serves whatever is declared, again and again. Never ends.
pub(crate) async fn run(world: &World) {
    let mut pause = Duration::ZERO;
    let mut failures = 0;
    let mut served = None;
    loop {
        tokio::select! {
            () = world.names.changed.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(pause) => served = None,
        }
        let stores = &world.stores;
        let zones = zones(&stores.vpcs.all(), &stores.instances.all(), |instance| world.owner(instance));
        if served.as_ref() == Some(&zones) {
            continue;
        }
        pause = match serve(world, &zones).await {
            Ok(()) => {
                served = Some(zones);
                failures = 0;
                world.names.note(None);
                CHECK
            }
            Err(failure) => {
                served = None;
                failures += 1;
                // A gateway that is not there yet is nothing to tell of.
                if failures > TOLERATED && world.names.note(Some(&failure)) {
                    tracing::warn!(error = chain(&failure), "names are not served everywhere, it is tried again");
                }
                PAUSES.1.min(PAUSES.0.saturating_mul(1 << failures.min(8)))
            }
        };
    }
}

/// Failures in a row before they are told of.
const TOLERATED: u32 = 4;

async fn serve(world: &World, zones: &Zones) -> Result<(), Failure> {
    world.gate.check()?;
    world.backend().names.serve(zones).await.map_err(Failure::backend("serve the names"))
}
