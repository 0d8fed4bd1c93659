//! The face to every transport: authenticates, counts, limits, and never lets a failure out as anything but a Status.
//!
//! In: a request from hyper or from this process. Out: an answer. It never knows what the request is about.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use tokio::time::Instant;

use crate::access::{Identity, impersonated};
use crate::audit::{Incoming, Trail};
use crate::body::{BoxError, RequestBody, ResponseBody, full, read};
use crate::error::{ApiError, Reason};
use crate::login::Peer;
use crate::metrics::RequestLabels;
use crate::places::Place;
use crate::query::Query;
use crate::response::{self, Answer};
use crate::router::{self, Plan};
use crate::serve::{Line, Patience, sending};
use crate::state::State;
use crate::streams::StreamPermit;
use crate::tenure::Tenure;
use crate::{compress, endpoints, leftover, login, negotiate, pretty};

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
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (service, state) = (self.clone(), Arc::clone(&self.state));
        let (request, leftover) = leftover::lend(request);
        Box::pin(async move {
            let answer = service.handle(request).await;
            if let Some(leftover) = leftover
                // It was waited for already.
                && answer.status() != StatusCode::GATEWAY_TIMEOUT
            {
                leftover.throw_away(state.config.limits.body_bytes).await;
            }
            Ok(answer)
        })
    }
}

impl Service {
    async fn handle(self, mut request: Request<RequestBody>) -> Answer {
        let began = Instant::now();
        let state = &self.state;
        let limits = &state.config.limits;
        let line = request.extensions_mut().remove::<Line>();
        let is_crowded = line.as_ref().is_some_and(Line::is_crowded);
        let pace = line.as_ref().map(Line::begin);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if endpoints::is_health(&path) {
            return endpoints::health(state, &path, &Query::parse(request.uri().query())).await;
        }
        if let Some(question) = login::Question::of(&path) {
            if is_crowded {
                let message = "too many requests on a connection without a login, please try again later";
                let error = response::retry_later(Reason::TooManyRequests, message);
                return response::error(&error, negotiate::Encoding::Json);
            }
            // Apart, as all that few requests need, so that reading takes no room for it.
            return Box::pin(self.log_in(question, request)).await;
        }
        let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let form = negotiate::accept_error(accepted);
        let plan = Plan::of(&method, &path, request.uri().query());
        let (verb, resource, is_stream) = match &plan {
            Some(plan) => (plan.verb, plan.resource(), plan.is_stream),
            None => ("", String::new(), false),
        };
        // A refusal can always be.
        let may_be_pretty = plan.as_ref().is_some_and(Plan::may_be_pretty);
        let is_pretty = !is_stream && pretty::is_wanted(request.headers(), &Query::parse(request.uri().query()));
        let takes_gzip = !is_stream && compress::is_wanted(request.headers());
        let mut trail = None;
        let (mut answer, held, reason) = match self.answer(plan, request, line.as_ref(), &mut trail).await {
            Ok((answer, held)) => (answer, held, None),
            Err(error) => (response::error(&error, form), Held::default(), Some(error.reason)),
        };
        if let Some(trail) = trail {
            Box::pin(trail.end(&mut answer, reason)).await;
        }
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
        let is_pretty = is_pretty && (may_be_pretty || !answer.status().is_success());
        let answer = if is_pretty { pretty::indented(answer) } else { answer };
        let answer = if takes_gzip { compress::compressed(answer).await } else { answer };
        let patience = if is_stream {
            Patience { part: limits.stream_untaken, all: None }
        } else {
            Patience { part: limits.untaken, all: Some(limits.taking_timeout) }
        };
        answer.map(|body| sending(body, pace, patience, held))
    }

    /// Answers a login, which strangers send.
    async fn log_in(&self, question: login::Question, request: Request<RequestBody>) -> Answer {
        let state = &self.state;
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let plan = Plan::of(request.method(), request.uri().path(), request.uri().query());
        let trail = match (&state.config.audit, &plan) {
            (Some(audit), Some(plan)) => audit.begin_login(incoming(plan, &request, peer)),
            _ => Ok(None),
        };
        let trail = match trail {
            Ok(trail) => trail,
            Err(error) => return response::error(&error, negotiate::Encoding::Json),
        };
        let mut answer = login::answer(state, question, request).await;
        if let Some(trail) = trail {
            trail.end_login(&mut answer).await;
        }
        answer
    }

