//! The body of an answer while it is sent: it holds the request's places, and goes out in parts that are small enough to
//! see whether the client takes them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::line::Pace;
use crate::body::{BoxError, ResponseBody};

/// Bytes that are handed to the connection at a time.
const PART: usize = 64 << 10;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For one part.
    pub(crate) part: Duration,
    /// For all of it; `None` for what goes on for as long as the client likes.
    pub(crate) all: Option<Duration>,
}

/// The body, with `held` until it is sent or the client is gone.
pub(crate) fn sending<H: Send + Unpin + 'static>(
    body: ResponseBody,
    pace: Option<Pace>,
    patience: Patience,
    held: H,
) -> ResponseBody {
    let until = patience.all.map(|all| Instant::now() + all);
    Sending { body, rest: Bytes::new(), pace, part: patience.part, until, _held: held }.boxed_unsync()
}

struct Sending<H> {
    body: ResponseBody,
    /// What is left of a frame.
    rest: Bytes,
    /// `None` inside the process, where nobody is slow.
    pace: Option<Pace>,
    part: Duration,
    until: Option<Instant>,
    _held: H,
}

impl<H: Unpin> Body for Sending<H> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(pace) = &mut this.pace else { return Pin::new(&mut this.body).poll_frame(context) };
        pace.taken();
        if this.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return Poll::Ready(other),
            }
        }
        let part = this.rest.split_to(this.rest.len().min(PART));
        let until = Instant::now() + this.part;
        pace.offered(this.until.map_or(until, |all| all.min(until)));
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::{End, Line};
    use super::*;
    use crate::body::full;

    const PATIENCE: Patience = Patience { part: Duration::from_secs(60), all: Some(Duration::from_secs(90)) };

    #[tokio::test]
    async fn large_answer_goes_out_in_parts_and_is_the_same() {
        let all: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        let line = Line::new();
        let mut body = sending(full(all.clone()), Some(line.begin()), PATIENCE, ());
        assert_eq!(body.size_hint().exact(), Some(200_000));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((first.len(), body.size_hint().exact()), (PART, Some(200_000 - PART as u64)));
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!([&first[..], &rest[..]].concat(), all);
        assert!(sending(full(""), Some(line.begin()), PATIENCE, ()).is_end_stream());
    }

    #[tokio::test(start_paused = true)]
    async fn client_has_a_time_for_a_part_and_one_for_all() {
        let line = Line::new();
        line.known();
        let mut body = sending(full(vec![0; 1 << 20]), Some(line.begin()), PATIENCE, ());
        let began = Instant::now();
        for _ in 0..2 {
            body.frame().await.unwrap().unwrap();
            assert!(tokio::time::timeout(Duration::from_secs(40), line.end()).await.is_err());
        }
        body.frame().await.unwrap().unwrap();
        assert_eq!(line.end().await, End::Stalled);
        assert_eq!(began.elapsed().as_secs(), 90);
    }

    #[tokio::test]
    async fn what_is_held_is_let_go_with_the_answer() {
        let (held, mut gone) = tokio::sync::oneshot::channel::<()>();
        let body = sending(full("x"), None, PATIENCE, held);
        assert!(gone.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty));
        drop(body);
        assert!(gone.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Closed));
    }
}
