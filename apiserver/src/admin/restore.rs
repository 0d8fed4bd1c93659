//! `POST /admin/v1/restore`: puts a backup in the place of everything. Nothing happens before all of it has come and
//! its checksum is right; then all of it at once. The process that serves starts anew afterwards.

use std::sync::Arc;
use std::time::Duration;

use apiserver_store::seal::{KeyId, SealError, SealKey};
use apiserver_store::{Restore, RestoreError, Source};
use bytes::{Buf, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::format::{Header, read_header, read_object, read_trailer};
use super::occupied;
use crate::body::RequestBody;
use crate::error::{ApiError, Reason};
use crate::query::Query;
use crate::response::{Answer, json};
use crate::state::{State, store_unavailable};

/// The header with the content of the key file, its lines parted by spaces, that the backup's Secrets are sealed with, where it isn't the server's.
const KEY: &str = "thecloud-backup-key";
/// The longest line: the largest object, sealed and in base64, with room to spare.
const LINE: usize = 16 << 20;
/// How long the next piece may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// By how much revisions go on at least, and how many may have been given each second since the backup.
const ADVANCE: u64 = 1_000_000;
const ADVANCE_A_SECOND: u64 = 1_000;
/// Greater revisions than this would not be whole numbers to every client.
const NEWEST: u64 = 1 << 52;

/// Restores a backup.
pub(super) async fn put_back(
    state: &Arc<State>,
    query: &Query,
    request: Request<RequestBody>,
) -> Result<Answer, ApiError> {
    let (parts, body) = request.into_parts();
    let mut lines = Lines::new(body);
    let restored = restore(state, query, &parts.headers, &mut lines).await;
    if restored.is_err() {
        // A client that is cut off while it still sends sees a broken connection instead of the reason.
        lines.drain().await;
    }
    restored
}

async fn restore(
    state: &Arc<State>,
    query: &Query,
    headers: &HeaderMap,
    lines: &mut Lines,
) -> Result<Answer, ApiError> {
    let keys = other_keys(headers)?;
    state.refresh().await?;
    let export = state.storage().export();
    let (few, count) = occupied::somebodys(&export);
    if count > 0 && !query.flag("force") {
        let more = if count > few.len() { ", ..." } else { "" };
        return Err(ApiError::new(
            Reason::Conflict,
            format!(
                "the store is not empty: a restore would replace {count} objects ({}{more}); to do that, take a backup \
                 of them and restore with force",
                few.join(", ")
            ),
        ));
    }
    let first = lines.next().await?.ok_or_else(|| refused("the backup is empty"))?;
    let header = read_header(&first).map_err(refused)?;
    let own = state.storage().master_keys().map(|keys| keys.known).unwrap_or_default();
    check_key(&header, &own, &keys)?;
    drop(export);
    let mut restore = state.storage().restore(&keys).await.map_err(|error| failed(&error))?;
    let objects = take_all(lines, &mut restore).await?;

    let source = source(&header, state.config.clock.now())?;
    tracing::info!(objects, revision = header.revision, taken = header.taken, "a backup is restored");
    // Begun, it is brought to its end, whether somebody waits or not.
    let committing = state.config.tasks.spawn(restore.commit(source));
    let meta =
        committing.await.map_err(|_| ApiError::internal("the restore was cut off"))?.map_err(|error| failed(&error))?;
    Ok(json(
        StatusCode::OK,
        &json!({
            "kind": "Restored",
            "objects": objects,
            "installation": meta.installation,
            "resourceVersion": meta.revision.to_string(),
            "taken": header.taken,
        }),
    ))
}

/// Hands every object on, and makes sure that they are all there are. Returns how many there were.
async fn take_all(lines: &mut Lines, restore: &mut Restore) -> Result<usize, ApiError> {
    let mut objects = 0;
    loop {
        let Some(line) = lines.next().await? else {
            return Err(refused(format!("the backup is cut off after {objects} objects: it has no last line")));
        };
        if let Some(end) = read_trailer(&line) {
            let end = end.map_err(refused)?;
            if end.objects != objects || end.sha256 != lines.digest_before_last() {
                return Err(refused("the backup is damaged: its checksum is another one"));
            }
            if lines.next().await?.is_some() {
                return Err(refused("the backup goes on after its last line"));
            }
            return Ok(objects);
        }
        objects += 1;
        let incoming = read_object(&line).map_err(|why| refused(format!("object {objects} of the backup: {why}")))?;
        restore.put(incoming).await.map_err(|error| failed(&error))?;
    }
}

fn source(header: &Header, now: Timestamp) -> Result<Source, ApiError> {
    if header.revision > NEWEST {
        return Err(refused("the backup's revision is out of range"));
    }
    let taken: Timestamp = header.taken.parse().map_err(|_| refused("the backup doesn't say when it was taken"))?;
    let age = u64::try_from(now.duration_since(taken).as_secs()).unwrap_or(0);
    Ok(Source {
        installation: header.installation,
        revision: apiserver_store::Revision(header.revision),
        advance: age.saturating_mul(ADVANCE_A_SECOND).clamp(ADVANCE, NEWEST),
        note: format!("a backup of {} (revision {}) was restored", header.taken, header.revision),
    })
}

fn other_keys(headers: &HeaderMap) -> Result<Vec<SealKey>, ApiError> {
    let Some(value) = headers.get(KEY) else { return Ok(Vec::new()) };
    let text = value.to_str().map_err(|_| refused("the key file is no text"))?;
    SealKey::parse_all(text).map_err(|why| refused(format!("the key file does not hold a key: {why}")))
}

/// Tells early what would be found out at the first Secret.
fn check_key(header: &Header, own: &[KeyId], others: &[SealKey]) -> Result<(), ApiError> {
    let Some(needed) = &header.sealed_with else { return Ok(()) };
    let listed = |ids: Vec<KeyId>| ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>();
    let (own, others) = (listed(own.to_vec()), listed(others.iter().map(SealKey::id).collect()));
    if own.iter().chain(&others).any(|id| *id == format!("`{needed}`")) {
        return Ok(());
    }
    let given = if others.is_empty() {
        format!("this server has the key {}", if own.is_empty() { "`none`".to_owned() } else { own.join(", ") })
    } else {
        format!("the key file given is of the key {}", others.join(", "))
    };
    Err(refused(format!(
        "the Secrets of this backup are sealed with the key `{needed}`, and {given}: give the key file (`secret.key`) of \
         the installation that the backup is from"
    )))
}

fn refused(why: impl Into<String>) -> ApiError {
    ApiError::bad_request(why)
}

fn failed(error: &RestoreError) -> ApiError {
    match error {
        RestoreError::Busy | RestoreError::NewKeys => ApiError::new(Reason::Conflict, error.to_string()),
        RestoreError::Sealed { source: SealError::UnknownKey { .. }, .. }
        | RestoreError::Malformed { .. }
        | RestoreError::Ahead { .. } => refused(format!("the backup can't be restored: {error}")),
        RestoreError::Sealed { source, .. } => refused(format!("the backup can't be restored: {error}: {source}")),
        RestoreError::Store(error) => {
            tracing::error!(error = error as &dyn std::error::Error, "a restore failed");
            store_unavailable()
        }
    }
}

/// The lines of a body, and the digest of what was read.
struct Lines {
    body: RequestBody,
    buffer: BytesMut,
    digest: Sha256,
    last: BytesMut,
    is_over: bool,
}

impl Lines {
    fn new(body: RequestBody) -> Self {
        Self { body, buffer: BytesMut::new(), digest: Sha256::new(), last: BytesMut::new(), is_over: false }
    }

    /// The next line with its end; `None` after the last. What has no end is no line.
    async fn next(&mut self) -> Result<Option<BytesMut>, ApiError> {
        let mut searched = 0;
        loop {
            if let Some(place) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(searched + place + 1);
                self.digest.update(&self.last);
                self.last = line.clone();
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if searched > LINE {
                return Err(refused("a line of the backup is too long"));
            }
            if self.is_over {
                return if self.buffer.has_remaining() { Err(refused("the backup is cut off")) } else { Ok(None) };
            }
            self.more().await?;
        }
    }

    /// The SHA-256 of every line but the last.
    fn digest_before_last(&self) -> String {
        self.digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    async fn more(&mut self) -> Result<(), ApiError> {
        match tokio::time::timeout(PATIENCE, self.body.frame()).await {
            Err(_) => Err(refused("the backup stopped coming")),
            Ok(None) => {
                self.is_over = true;
                Ok(())
            }
            Ok(Some(Err(_))) => Err(refused("the backup could not be read to its end")),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    self.buffer.extend_from_slice(&data);
                }
                Ok(())
            }
        }
    }

    /// Reads the rest and throws it away.
    async fn drain(&mut self) {
        while !self.is_over && self.more().await.is_ok() {
            self.buffer.clear();
        }
    }
}
