//! Decides what becomes of a body that nobody has read when the answer is there: it is read and thrown away, up to a bound.
//! A client that is cut off while it still sends sees a broken connection instead of the refusal.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::body::{BoxError, RequestBody};
use crate::serve::Line;

/// For what a client still sends. The answer waits as long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a body comes back that was not read to its end.
pub(crate) struct Leftover(Arc<Mutex<Option<RequestBody>>>);

/// The request with a body that comes back, if there is any. Who waits to be told before sending it sends none, and a stranger
/// who asks for much is not waited for.
pub(crate) fn lend<B>(request: Request<B>) -> (Request<RequestBody>, Option<Leftover>)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let is_crowded = request.extensions().get().is_some_and(Line::is_crowded);
    if is_crowded || request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return (request.map(boxed), None);
    }
    let left = Arc::default();
    let lent = request.map(|body| Lent { body: Some(body), left: Arc::clone(&left) }.boxed_unsync());
    (lent, Some(Leftover(left)))
}

impl Leftover {
    /// Reads what is left, up to so many bytes.
    pub(crate) async fn throw_away(self, limit: usize) {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(body) = left {
            // Apart, as few requests need it.
            let _too_slow = Box::pin(tokio::time::timeout(PATIENCE, read(body, limit))).await;
        }
    }
}

async fn read(mut body: RequestBody, limit: usize) {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len);
        if length > limit {
            break;
        }
    }
}

fn boxed<B>(body: B) -> RequestBody
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

struct Lent<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    body: Option<B>,
    left: Arc<Mutex<Option<RequestBody>>>,
}

impl<B> Body for Lent<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> Drop for Lent<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(boxed(body));
        }
    }
}