    async fn answer(
        &self,
        plan: Option<Plan>,
        mut request: Request<RequestBody>,
        line: Option<&Line>,
        trail: &mut Option<Trail>,
    ) -> Result<(Answer, Held), ApiError> {
        let state = &self.state;
        let config = &state.config;
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let mut timeout = config.limits.request_timeout;
        if let Some(wanted) = plan.as_ref().filter(|plan| !plan.is_stream).map(Plan::timeout).transpose()?.flatten() {
            timeout = timeout.min(wanted);
        }
        let known = match &self.identity {
            Some(identity) => Arc::clone(identity),
            None => state.authenticator.authenticate(request.headers(), request.extensions().get()).await.inspect_err(
                |_| {
                    if let (Some(audit), Some(plan)) = (&config.audit, &plan) {
                        *trail = audit.begin_stranger(incoming(plan, &request, peer));
                    }
                },
            )?,
        };
        if let Some(line) = line {
            line.known();
        }
        if self.identity.is_none() && plan.is_some() {
            state.rates.count(&known)?;
        }
        let user = &known.user;
        let place = match &plan {
            // What runs in this process isn't kept out by those outside.
            _ if self.identity.is_some() => None,
            None => None,
            Some(plan) if plan.is_stream => {
                Some(state.streams.take(&known, 1).map_err(|full| full.into_error(user, "watches and sessions"))?)
            }
            Some(_) if is_reading(request.method()) => {
                Some(state.reads.take(&known, 1).map_err(|full| full.into_error(user, "requests"))?)
            }
            Some(_) => {
                let count = weight(request.body(), config.limits.body_bytes);
                Some(state.writes.take(&known, count).map_err(|full| full.into_error(user, "requests"))?)
            }
        };
        if let (Some(audit), Some(plan)) = (&config.audit, &plan) {
            *trail = match audit.begin(&known, incoming(plan, &request, peer)) {
                Ok(trail) => trail,
                Err(_) => {
                    Box::pin(audit.recovers()).await;
                    audit.begin(&known, incoming(plan, &request, peer))?
                }
            };
        }
        let who = impersonated(request.headers(), Arc::clone(&known), config.authorizer.as_ref())?;
        if let Some(trail) = trail {
            if !Arc::ptr_eq(&who, &known) {
                trail.acts_as(&who);
            }
            if trail.wants_body() {
                let (head, body) = request.into_parts();
                let body = Box::pin(read(body, config.limits.body_bytes)).await?;
                trail.brought(&head.headers, &body);
                request = Request::from_parts(head, full(body));
            }
        }
        let Some(plan) = plan else { return Ok((response::no_such_path(), Held::default())) };
        if plan.is_stream {
            // Apart, so that other requests take no room for it.
            return Box::pin(self.answer_stream((&known, &who), plan, request, place)).await;
        }
        let _counted = state.metrics.begin();
        match tokio::time::timeout(timeout, router::answer(state, &who, plan, request)).await {
            Ok(answer) => Ok((answer?, Held { _request: place, ..Held::default() })),
            Err(_) => {
                let message = "Timeout: request did not complete within the allotted timeout";
                Err(ApiError { shows_details: true, ..ApiError::new(Reason::Timeout, message) })
            }
        }
    }

    async fn answer_stream(
        &self,
        (known, who): (&Arc<Identity>, &Arc<Identity>),
        plan: Plan,
        mut request: Request<RequestBody>,
        place: Option<Place>,
    ) -> Result<(Answer, Held), ApiError> {
        // What runs in this process has what it has.
        let tenure = self.identity.is_none().then(|| Tenure::of(&self.state, &plan, &request, (known, who)));
        let permit = place.map(StreamPermit::new);
        if let Some(permit) = &permit {
            // A session outlives its answer.
            request.extensions_mut().insert(permit.clone());
        }
        let answer = router::answer(&self.state, who, plan, request).await?;
        let answer = match (&permit, tenure) {
            (Some(permit), Some(tenure)) => tenure.begin(&self.state, permit, answer),
            _ => answer,
        };
        Ok((answer, Held { _stream: permit, ..Held::default() }))
    }
}

fn incoming<'a>(plan: &'a Plan, request: &'a Request<RequestBody>, peer: Option<IpAddr>) -> Incoming<'a> {
    Incoming { plan, uri: request.uri(), headers: request.headers(), peer }
}

/// What an answer holds until it is sent.
#[derive(Default)]
struct Held {
    _request: Option<Place>,
    _stream: Option<StreamPermit>,
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The places that a body needs: what is made of it may take many times its size.
fn weight(body: &RequestBody, limit: usize) -> usize {
    const BYTES_PER_PLACE: usize = 128 << 10;
    let bytes = body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(limit);
    1 + bytes.min(limit) / BYTES_PER_PLACE
}
