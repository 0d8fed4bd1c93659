//! Docker's events as the port's. Containers' events carry our labels; networks' do not, so that the networks of this
//! installation are remembered by Docker's id.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error as DockerError;
use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::{EventsOptionsBuilder, InspectNetworkOptions};
use controller_backend::{Error, Event, EventStream, Events, Happening, MachineId, MachineState, Owner};
use futures::stream::{BoxStream, select};
use futures::{StreamExt, stream};
use jiff::Timestamp;

use crate::engine::Engine;
use crate::error::translate;
use crate::{labels, machines, networks};

/// How long to wait before the next attempt to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is asked for; above all, not the three events that every health check by `exec` makes.
const MACHINE_ACTIONS: [&str; 8] = ["create", "start", "die", "oom", "pause", "unpause", "destroy", "rename"];
const NETWORK_ACTIONS: [&str; 4] = ["create", "destroy", "connect", "disconnect"];
const IMAGE_ACTIONS: [&str; 4] = ["pull", "load", "import", "tag"];

pub(crate) struct DockerEvents {
    engine: Arc<Engine>,
}

impl DockerEvents {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Events for DockerEvents {
    fn watch(&self) -> EventStream {
        let watcher =
            Watcher { engine: self.engine.clone(), connection: None, networks: HashMap::new(), pause: FIRST_PAUSE };
        stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await, watcher)) }).boxed()
    }
}

type Connection = BoxStream<'static, Result<EventMessage, DockerError>>;

struct Watcher {
    engine: Arc<Engine>,
    connection: Option<Connection>,
    networks: HashMap<String, Owner>,
    pause: Duration,
}

impl Watcher {
    async fn next(&mut self) -> Event {
        loop {
            let Some(connection) = &mut self.connection else {
                match self.connect().await {
                    Ok(connection) => {
                        self.connection = Some(connection);
                        self.pause = FIRST_PAUSE;
                        return Event::Resync;
                    }
                    Err(error) => {
                        tracing::debug!(error = %error, "docker events are not reachable");
                        self.engine.forget();
                        tokio::time::sleep(self.pause).await;
                        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                        continue;
                    }
                }
            };
            match connection.next().await {
                Some(Ok(message)) => {
                    if let Some(event) = self.event(message).await {
                        return event;
                    }
                }
                ended => {
                    let reason = ended.and_then(Result::err).map_or_else(|| "closed".to_owned(), |e| e.to_string());
                    tracing::warn!(reason, "docker events were cut off");
                    self.connection = None;
                    self.engine.forget();
                }
            }
        }
    }

    /// Docker keeps its last events, and is asked for those since it told the time: what happens between that moment
    /// and the connection is told too.
    async fn connect(&mut self) -> Result<Connection, Error> {
        let client = self.engine.client().await?;
        let failed = |error| translate("Docker", "watch Docker's events", error);
        let info = client.info().await.map_err(failed)?;
        let now: Timestamp = info
            .system_time
            .as_deref()
            .and_then(|time| time.parse().ok())
            .ok_or_else(|| Error::failed("watch Docker's events", "Docker does not tell the time"))?;
        let since = format!("{}.{:09}", now.as_second(), now.subsec_nanosecond());

        let known = networks::list(&self.engine, &[]).await?;
        self.networks = known.into_iter().map(|found| (found.network.id, found.network.owner)).collect();

        let mut machines = self.engine.filter(&[]);
        machines.insert("type".to_owned(), vec!["container".to_owned()]);
        machines.insert("event".to_owned(), MACHINE_ACTIONS.map(str::to_owned).to_vec());
        let machines = EventsOptionsBuilder::default().since(&since).filters(&machines).build();
        let wires = HashMap::from([
            ("type".to_owned(), vec!["network".to_owned(), "image".to_owned()]),
            ("event".to_owned(), NETWORK_ACTIONS.into_iter().chain(IMAGE_ACTIONS).map(str::to_owned).collect()),
        ]);
        let wires = EventsOptionsBuilder::default().since(&since).filters(&wires).build();
        // When either ends, both are made anew.
        let ended = || stream::iter([Err(DockerError::DockerStreamError { error: "closed".to_owned() })]);
        let machines = client.events(Some(machines)).chain(ended()).boxed();
        let wires = client.events(Some(wires)).chain(ended()).boxed();
        Ok(select(machines, wires).boxed())
    }

    async fn event(&mut self, message: EventMessage) -> Option<Event> {
        let actor = message.actor?;
        let action = message.action?;
        match message.typ? {
            EventMessageTypeEnum::CONTAINER => {
                let happening = match action.as_str() {
                    "create" => Happening::Created,
                    "start" => Happening::Started,
                    "die" => Happening::Died,
                    "oom" => Happening::OutOfMemory,
                    "pause" => Happening::Paused,
                    "unpause" => Happening::Unpaused,
                    "destroy" => Happening::Removed,
                    "rename" => Happening::Renamed,
                    _ => return None,
                };
                let owner = labels::owner(actor.attributes.as_ref()?)?;
                Some(Event::Changed { owner, happening })
            }
            EventMessageTypeEnum::NETWORK => {
                let id = actor.id?;
                let leaves = actor.attributes.as_ref().filter(|_| action == "disconnect");
                if let Some(container) = leaves.and_then(|attributes| attributes.get("container"))
                    && let Some(owner) = loner(&self.engine, container).await
                {
                    return Some(Event::Changed { owner, happening: Happening::Rewired });
                }
                let happening = match action.as_str() {
                    "create" => Happening::Created,
                    "destroy" => Happening::Removed,
                    "connect" | "disconnect" => Happening::Rewired,
                    _ => return None,
                };
                if happening == Happening::Removed {
                    let owner = self.networks.remove(&id)?;
                    return Some(Event::Changed { owner, happening });
                }
                if happening == Happening::Created {
                    let owner = owner_of(&self.engine, &id).await?;
                    self.networks.insert(id.clone(), owner);
                }
                let owner = self.networks.get(&id)?.clone();
                Some(Event::Changed { owner, happening })
            }
            EventMessageTypeEnum::IMAGE => IMAGE_ACTIONS.contains(&action.as_str()).then_some(Event::ImageArrived),
            _ => None,
        }
    }
}

/// Whose machine was taken out of its network while it runs: one that stops leaves it, too.
async fn loner(engine: &Engine, id: &str) -> Option<Owner> {
    let container = engine.owned(&MachineId(id.to_owned())).await.ok()?;
    let machine = machines::observe(&container)?;
    (machine.state == MachineState::Running && machine.attachment.is_none()).then_some(machine.owner)
}

/// Whose a new network is, if it is this installation's. One that is gone again needs no event: nobody saw it.
async fn owner_of(engine: &Engine, id: &str) -> Option<Owner> {
    let client = engine.client().await.ok()?;
    let network = client.inspect_network(id, None::<InspectNetworkOptions>).await.ok()?;
    let owner = labels::owner(network.labels.as_ref()?)?;
    (owner.installation == engine.installation()).then_some(owner)
}
