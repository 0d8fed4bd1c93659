//! Holds up and cuts what the controllers watch, so that they act on what was.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use tower::Service;

/// How late everything is. Cloning gives another handle on the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lag(Arc<State>);

#[derive(Debug, Default)]
struct State {
    millis: AtomicU64,
    /// Counts up with every cut.
    cuts: AtomicU64,
}

impl Lag {
    /// So many milliseconds from now on.
    pub(crate) fn set(&self, millis: u64) {
        self.0.millis.store(millis, Ordering::SeqCst);
    }

    /// Ends every watch at its next event.
    pub(crate) fn cut(&self) {
        self.0.cuts.fetch_add(1, Ordering::SeqCst);
    }
}

/// The apiserver, with the lag in every watch.
#[derive(Debug, Clone)]
pub(crate) struct Lagging<S> {
    pub(crate) inner: S,
    pub(crate) lag: Lag,
}

impl<S, B, C> Service<Request<B>> for Lagging<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    C: Body,
    S::Future: Send + 'static,
{
    type Response = Response<Late<C>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch="));
        // The Lease isn't part of the work.
        let is_work = is_watch && !request.uri().path().contains("/leases");
        let (lag, answer) = (self.lag.clone(), self.inner.call(request));
        Box::pin(async move {
            let cuts = lag.0.cuts.load(Ordering::SeqCst);
            let lag = is_work.then_some((lag, cuts));
            Ok(answer.await?.map(|inner| Late { inner: Box::pin(inner), lag, held: None }))
        })
    }
}

/// A body whose frames come late.
pub(crate) struct Late<B: Body> {
    inner: Pin<Box<B>>,
    /// What holds it up, and how often that was cut when it began; nothing for what is no watch.
    lag: Option<(Lag, u64)>,
    held: Option<Held<B>>,
}

/// A frame that has come, and until when it is held back.
struct Held<B: Body> {
    pause: Pin<Box<Sleep>>,
    frame: Result<Frame<B::Data>, B::Error>,
}

impl<B> Body for Late<B>
where
    B: Body,
    B::Data: Unpin,
    B::Error: Unpin,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        let Some((lag, cuts)) = &this.lag else { return this.inner.as_mut().poll_frame(context) };
        if this.held.is_none() {
            let frame = std::task::ready!(this.inner.as_mut().poll_frame(context));
            let Some(frame) = frame else { return Poll::Ready(None) };
            let pause = Duration::from_millis(lag.0.millis.load(Ordering::SeqCst));
            this.held = Some(Held { pause: Box::pin(tokio::time::sleep(pause)), frame });
        }
        if let Some(held) = &mut this.held {
            std::task::ready!(held.pause.as_mut().poll(context));
        }
        let frame = this.held.take().map(|held| held.frame);
        // What is held when it is cut is lost with it: who watches asks again from where it was.
        let is_cut = lag.0.cuts.load(Ordering::SeqCst) != *cuts;
        Poll::Ready(if is_cut { None } else { frame })
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.lag.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}
