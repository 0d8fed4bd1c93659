//! Streams what happens to many objects, from a revision or from the present state on.
//!
//! In: list options with `watch`. Out: one JSON document a line. The client's pace is the pace: nothing is queued here
//! but one chunk; the store cuts off who is too slow.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apiserver_store::{Entry, Event, EventKind, Revision, Watch, WatchItem};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep, sleep_until};

use super::selection::Selection;
use super::served::Served;
use super::{Call, get};
use crate::body::{full, stream};
use crate::error::{ApiError, Reason};
use crate::metrics::Held;
use crate::negotiate::{Encoding, MetaVersion, Shape};
use crate::query::{self, ListOptions};
use crate::response::{Answer, JSON, of_type, to_bytes};
use crate::state::State;
use crate::table::{EventPosition, IncludeObject, Printer, partial};

/// Bytes that are handed to the connection at a time.
const CHUNK: usize = 64 << 10;
/// Seconds that a watch lasts when the client does not say: long, and not all ending at once.
const LIFETIME: std::ops::Range<u64> = 1800..3600;
/// How long before its end a watch sends a last bookmark.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// `GET .../{plural}?watch=true`
pub(crate) async fn watch(call: Call, options: ListOptions) -> Result<Answer, ApiError> {
    if call.form.encoding == Encoding::Yaml {
        return Err(ApiError::new(
            Reason::NotAcceptable,
            "only the following media types are accepted: application/json;stream=watch, \
             application/vnd.kubernetes.protobuf;stream=watch",
        ));
    }
    let selection = Selection::new(&call, &options)?;
    let form = Form::new(&call)?;
    let revision = options.revision.as_deref().map(query::revision).transpose();
    // Upstream has no reason for it.
    let revision = revision.map_err(|error| ApiError::new(Reason::Unknown, error.to_string()))?;
    let storage = call.state.storage();
    let is_ahead = options.initial_events.is_none() && revision.is_some_and(|at| at > storage.revision());
    if is_ahead {
        // What comes up to there is not shown, however long it takes.
        call.state.refresh().await?;
    } else {
        get::wait(&call, revision).await?;
    }
    let floor = revision.filter(|at| is_ahead && *at > storage.revision());

    let resource = call.served.kind.resource();
    // Without a revision, or with zero, a watch begins with the present state.
    let from_now = options.initial_events.unwrap_or_else(|| revision.is_none_or(|at| at == Revision::ZERO));
    let (present, watch) = if from_now {
        let (snapshot, watch) = storage.snapshot_and_watch(&resource);
        let present: Vec<Arc<Entry>> = selection.of(&call.served, &snapshot, None).cloned().collect();
        (Some((snapshot.revision, present)), watch)
    } else if let Some(after) = revision.filter(|at| *at > Revision::ZERO) {
        let since = call.served.edition.watchable_since(&call.served.kind);
        if after < since {
            return Ok(too_old(after, since));
        }
        match storage.watch(&resource, after.min(storage.revision())) {
            Ok(watch) => (None, watch),
            Err(expired) => return Ok(too_old(after, expired.oldest)),
        }
    } else {
        (None, storage.snapshot_and_watch(&resource).1)
    };

    let now = Instant::now();
    let end = now + options.timeout.unwrap_or_else(|| call.state.dice.seconds(LIFETIME));
    let (seen, entries) = present.unwrap_or((Revision::ZERO, Vec::new()));
    let session = Session {
        floor,
        watching: call.state.metrics.watching(resource.to_string()),
        kinds: call.state.catalog.follow(),
        served: call.served.clone(),
        present: entries.into_iter(),
        initial_end: (options.initial_events == Some(true) && options.bookmarks).then_some(seen),
        bookmark: options.bookmarks.then(|| Box::pin(sleep_until(next_bookmark(&call.state, now, end)))),
        end: Box::pin(sleep_until(end)),
        state: Arc::clone(&call.state),
        selection,
        form,
        watch,
    };
    let chunks = futures::stream::unfold(session, |mut session| async move {
        let chunk = session.next().await?;
        Some((Ok(chunk), session))
    });
    Ok(of_type(StatusCode::OK, JSON, stream(chunks)))
}

/// A revision that is no longer kept: clients expect it inside the stream.
fn too_old(after: Revision, oldest: Revision) -> Answer {
    let error = ApiError::new(Reason::Expired, format!("too old resource version: {after} ({oldest})"));
    let line = json!({"type": "ERROR", "object": error.to_status()});
    of_type(StatusCode::OK, JSON, full([&to_bytes(&line)[..], b"\n"].concat()))
}

fn next_bookmark(state: &State, now: Instant, end: Instant) -> Instant {
    let regular = now + state.config.limits.bookmark_interval;
    match end.checked_sub(LAST_BOOKMARK) {
        Some(last) if last > now => regular.min(last),
        _ => regular,
    }
}

/// One open watch.
struct Session {
    state: Arc<State>,
    served: Served,
    /// Where the client begins to look, if that is ahead of what there was.
    floor: Option<Revision>,
    selection: Selection,
    form: Form,
    watch: Watch,
    /// What is there already and not yet sent.
    present: std::vec::IntoIter<Arc<Entry>>,
    /// Set while the bookmark that ends the initial events is due.
    initial_end: Option<Revision>,
    bookmark: Option<Pin<Box<Sleep>>>,
    end: Pin<Box<Sleep>>,
    kinds: tokio::sync::watch::Receiver<()>,
    #[expect(dead_code, reason = "counts the watch as open until it is dropped")]
    watching: Held,
}

