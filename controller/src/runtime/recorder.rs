//! Writes Events: one for each thing that happened, with a name made from what it says, so that a repeated one is
//! found again and counted, also by the next process. In the background: telling never delays doing; and with restraint:
//! what goes round in circles is not told for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::clock::Clock;
use super::conditions::whole_seconds;
use super::failure::{chain, is_already_exists, is_not_found};
use super::kind::Note;
use super::restraint::Restraint;

/// How many Events may wait to be written; beyond, new ones are dropped.
const BACKLOG: usize = 4096;
/// How many Events' counts are remembered.
const REMEMBERED: usize = 4096;
/// What the Events are said to come from.
pub(crate) const COMPONENT: &str = "the-cloud-controller";
/// The longest message that the API takes.
const LONGEST_MESSAGE: usize = 1024;

/// Takes what happened. Cloning shares the writer.
#[derive(Clone)]
pub struct Recorder {
    pub(crate) queue: Events,
    /// Under whose account it is told.
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What waits for the writer.
pub(crate) type Events = mpsc::Sender<(Client, Event)>;

pub(crate) struct Writer {
    queue: mpsc::Receiver<(Client, Event)>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Tells that this happened to the object. Never waits.
    pub fn tell<K: Resource<DynamicType = ()>>(&self, object: &K, note: Note) {
        let event = event(object, note, Time(whole_seconds(self.clock.now())));
        if self.queue.try_send((self.client.clone(), event)).is_err() {
            tracing::debug!("an event was dropped: too many are waiting");
        }
    }
}

fn event<K: Resource<DynamicType = ()>>(object: &K, note: Note, now: Time) -> Event {
    let mut message = note.message;
    if message.len() > LONGEST_MESSAGE {
        let mut end = LONGEST_MESSAGE - 3;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push_str("...");
    }
    let meta = object.meta();
    let uid = meta.uid.clone().unwrap_or_default();
    let digest = Sha256::digest(format!("{uid}\n{}\n{}\n{message}", note.warning, note.reason));
    let suffix: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = object.name_any();
    let namespace = meta.namespace.clone().unwrap_or_else(|| "default".to_owned());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{suffix}")),
            namespace: Some(namespace),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: Some(name),
            namespace: meta.namespace.clone(),
            uid: Some(uid),
            resource_version: None,
            field_path: None,
        },
        type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(note.reason.to_owned()),
        message: Some(message),
        count: Some(1),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
        reporting_component: Some(COMPONENT.to_owned()),
        ..Event::default()
    }
}

impl Writer {
    /// A writer that must run, and where its recorders put what they tell.
    pub(crate) fn new() -> (Events, Self) {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        (sender, Self { queue: receiver })
    }

    /// Writes what is told. Ends when every recorder is gone.
    pub(crate) async fn run(mut self) {
        let mut counts = BTreeMap::new();
        let mut restraint = Restraint::default();
        while let Some((client, event)) = self.queue.recv().await {
            if counts.len() >= REMEMBERED {
                counts.clear();
            }
            let now = event.last_timestamp.as_ref().map_or(jiff::Timestamp::UNIX_EPOCH, |time| time.0);
            if !restraint.allows(event.involved_object.uid.as_deref().unwrap_or_default(), now) {
                // It is counted all the same, and told with the next of its like.
                if let Some(count) = counts.get_mut(&key(&event)) {
                    *count = i32::saturating_add(*count, 1);
                }
                tracing::debug!(reason = event.reason, "an event was not written: too many about one object");
                continue;
            }
            let api = Api::namespaced(client, event.metadata.namespace.as_deref().unwrap_or_default());
            if let Err(error) = write(&api, &event, &mut counts).await {
                // A namespace that is going refuses new objects: nobody misses the event.
                tracing::debug!(error = chain(&error), "an event could not be written");
            }
        }
    }
}

fn key(event: &Event) -> (String, String) {
    (event.namespace().unwrap_or_default(), event.name_any())
}

async fn write(
    api: &Api<Event>,
    event: &Event,
    counts: &mut BTreeMap<(String, String), i32>,
) -> Result<(), kube::Error> {
    let name = event.name_any();
    let key = key(event);
    let known = match counts.get(&key) {
        Some(count) => Some(*count),
        None => match api.create(&PostParams::default(), event).await {
            Ok(_) => {
                counts.insert(key, 1);
                return Ok(());
            }
            Err(error) if is_already_exists(&error) => api.get(&name).await?.count,
            Err(error) => return Err(error),
        },
    };
    let count = known.unwrap_or(1).saturating_add(1);
    let patch = Patch::Merge(json!({"count": count, "lastTimestamp": event.last_timestamp}));
    match api.patch(&name, &PatchParams::default(), &patch).await {
        Ok(_) => {
            counts.insert(key, count);
            Ok(())
        }
        // It has expired meanwhile: the thing is told anew.
        Err(error) if is_not_found(&error) => {
            counts.remove(&key);
            api.create(&PostParams::default(), event).await.map(|_| ())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    #[test]
    fn what_says_the_same_has_the_same_name_and_a_long_message_is_cut() {
        let object = ConfigMap {
            metadata: ObjectMeta { name: Some("web".to_owned()), uid: Some("u".to_owned()), ..ObjectMeta::default() },
            ..ConfigMap::default()
        };
        let now = || Time(jiff::Timestamp::UNIX_EPOCH);
        let first = event(&object, Note::normal("Started", "Started."), now());
        let again = event(&object, Note::normal("Started", "Started."), now());
        let other = event(&object, Note::normal("Started", "é".repeat(2000)), now());
        assert_eq!(first.metadata.name, again.metadata.name);
        assert_ne!(first.metadata.name, other.metadata.name);
        assert!(other.message.unwrap().len() <= LONGEST_MESSAGE);
    }
}
