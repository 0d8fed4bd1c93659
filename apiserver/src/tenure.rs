//! Decides when what somebody has open (a watch, a log, a session) is closed because they may not have it any more: what let
//! them in was taken back, or what allowed it.
//!
//! In: who asked for what. Out: the end of it, a moment later. It never closes anything because a token's time is over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::access::{CameIn, ClientCertificate, Identity};
use crate::body::{BoxError, RequestBody, ResponseBody};
use crate::query::Query;
use crate::request::Target;
use crate::response::Answer;
use crate::router::{self, Plan};
use crate::state::State;
use crate::streams::{self, StreamPermit};

/// Who has something open, and what it is.
pub(crate) struct Tenure {
    came: CameIn,
    /// Whom they stand for, where that is somebody else.
    acts_as: Option<Arc<Identity>>,
    verb: &'static str,
    target: Target,
    query: Query,
    path: String,
}

impl Tenure {
    /// `known` is who came in, and `who` they are to be answered as.
    pub(crate) fn of(
        state: &State,
        plan: &Plan,
        request: &Request<RequestBody>,
        (known, who): (&Arc<Identity>, &Arc<Identity>),
    ) -> Self {
        let certificate = request.extensions().get::<ClientCertificate>();
        Self {
            came: state.authenticator.came_in(known, request.headers(), certificate),
            acts_as: (!Arc::ptr_eq(known, who)).then(|| Arc::clone(who)),
            verb: plan.verb,
            target: plan.target.clone(),
            query: plan.query.clone(),
            path: request.uri().path().to_owned(),
        }
    }

    /// Looks every now and then, for as long as the permit is held, and closes what it is for once it has to be. The answer
    /// that is given back ends then, too.
    pub(crate) fn begin(self, state: &Arc<State>, permit: &StreamPermit, answer: Answer) -> Answer {
        let (over, revoked) = (permit.over(), permit.revoked());
        let looking = Arc::clone(state);
        state.config.tasks.spawn(async move {
            let ends = async {
                loop {
                    tokio::time::sleep(looking.config.limits.tenure_interval).await;
                    if !self.goes_on(&looking).await {
                        return;
                    }
                }
            };
            if over.run_until_cancelled(ends).await.is_some() {
                tracing::info!(path = self.path, "a stream was closed, as who has it may not any more");
                revoked.cancel();
            }
        });
        let revoked = Box::pin(permit.revoked().cancelled_owned());
        answer.map(|body| Until { body, revoked }.boxed_unsync())
    }

    async fn goes_on(&self, state: &State) -> bool {
        let Some(now) = state.authenticator.still(&self.came).await else { return false };
        let who = self.acts_as.as_ref().unwrap_or(&now);
        let may = |verb| router::authorize(state, who, verb, &self.target, &self.query, &self.path).is_ok();
        let is_session = matches!(&self.target, Target::Resource(of) if streams::is_session(&of.subresource));
        may(self.verb) && (!is_session || may("create"))
    }
}

/// A body that ends early where it has to.
struct Until {
    body: ResponseBody,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Body for Until {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.revoked.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