impl Session {
    /// The next bytes to send; `None` ends the watch.
    async fn next(&mut self) -> Option<Bytes> {
        let mut chunk = BytesMut::new();
        for entry in self.present.by_ref() {
            self.form.write(&mut chunk, &self.served, "ADDED", &entry, self.state.config.clock.now());
            if chunk.len() >= CHUNK {
                return Some(chunk.freeze());
            }
        }
        if let Some(revision) = self.initial_end.take() {
            self.form.write_bookmark(&mut chunk, &self.served, revision, BookmarkKind::InitialEnd);
        }
        if !chunk.is_empty() {
            return Some(chunk.freeze());
        }
        loop {
            tokio::select! {
                biased;
                () = self.state.config.shutdown.cancelled() => return None,
                Ok(()) = self.kinds.changed() => {
                    let edition = self.state.catalog.edition();
                    self.served = self.served.in_edition(&edition)?;
                }
                item = self.watch.next() => match item? {
                    WatchItem::Event(event) => {
                        self.write_event(&mut chunk, &event);
                        if !chunk.is_empty() {
                            return Some(chunk.freeze());
                        }
                    }
                    WatchItem::Progress(_) => {}
                },
                () = tick(&mut self.bookmark) => {
                    let (now, end) = (Instant::now(), self.end.deadline());
                    if let Some(bookmark) = &mut self.bookmark {
                        bookmark.as_mut().reset(next_bookmark(&self.state, now, end));
                    }
                    let revision = self.watch.progress();
                    self.form.write_bookmark(&mut chunk, &self.served, revision, BookmarkKind::Progress);
                    return Some(chunk.freeze());
                }
                () = self.end.as_mut() => return None,
            }
        }
    }

    /// What the event means to this watcher: objects enter and leave its selection.
    fn write_event(&mut self, chunk: &mut BytesMut, event: &Event) {
        if self.floor.is_some_and(|floor| event.revision <= floor) {
            return;
        }
        let is_in = event.kind != EventKind::Deleted && self.selection.contains(&self.served, &event.entry);
        let previous = event.previous.as_ref().filter(|entry| self.selection.contains(&self.served, entry));
        let now = self.state.config.clock.now();
        match (is_in, previous) {
            (true, None) => self.form.write(chunk, &self.served, "ADDED", &event.entry, now),
            (true, Some(_)) => self.form.write(chunk, &self.served, "MODIFIED", &event.entry, now),
            (false, Some(_)) if event.kind == EventKind::Deleted => {
                self.form.write(chunk, &self.served, "DELETED", &event.entry, now);
            }
            (false, Some(last)) => {
                // It left the selection: the last state that belonged, at the revision at which it left.
                let mut value = self.served.value(last);
                value["metadata"]["resourceVersion"] = event.revision.to_string().into();
                self.form.write_value(chunk, "DELETED", &value, now);
            }
            (false, None) => {}
        }
    }
}

/// Waits for the timer, or for ever without one.
async fn tick(timer: &mut Option<Pin<Box<Sleep>>>) {
    match timer {
        Some(timer) => timer.as_mut().await,
        None => std::future::pending().await,
    }
}

enum BookmarkKind {
    InitialEnd,
    Progress,
}

/// How events are written.
enum Form {
    Object,
    Partial(MetaVersion),
    Table { printer: Printer, include: IncludeObject, position: EventPosition },
}

impl Form {
    fn new(call: &Call) -> Result<Self, ApiError> {
        Ok(match call.form.shape {
            // Events show no lists, so what asks for one is given the objects.
            Shape::Object | Shape::PartialList => Self::Object,
            Shape::PartialObject => Self::Partial(call.form.version),
            Shape::Table => Self::Table {
                printer: Printer::new(call.served.version(), call.form.version),
                include: IncludeObject::parse(call.query.text("includeObject"))?,
                position: EventPosition::First,
            },
        })
    }

    fn write(&mut self, chunk: &mut BytesMut, served: &Served, kind: &str, entry: &Entry, now: Timestamp) {
        match self {
            Self::Object => write_line(chunk, kind, &served.bytes(entry)),
            _ => self.write_value(chunk, kind, &served.value(entry), now),
        }
    }

    fn write_value(&mut self, chunk: &mut BytesMut, kind: &str, object: &Value, now: Timestamp) {
        let shown = match self {
            Self::Object => to_bytes(object),
            Self::Partial(version) => to_bytes(&partial(object, *version)),
            Self::Table { printer, include, position } => {
                to_bytes(&printer.event(std::mem::replace(position, EventPosition::Later), object, *include, now))
            }
        };
        write_line(chunk, kind, &shown);
    }

    fn write_bookmark(&mut self, chunk: &mut BytesMut, served: &Served, revision: Revision, kind: BookmarkKind) {
        let mut bookmark = json!({
            "apiVersion": served.api_version(),
            "kind": served.kind.kind,
            "metadata": {"resourceVersion": revision.to_string()},
        });
        if matches!(kind, BookmarkKind::InitialEnd) {
            bookmark["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        self.write_value(chunk, "BOOKMARK", &bookmark, Timestamp::UNIX_EPOCH);
    }
}

fn write_line(chunk: &mut BytesMut, kind: &str, object: &[u8]) {
    chunk.extend_from_slice(b"{\"type\":\"");
    chunk.extend_from_slice(kind.as_bytes());
    chunk.extend_from_slice(b"\",\"object\":");
    chunk.extend_from_slice(object);
    chunk.extend_from_slice(b"}\n");
}
