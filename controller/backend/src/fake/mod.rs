//! The ports in memory: one engine that several installations can share, with faults on demand. It decides nothing
//! that a real engine would not; what it promises is what `conformance` checks. It never waits and never reads the
//! ambient clock, so that thousands of machines cost next to nothing and a run can be repeated exactly.

mod consoles;
mod control;
mod disk_images;
mod dump;
mod faults;
mod files;
mod firewall;
mod host_ports;
mod images;
mod machine_snapshots;
mod machines;
mod memory;
mod mounting;
mod names;
mod networks;
mod shell;
mod snapshots;
mod volumes;
mod wiring;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast;
use uuid::Uuid;

pub use faults::{Fault, FaultKind, Operation, Times};
pub use images::Program;

use crate::{Backend, Capacity, Error, Event, EventStream, Events, Host, Identity, Stillness};
use faults::{Faults, Verdict};
use world::World;

/// Events that a slow watcher may lag behind before it gets a `Resync` instead.
const EVENT_BUFFER: usize = 4096;

/// Tells the time to the fake engine.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A fake engine. Cloning gives another handle on the same one.
#[derive(Clone)]
pub struct FakeEngine {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    events: broadcast::Sender<Event>,
    clock: Option<Clock>,
    stillness: Arc<Stillness>,
}

struct State {
    world: World,
    faults: Faults,
    down: bool,
    drop_events: bool,
    double_events: bool,
}

/// The engine as one installation sees it.
#[derive(Clone)]
struct View {
    engine: FakeEngine,
    installation: Uuid,
}

impl Default for FakeEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for FakeEngine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FakeEngine").finish_non_exhaustive()
    }
}

impl FakeEngine {
    /// An empty engine whose clock moves a millisecond with every change.
    pub fn new() -> Self {
        Self::build(None)
    }

    /// An empty engine that reads the time from `clock`.
    pub fn with_clock(clock: Clock) -> Self {
        Self::build(Some(clock))
    }

    fn build(clock: Option<Clock>) -> Self {
        let (events, _) = broadcast::channel(EVENT_BUFFER);
        let state = State {
            world: World::default(),
            faults: Faults::default(),
            down: false,
            drop_events: false,
            double_events: false,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), events, clock, stillness: Arc::default() }) }
    }

    /// The ports of one installation on this engine.
    pub fn backend(&self, installation: Uuid) -> Backend {
        let view = Arc::new(View { engine: self.clone(), installation });
        Backend {
            machines: view.clone(),
            mounting: Some(view.clone()),
            networks: view.clone(),
            firewall: view.clone(),
            names: view.clone(),
            volumes: view.clone(),
            snapshots: view.clone(),
            machine_snapshots: view.clone(),
            images: view.clone(),
            disk_images: Some(view.clone()),
            files: view.clone(),
            consoles: view.clone(),
            events: view.clone(),
            host_ports: Some(Arc::new(host_ports::FakePorts::new(View { engine: self.clone(), installation }))),
            host: view,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the world from outside the ports: no fault strikes it, and its events are told.
    fn by_hand<T>(&self, effect: impl FnOnce(&mut World) -> T) -> T {
        let mut state = self.lock();
        self.tick(&mut state);
        let outcome = effect(&mut state.world);
        self.publish(&mut state);
        outcome
    }

    fn tick(&self, state: &mut State) {
        state.world.now = match &self.shared.clock {
            Some(clock) => clock(),
            None => state.world.now + SignedDuration::from_millis(1),
        };
    }

    fn publish(&self, state: &mut State) {
        let dropped = state.drop_events || state.down;
        for event in state.world.happened.drain(..) {
            if !dropped {
                // Without a watcher there is nobody to tell.
                if state.double_events {
                    let _ = self.shared.events.send(event.clone());
                }
                let _ = self.shared.events.send(event);
            }
        }
    }
}

impl View {
    /// One call of a port: counted, and struck by the faults that were asked for.
    fn perform<T>(
        &self,
        operation: Operation,
        effect: impl FnOnce(&mut World, Uuid) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut state = self.engine.lock();
        let verdict = state.faults.strike(operation);
        if state.down {
            return Err(unavailable());
        }
        if let Verdict::FailBefore(error) = verdict {
            return Err(error);
        }
        if operation.is_change() {
            self.engine.tick(&mut state);
        }
        let outcome = effect(&mut state.world, self.installation);
        self.engine.publish(&mut state);
        match verdict {
            Verdict::FailAfter(error) => Err(error),
            Verdict::Pass | Verdict::FailBefore(_) => outcome,
        }
    }
}

pub(crate) fn unavailable() -> Error {
    Error::Unavailable { what: "the engine".to_owned(), source: None }
}

impl Events for View {
    fn watch(&self) -> EventStream {
        let receiver = self.engine.shared.events.subscribe();
        let installation = self.installation;
        let first = stream::iter([Event::Resync]);
        let rest = stream::unfold(receiver, move |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(Event::Changed { owner, .. }) if owner.installation != installation => {}
                    Ok(event) => return Some((event, receiver)),
                    Err(broadcast::error::RecvError::Lagged(_)) => return Some((Event::Resync, receiver)),
                    // The view holds the sender, but the stream does not: without an engine nothing happens.
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        });
        first.chain(rest).boxed()
    }
}

#[async_trait]
impl Host for View {
    async fn identity(&self) -> Result<Identity, Error> {
        self.perform(Operation::Identity, |world, _| Ok(world.identity.clone()))
    }

    async fn reachable(&self) -> Result<(), Error> {
        self.perform(Operation::Reachable, |_, _| Ok(()))
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        self.perform(Operation::Capacity, |world, _| Ok(world.capacity))
    }
}

#[cfg(test)]
mod tests;
