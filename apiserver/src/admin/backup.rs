//! `GET /admin/v1/backup`: everything at one revision, while it is written to as ever.

use std::sync::Arc;

use apiserver_store::{Content, Entry, Export};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use sha2::{Digest, Sha256};

use super::format::{End, FORMAT, Header, Trailer, VERSION, write_object};
use crate::body::{BoxError, stream};
use crate::error::ApiError;
use crate::query::Query;
use crate::response::{Answer, of_type, to_bytes};
use crate::state::State;

/// Bytes that are sent at once, at least.
const CHUNK: usize = 64 << 10;

/// Begins a backup.
pub(super) async fn take(state: &Arc<State>, query: &Query) -> Result<Answer, ApiError> {
    let is_plain = match query.text("secrets") {
        None | Some("sealed") => false,
        Some("plain") => true,
        Some(other) => {
            return Err(ApiError::bad_request(format!("secrets: `{other}` is neither `sealed` nor `plain`")));
        }
    };
    state.refresh().await?;
    let export = state.storage().export();
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        installation: export.installation,
        epoch: export.epoch,
        revision: export.revision.0,
        taken: state.timestamp(),
        product: state.config.version.product.clone(),
        sealed_with: export.key.filter(|_| !is_plain).map(|key| key.to_string()),
    };
    tracing::info!(revision = header.revision, objects = export.len(), is_plain, "a backup is taken");
    let lines = Lines::new(export, &header, is_plain);
    Ok(of_type(StatusCode::OK, "application/x-ndjson", stream(futures::stream::iter(lines))))
}

/// Makes a backup chunk by chunk.
struct Lines {
    export: Export,
    entries: Box<dyn Iterator<Item = Arc<Entry>> + Send>,
    is_plain: bool,
    next: Option<BytesMut>,
    digest: Sha256,
    objects: usize,
}

impl Lines {
    fn new(export: Export, header: &Header, is_plain: bool) -> Self {
        let mut first = BytesMut::new();
        first.extend_from_slice(&to_bytes(&serde_json::to_value(header).expect("a header is made of strings")));
        first.extend_from_slice(b"\n");
        // The maps are shared, not copied.
        let maps: Vec<_> = export.resources.iter().map(|(_, entries)| entries.clone()).collect();
        let entries = Box::new(maps.into_iter().flat_map(|map| map.iter().cloned().collect::<Vec<_>>()));
        Self { export, entries, is_plain, next: Some(first), digest: Sha256::new(), objects: 0 }
    }

    fn chunk(&mut self, mut chunk: BytesMut) -> Result<Bytes, BoxError> {
        while chunk.len() < CHUNK {
            let Some(entry) = self.entries.next() else {
                self.digest.update(&chunk);
                let sha256 = self.digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
                let trailer = Trailer { end: End { objects: self.objects, sha256 } };
                chunk.extend_from_slice(&serde_json::to_vec(&trailer)?);
                chunk.extend_from_slice(b"\n");
                return Ok(chunk.freeze());
            };
            let content =
                if self.is_plain { Content::Plain(entry.body.clone()) } else { self.export.content(&entry)? };
            chunk.extend_from_slice(&write_object(&entry.key, entry.uid, entry.revision, &content));
            self.objects += 1;
        }
        self.digest.update(&chunk);
        self.next = Some(BytesMut::with_capacity(CHUNK));
        Ok(chunk.freeze())
    }
}

impl Iterator for Lines {
    type Item = Result<Bytes, BoxError>;

    fn next(&mut self) -> Option<Self::Item> {
        let begun = self.next.take()?;
        Some(self.chunk(begun))
    }
}
