//! Reads many objects: a page of a snapshot, or all of it.
//!
//! Nothing is copied but the bytes that go out, and large answers are made while they are sent.

use std::sync::Arc;

use apiserver_store::{Entry, Revision, Snapshot};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::selection::Selection;
use super::served::Served;
use super::token::Token;
use super::{Call, derived, get, present};
use crate::body::{full, stream};
use crate::error::{ApiError, Reason};
use crate::negotiate::{Encoding, MetaVersion, Shape};
use crate::query::{ListOptions, Match};
use crate::response::{Answer, JSON, of_type, to_bytes};
use crate::table::{IncludeObject, Printer, partial};

/// Bytes that are handed to the connection at a time.
const CHUNK: usize = 64 << 10;

/// `GET .../{plural}`
pub(crate) async fn list(call: &Call, options: &ListOptions) -> Result<Answer, ApiError> {
    let selection = Selection::new(call, options)?;
    let (snapshot, behind) = state(call, &selection, options).await?;
    let page = Page::cut(call, &selection, &snapshot, behind, options.limit);
    page.present(call)
}

/// The state of the store that the answer shows, and behind which object it begins.
pub(crate) async fn state(
    call: &Call,
    selection: &Selection,
    options: &ListOptions,
) -> Result<(Snapshot, Option<(String, String)>), ApiError> {
    let storage = call.state.storage();
    let resource = call.served.kind.resource();
    if let Some(text) = options.token.as_ref().filter(|_| !selection.is_of_one(&call.served)) {
        let token = Token::decode(text, storage.epoch())?;
        options.list_revision()?;
        let snapshot = match token.revision {
            _ if call.served.kind.behaviour.is_derived => derived::snapshot(storage, &call.served),
            Some(_) if token.epoch != storage.epoch() => return Err(token.expired(storage.epoch())),
            Some(revision) => {
                get::wait(call, Some(revision)).await?;
                storage.snapshot_at(&resource, revision).map_err(|_| token.expired(storage.epoch()))?
            }
            None => {
                get::wait(call, None).await?;
                storage.snapshot(&resource)
            }
        };
        return Ok((snapshot, Some(token.behind)));
    }
    let revision = options.list_revision()?;
    get::wait(call, revision).await?;
    let exact = match (options.matching, revision) {
        (Some(Match::Exact), revision) => revision,
        // Before `resourceVersionMatch` there was, a page of a revision meant exactly that revision.
        (None, Some(revision)) if options.limit.is_some() && revision > Revision::ZERO => Some(revision),
        _ => None,
    };
    let snapshot = match exact {
        // What is served has no history.
        _ if call.served.kind.behaviour.is_derived => derived::snapshot(storage, &call.served),
        Some(revision) => storage
            .snapshot_at(&resource, revision)
            .map_err(|_| ApiError::new(Reason::Expired, "The resourceVersion for the provided list is too old."))?,
        None => storage.snapshot(&resource),
    };
    Ok((snapshot, None))
}

/// What one answer shows.
pub(crate) struct Page {
    entries: Vec<Arc<Entry>>,
    revision: Revision,
    token: Option<String>,
    remaining: Option<usize>,
}

impl Page {
    pub(crate) fn cut(
        call: &Call,
        selection: &Selection,
        snapshot: &Snapshot,
        behind: Option<(String, String)>,
        limit: Option<usize>,
    ) -> Self {
        let limit = limit.filter(|_| !selection.is_of_one(&call.served));
        let mut found = selection.of(&call.served, snapshot, behind);
        let entries: Vec<Arc<Entry>> = found.by_ref().take(limit.unwrap_or(usize::MAX)).map(Arc::clone).collect();
        let has_more = limit.is_some() && found.next().is_some();
        let last = entries.last().filter(|_| has_more);
        let token = last.map(|last| {
            let behind = (last.key.namespace.clone(), last.key.name.clone());
            let epoch = call.state.storage().epoch();
            Token { revision: Some(snapshot.revision), epoch, behind }.encode()
        });
        let remaining = (has_more && selection.is_plain()).then(|| found.count() + 1);
        Self { entries, revision: snapshot.revision, token, remaining }
    }

    /// The objects.
    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    fn metadata(&self) -> Map<String, Value> {
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".into(), self.revision.to_string().into());
        if let Some(token) = &self.token {
            metadata.insert("continue".into(), token.clone().into());
        }
        if let Some(remaining) = self.remaining {
            metadata.insert("remainingItemCount".into(), remaining.into());
        }
        metadata
    }

