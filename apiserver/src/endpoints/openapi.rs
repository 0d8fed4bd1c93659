//! `/openapi/v2` and `/openapi/v3`: what the kinds look like. Documents are made off the async threads.

use std::sync::Arc;

use http::header::{self, HeaderMap};
use http::{Response, StatusCode};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{has_tag, set, text};
use crate::body::full;
use crate::catalog::Edition;
use crate::error::ApiError;
use crate::negotiate::{DocumentForm, accept_openapi};
use crate::openapi::{Documents, PROTOBUF_TYPE, Published};
use crate::query::Query;
use crate::response::{Answer, JSON, no_such_path, of_type};

/// `/openapi/v2`
pub(super) async fn v2(edition: &Edition, headers: &HeaderMap) -> Result<Answer, ApiError> {
    let form = accept_openapi(text(headers, &header::ACCEPT))?;
    let published = made(edition, move |documents| match form {
        DocumentForm::Json => documents.v2_json(),
        DocumentForm::Protobuf => documents.v2_protobuf(),
    })
    .await?;
    let content_type = if form == DocumentForm::Json { JSON } else { PROTOBUF_TYPE };
    let mut answer = revalidated(edition, headers, &published, content_type);
    set(&mut answer, header::VARY, "Accept");
    Ok(answer)
}

/// `/openapi/v3`
pub(super) async fn index(edition: &Edition, headers: &HeaderMap) -> Result<Answer, ApiError> {
    let published = made(edition, Documents::index).await?;
    Ok(revalidated(edition, headers, &published, JSON))
}

/// `/openapi/v3/{path}`: for ever under its hash, elsewhere from there.
pub(super) async fn v3(edition: &Edition, path: &str, query: &Query) -> Result<Answer, ApiError> {
    let wanted = query.text("hash").map(str::to_owned);
    let name = path.to_owned();
    let found = made(edition, move |documents| {
        let hash = documents.v3_hash(&name)?;
        match wanted {
            Some(wanted) if wanted != hash => Some(Err(hash)),
            wanted => Some(Ok((documents.v3(&name)?, wanted.is_some()))),
        }
    })
    .await?;
    Ok(match found {
        None => no_such_path(),
        Some(Err(hash)) => {
            let mut answer = Response::new(full(""));
            *answer.status_mut() = StatusCode::MOVED_PERMANENTLY;
            set(&mut answer, header::LOCATION, &format!("/openapi/v3/{path}?hash={hash}"));
            answer
        }
        Some(Ok((published, is_pinned))) => {
            let mut answer = of_type(StatusCode::OK, JSON, full(published.body.clone()));
            set(&mut answer, header::ETAG, &format!("\"{}\"", published.hash));
            set(&mut answer, header::VARY, "Accept");
            if is_pinned {
                let year = SignedDuration::from_hours(365 * 24);
                set(&mut answer, header::CACHE_CONTROL, "public, immutable");
                set(&mut answer, header::EXPIRES, &date(edition.modified + year));
            } else {
                set(&mut answer, header::CACHE_CONTROL, "no-cache, private");
            }
            answer
        }
    })
}

/// The document, unless the client has it.
fn revalidated(edition: &Edition, headers: &HeaderMap, published: &Published, content_type: &'static str) -> Answer {
    let etag = format!("\"{}\"", published.hash);
    let modified = date(edition.modified);
    let is_known = match text(headers, &header::IF_NONE_MATCH) {
        Some(_) => has_tag(headers, &etag),
        // No two editions share a date, so the same date is the same document.
        None => text(headers, &header::IF_MODIFIED_SINCE) == Some(modified.as_str()),
    };
    let mut answer = if is_known {
        let mut unchanged = Response::new(full(""));
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        of_type(StatusCode::OK, content_type, full(published.body.clone()))
    };
    set(&mut answer, header::ETAG, &etag);
    set(&mut answer, header::LAST_MODIFIED, &modified);
    answer
}

async fn made<T: Send + 'static>(
    edition: &Edition,
    make: impl FnOnce(&Documents) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let documents: Arc<Documents> = edition.documents().openapi();
    let made = tokio::task::spawn_blocking(move || make(&documents)).await;
    made.map_err(|_| ApiError::internal("the OpenAPI document could not be made"))
}

fn date(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
