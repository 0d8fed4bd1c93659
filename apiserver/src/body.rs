//! The bodies of requests and answers, whatever transport they come over.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use http_body::{Body, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use crate::error::{ApiError, Reason};

/// Any error of a transport.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request, as the router sees it.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// The body of an answer.
pub type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// A body that is there already.
pub(crate) fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A JSON document that is there already, with the end of its line. What many share is not copied for it.
pub(crate) fn document(bytes: impl Into<Bytes>) -> ResponseBody {
    Document { parts: [bytes.into(), Bytes::from_static(b"\n")] }.boxed_unsync()
}

/// What is left of a document and of the end of its line.
struct Document {
    parts: [Bytes; 2],
}

impl Body for Document {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = self.parts.iter_mut().find(|part| !part.is_empty()).map(std::mem::take);
        Poll::Ready(next.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}

/// A body that is made while it is sent. An error cuts the connection, so that nobody takes a part for the whole.
pub(crate) fn stream(chunks: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static) -> ResponseBody {
    use futures::TryStreamExt;
    StreamBody::new(chunks.map_ok(Frame::data)).boxed_unsync()
}

/// What is read and thrown away of a body that is too large, before the answer. A client that is cut off while it
/// still sends sees a broken connection instead of the reason.
const THROWN_AWAY: usize = 32 << 20;

/// Reads a whole body, up to a limit.
pub(crate) async fn read(mut body: RequestBody, limit: usize) -> Result<Bytes, ApiError> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::bad_request("the request body could not be read"))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > limit {
            (first, rest) = (None, BytesMut::new());
            if length > limit.saturating_add(THROWN_AWAY) {
                break;
            }
            continue;
        }
        // Nearly every body is one frame: then nothing is copied.
        match (&first, rest.is_empty()) {
            (None, _) => first = Some(data),
            (Some(head), true) => {
                rest.extend_from_slice(head);
                rest.extend_from_slice(&data);
            }
            (Some(_), false) => rest.extend_from_slice(&data),
        }
    }
    if length > limit {
        let message = format!("Request entity too large: limit is {limit}");
        return Err(ApiError::new(Reason::RequestEntityTooLarge, message));
    }
    Ok(if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(sizes: &[usize]) -> RequestBody {
        let frames: Vec<Result<Bytes, BoxError>> =
            sizes.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        stream(futures::stream::iter(frames))
    }

    #[tokio::test]
    async fn a_document_ends_its_line_and_says_its_length_all_the_time() {
        let mut body = document("{}");
        for (length, part) in [(3, "{}"), (1, "\n")] {
            assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(length), false));
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), part);
        }
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }

    #[tokio::test]
    async fn body_within_the_limit_is_read_whole() {
        assert_eq!(read(chunks(&[3, 4, 1]), 8).await.unwrap().len(), 8);
        assert_eq!(read(chunks(&[]), 8).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn body_beyond_the_limit_is_refused() {
        assert_eq!(read(chunks(&[3, 4, 2]), 8).await.unwrap_err().reason, Reason::RequestEntityTooLarge);
    }
}
