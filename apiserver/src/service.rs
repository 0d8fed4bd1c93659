//! The face to every transport: authenticates, counts, limits, and never lets a failure out as anything but a Status.
//!
//! In: a request from hyper or from this process. Out: an answer. It never knows what the request is about.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response, header};
use http_body_util::BodyExt;
use tokio::time::Instant;

use crate::access::{Identity, impersonated};
use crate::body::{BoxError, RequestBody, ResponseBody, stream};
use crate::error::{ApiError, Reason};
use crate::metrics::RequestLabels;
use crate::query::Query;
use crate::response::{self, Answer};
use crate::router::{self, Plan};
use crate::state::State;
use crate::streams::StreamPermit;
use crate::{compress, endpoints, negotiate};

/// The apiserver as a tower service: for hyper, and for a client in the same process.
#[derive(Clone)]
pub struct Service {
    state: Arc<State>,
    identity: Option<Arc<Identity>>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Service {
    pub(crate) fn new(state: Arc<State>, identity: Option<Identity>) -> Self {
        Self { state, identity: identity.map(Arc::new) }
    }
}

impl<B> tower::Service<Request<B>> for Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        Box::pin(async move { Ok(service.handle(request).await) })
    }
}

impl Service {
    async fn handle(self, request: Request<RequestBody>) -> Answer {
        let began = Instant::now();
        let state = &self.state;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if endpoints::is_health(&path) {
            return endpoints::health(state, &path, &Query::parse(request.uri().query())).await;
        }
        let plan = Plan::of(&method, &path, request.uri().query());
        let (verb, resource, is_stream) = match &plan {
            Some(plan) => (plan.verb, plan.resource(), plan.is_stream),
            None => ("", String::new(), false),
        };
        let takes_gzip = !is_stream && compress::is_wanted(request.headers());
        let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let form = negotiate::accept_error(accepted);
        let answer = self.answer(plan, request).await.unwrap_or_else(|error| response::error(&error, form));
        // What anybody may make up must not become a label.
        let is_known = answer.status().is_success() || state.catalog.edition().knows(&resource);
        let labels = RequestLabels {
            verb: verb.into(),
            resource: if is_known { resource } else { String::new() },
            code: answer.status().as_u16(),
        };
        state.metrics.answered(labels, (!is_stream).then(|| began.elapsed()));
        if method == Method::HEAD {
            return answer.map(|_| crate::body::full(""));
        }
        if takes_gzip { compress::compressed(answer).await } else { answer }
    }

    async fn answer(&self, plan: Option<Plan>, mut request: Request<RequestBody>) -> Result<Answer, ApiError> {
        let state = &self.state;
        let config = &state.config;
        let known = match &self.identity {
            Some(identity) => Arc::clone(identity),
            None => state.authenticator.authenticate(request.headers()).await?,
        };
        let who = impersonated(request.headers(), known, config.authorizer.as_ref())?;
        let Some(plan) = plan else { return Ok(response::no_such_path()) };
        let busy = |_| response::retry_later(Reason::TooManyRequests, "too many requests, please try again later.");
        if plan.is_stream {
            let permit = StreamPermit::new(Arc::clone(&state.streams).try_acquire_owned().map_err(busy)?);
            // A session outlives its answer.
            request.extensions_mut().insert(permit.clone());
            let answer = router::answer(state, &who, plan, request).await?;
            return Ok(holding(answer, permit));
        }
        let _permit = Arc::clone(&state.requests).try_acquire_owned().map_err(busy)?;
        let _counted = state.metrics.begin();
        match tokio::time::timeout(config.limits.request_timeout, router::answer(state, &who, plan, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(response::retry_later(Reason::Timeout, "the request was not finished in time")),
        }
    }
}

/// Keeps the permit for as long as the answer is being sent.
fn holding(answer: Answer, permit: StreamPermit) -> Answer {
    answer.map(|body| {
        let frames = body.into_data_stream().map(move |chunk| {
            let _held = &permit;
            chunk
        });
        stream(frames)
    })
}
