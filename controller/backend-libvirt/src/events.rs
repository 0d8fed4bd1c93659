//! libvirt's domain events as the port's. An event names a domain and not its marks, so that the owners of this
//! installation's domains are remembered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use controller_backend::{Error, Event, EventStream, Events, Happening, Owner};
use futures::{StreamExt, stream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use uuid::Uuid;
use virt::domain::Domain;
use virt_sys as sys;

use crate::engine::{CallError, Connection, Engine, all_owned};
use crate::event_loop::{self, Told};
use crate::marks;

/// How long to wait before the next attempt to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct LibvirtEvents {
    engine: Arc<Engine>,
}

impl LibvirtEvents {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

impl Events for LibvirtEvents {
    fn watch(&self) -> EventStream {
        let watcher = Watcher { engine: self.engine.clone(), line: None, owners: HashMap::new(), pause: FIRST_PAUSE };
        stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await, watcher)) }).boxed()
    }
}

struct Watcher {
    engine: Arc<Engine>,
    line: Option<Line>,
    owners: HashMap<Uuid, Owner>,
    pause: Duration,
}

/// A connection that tells.
struct Line {
    told: UnboundedReceiver<Told>,
    connection: Arc<Connection>,
}

impl Drop for Line {
    /// Closing may wait for an answer.
    fn drop(&mut self) {
        let connection = self.connection.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(connection));
        }
    }
}

impl Watcher {
    async fn next(&mut self) -> Event {
        loop {
            let Some(line) = &mut self.line else {
                match self.connect().await {
                    Ok(line) => {
                        self.line = Some(line);
                        self.pause = FIRST_PAUSE;
                        return Event::Resync;
                    }
                    Err(error) => {
                        tracing::debug!(error = %error, "libvirt's events are not reachable");
                        tokio::time::sleep(self.pause).await;
                        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                        continue;
                    }
                }
            };
            match line.told.recv().await {
                Some(Told::Lifecycle { domain, event, detail }) => {
                    if let Some(event) = self.event(domain, event, detail).await {
                        return event;
                    }
                }
                Some(Told::Unplugged { domain }) => {
                    if let Some(owner) = self.owners.get(&domain) {
                        return Event::Changed { owner: owner.clone(), happening: Happening::Unplugged };
                    }
                }
                Some(Told::MemoryTaken { domain }) => {
                    if let Some(owner) = self.owners.get(&domain) {
                        return Event::Changed { owner: owner.clone(), happening: Happening::MemoryTaken };
                    }
                }
                Some(Told::Closed) | None => {
                    tracing::warn!("libvirt's events were cut off");
                    self.line = None;
                }
            }
        }
    }

    /// Listens first and looks then: what happens in between is told.
    async fn connect(&mut self) -> Result<Line, Error> {
        let engine = self.engine.clone();
        let made = tokio::task::spawn_blocking(move || {
            let connection = Arc::new(engine.connect_anew()?);
            let (tell, told) = unbounded_channel();
            let failed = |error: virt::error::Error| Error::failed("watch libvirt's events", error);
            event_loop::watch(&connection, &tell).map_err(failed)?;
            let mut owners = HashMap::new();
            for owned in all_owned(&connection, engine.installation()).map_err(looked)? {
                let uuid = owned.domain.get_uuid().map_err(failed)?;
                owners.insert(uuid, owned.marks.owner);
            }
            Ok::<_, Error>((Line { told, connection }, owners))
        });
        let (line, owners) = made.await.map_err(|error| Error::failed("watch libvirt's events", error))??;
        self.owners = owners;
        Ok(line)
    }

    async fn event(&mut self, domain: Uuid, event: u32, detail: u32) -> Option<Event> {
        let happening = match event {
            sys::VIR_DOMAIN_EVENT_DEFINED if detail == sys::VIR_DOMAIN_EVENT_DEFINED_ADDED => Happening::Created,
            sys::VIR_DOMAIN_EVENT_STARTED => Happening::Started,
            sys::VIR_DOMAIN_EVENT_STOPPED => Happening::Died,
            sys::VIR_DOMAIN_EVENT_SUSPENDED => Happening::Paused,
            sys::VIR_DOMAIN_EVENT_RESUMED => Happening::Unpaused,
            sys::VIR_DOMAIN_EVENT_UNDEFINED => Happening::Removed,
            _ => return None,
        };
        if happening == Happening::Removed {
            let owner = self.owners.remove(&domain)?;
            return Some(Event::Changed { owner, happening });
        }
        if happening == Happening::Created {
            let owner = self.owner_of(domain).await?;
            self.owners.insert(domain, owner);
        }
        let owner = self.owners.get(&domain)?.clone();
        Some(Event::Changed { owner, happening })
    }

    /// Whose a new domain is, if it is this installation's. One that is gone again needs no event: nobody saw it.
    async fn owner_of(&self, domain: Uuid) -> Option<Owner> {
        let installation = self.engine.installation();
        let read = move |connection: &Connection| marks::read(&Domain::lookup_by_uuid(connection, domain)?);
        let marks = self.engine.call("machine", "look whose a machine is", read).await.ok()??;
        (marks.owner.installation == installation).then_some(marks.owner)
    }
}

fn looked(error: CallError) -> Error {
    match error {
        CallError::Libvirt(error) => Error::failed("look at the machines", error),
        CallError::NotOurs => Error::not_found("machine"),
        CallError::Told(error) => error,
    }
}
