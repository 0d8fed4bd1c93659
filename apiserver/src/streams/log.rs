//! `GET .../log`: what a machine has written, as plain text while it comes.

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use super::{LogOptions, StreamTarget, Streams, refused};
use crate::body::{BoxError, stream};
use crate::error::ApiError;
use crate::query::Query;
use crate::response::{Answer, of_type};
use crate::verbs::Call;

pub(super) async fn log(call: &Call, streams: &dyn Streams, target: &StreamTarget) -> Result<Answer, ApiError> {
    let options = options(&call.query, call.state.config.clock.now())?;
    let limit = options.limit_bytes.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let shutdown = call.state.config.shutdown.clone();
    let chunks = streams.log(target, options).await.map_err(|error| refused(call, &error))?;
    let chunks = chunks.take_until(shutdown.cancelled_owned());
    let chunks = bounded(chunks, limit);
    Ok(of_type(StatusCode::OK, "text/plain", stream(chunks.map_err(|error| Box::new(error) as BoxError))))
}

/// The first so many bytes; the stream ends with the last of them.
fn bounded<E>(
    chunks: impl Stream<Item = Result<Bytes, E>> + Send,
    limit: usize,
) -> impl Stream<Item = Result<Bytes, E>> + Send
where
    E: Send,
{
    let begun = (Box::pin(chunks), limit);
    futures::stream::unfold(begun, |(mut chunks, left)| async move {
        if left == 0 {
            return None;
        }
        let chunk = chunks.next().await?.map(|mut chunk: Bytes| {
            chunk.truncate(left);
            chunk
        });
        let taken = chunk.as_ref().map_or(0, Bytes::len);
        Some((chunk, (chunks, left - taken)))
    })
}

fn options(query: &Query, now: Timestamp) -> Result<LogOptions, ApiError> {
    let since = match (query.text("sinceTime"), query.number("sinceSeconds")?) {
        (Some(_), Some(_)) => {
            return Err(ApiError::bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified"));
        }
        (Some(time), None) => Some(
            time.parse()
                .map_err(|_| ApiError::bad_request("`sinceTime` must be a time such as 2026-01-02T03:04:05Z"))?,
        ),
        (None, Some(seconds)) => {
            let ago = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            Some(now.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH))
        }
        (None, None) => None,
    };
    Ok(LogOptions {
        container: query.text("container").map(str::to_owned),
        follow: query.flag("follow"),
        tail: query.number("tailLines")?,
        since,
        timestamps: query.flag("timestamps"),
        previous: query.flag("previous"),
        limit_bytes: query.number("limitBytes")?.filter(|limit| *limit > 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_count_back_from_now() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let read = options(&Query::parse(Some("follow=true&tailLines=5&sinceSeconds=60")), now).unwrap();
        assert_eq!((read.follow, read.tail), (true, Some(5)));
        assert_eq!(read.since, Some("2026-01-01T00:00:00Z".parse().unwrap()));
        assert!(options(&Query::parse(Some("sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z")), now).is_err());
    }
}