    pub(crate) fn present(self, call: &Call) -> Result<Answer, ApiError> {
        let item = match call.form.shape {
            Shape::Object => Item::Object,
            Shape::PartialObject => {
                let what = "you requested PartialObjectMetadata, but the requested object is a list";
                return Err(ApiError::new(Reason::NotAcceptable, format!("{what} ({})", call.served.go_type("List"))));
            }
            Shape::PartialList => Item::Partial,
            Shape::Table => Item::Row {
                printer: Printer::new(call.served.version(), call.form.version),
                include: IncludeObject::parse(call.query.text("includeObject"))?,
                now: call.state.config.clock.now(),
            },
        };
        let (head, tail) = self.frame(&call.served, &item, call.form.version);
        let next = Some(BytesMut::from(&head[..]));
        let meta = call.form.version;
        let mut maker = Maker { next, tail, entries: self.entries, served: call.served.clone(), item, meta, place: 0 };
        if call.form.encoding == Encoding::Yaml {
            let text: Vec<u8> = std::iter::from_fn(|| maker.chunk()).flatten().collect();
            let list = serde_json::from_slice(&text).expect("a list is made of JSON");
            return present::document(call, StatusCode::OK, &list);
        }
        let first = maker.chunk().unwrap_or_default();
        // Small answers, nearly all, go out at once and with their length.
        if maker.next.is_none() {
            return Ok(of_type(StatusCode::OK, JSON, full(first)));
        }
        let rest = std::iter::once(first).chain(std::iter::from_fn(move || maker.chunk()));
        Ok(of_type(StatusCode::OK, JSON, stream(futures::stream::iter(rest.map(Ok)))))
    }

    /// What stands before and behind the items.
    fn frame(&self, served: &Served, item: &Item, meta: MetaVersion) -> (Vec<u8>, Vec<u8>) {
        let mut metadata = self.metadata();
        let (api_version, kind) = match item {
            Item::Object => (served.api_version(), served.kind.list_kind.clone()),
            Item::Partial => (meta.api_version().into(), "PartialObjectMetadataList".into()),
            Item::Row { .. } => (meta.api_version().into(), "Table".into()),
        };
        if matches!(item, Item::Object) && !served.kind.is_built_in() {
            // Lists of custom objects always have the key, as upstream's do.
            metadata.entry("continue").or_insert_with(|| "".into());
        }
        let (api_version, kind) = (to_bytes(&api_version.into()), to_bytes(&kind.into()));
        let metadata = to_bytes(&metadata.into());
        let rest = [&b"\"kind\":"[..], &kind, b",\"metadata\":", &metadata].concat();
        let start = [&b"{\"apiVersion\":"[..], &api_version].concat();
        match item {
            Item::Object | Item::Partial => {
                ([&start[..], b",\"items\":["].concat(), [&b"],"[..], &rest, b"}\n"].concat())
            }
            Item::Row { printer, .. } => {
                let columns = to_bytes(&printer.columns());
                let head = [&start[..], b",\"columnDefinitions\":", &columns, b",", &rest, b",\"rows\":["].concat();
                (head, b"]}\n".to_vec())
            }
        }
    }
}

/// What an item of a list is.
enum Item {
    Object,
    Partial,
    Row { printer: Printer, include: IncludeObject, now: Timestamp },
}

impl Item {
    fn bytes(&self, served: &Served, meta: MetaVersion, entry: &Arc<Entry>) -> [Bytes; 2] {
        let whole = |bytes: Vec<u8>| [Bytes::from(bytes), Bytes::new()];
        match self {
            Self::Object => served.item(entry),
            Self::Partial => whole(to_bytes(&partial(&served.value(entry), meta))),
            Self::Row { printer, include, now } => whole(to_bytes(&printer.row(&served.value(entry), *include, *now))),
        }
    }
}

/// Makes a list chunk by chunk.
struct Maker {
    /// What has been begun; `None` when all is made.
    next: Option<BytesMut>,
    tail: Vec<u8>,
    entries: Vec<Arc<Entry>>,
    served: Served,
    item: Item,
    meta: MetaVersion,
    place: usize,
}

impl Maker {
    fn chunk(&mut self) -> Option<Bytes> {
        let mut chunk = self.next.take()?;
        while let Some(entry) = self.entries.get(self.place) {
            if self.place > 0 {
                chunk.extend_from_slice(b",");
            }
            for part in self.item.bytes(&self.served, self.meta, entry) {
                chunk.extend_from_slice(&part);
            }
            self.place += 1;
            if chunk.len() >= CHUNK {
                self.next = Some(BytesMut::with_capacity(CHUNK));
                return Some(chunk.freeze());
            }
        }
        chunk.extend_from_slice(&self.tail);
        Some(chunk.freeze())
    }
}
