//! What is kept of a request until it is answered, and whether it is let in at all: one that is to be logged isn't while
//! the log can't be written.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri, header};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Audit;
use super::event::{self, ANONYMOUS, Answered, Asked, UNAUTHENTICATED};
use super::policy::Level;
use super::writer::Failure;
use crate::access::Identity;
use crate::error::{ApiError, Reason};
use crate::negotiate::{self, BodyFormat};
use crate::request::Target;
use crate::response::Answer;
use crate::router::Plan;
use crate::schema::decode;

/// The most of a body that is logged.
const BODY: usize = 64 << 10;
/// What web servers log of a request whose client has gone.
const CLIENT_LEFT: u16 = 499;
/// How long a request waits for the log. The next attempt comes sooner.
const RECOVERY: Duration = Duration::from_millis(500);
/// Refusals of strangers that are logged in a second: nobody can fill the log without being known.
const STRANGERS: u32 = 10;

/// A request that is logged when it is answered, or when nobody waits for the answer any more.
#[derive(Debug)]
pub(crate) struct Trail {
    audit: Arc<Audit>,
    request: Option<Box<Request>>,
}

#[derive(Debug)]
struct Request {
    level: Level,
    id: Uuid,
    verb: &'static str,
    target: Target,
    uri: Uri,
    agent: String,
    peer: Option<IpAddr>,
    user: Option<Arc<Identity>>,
    acts_as: Option<Arc<Identity>>,
    body: Option<Value>,
    is_stream: bool,
    received: Timestamp,
    annotations: Map<String, Value>,
}

/// A request as it came.
#[derive(Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) peer: Option<IpAddr>,
}

/// Put on an answer: the name of the object, or of the user who logs in, where the path doesn't say it.
#[derive(Debug, Clone)]
pub(crate) struct Named(pub(crate) String);

impl Audit {
    /// What is to be kept of a request of somebody who is known. `None` for one that isn't logged.
    ///
    /// # Errors
    /// 507 or 503 while the log can't be written.
    pub(crate) fn begin(
        self: &Arc<Self>,
        user: &Arc<Identity>,
        incoming: Incoming<'_>,
    ) -> Result<Option<Trail>, ApiError> {
        let level = self.level(user, incoming);
        if level == Level::None {
            return Ok(None);
        }
        if let Some(failure) = self.standing.failure() {
            return Err(self.refusal(&failure));
        }
        Ok(Some(self.trail(level, Some(Arc::clone(user)), incoming)))
    }

    fn level(&self, user: &Identity, Incoming { plan, uri, .. }: Incoming<'_>) -> Level {
        self.policy.level(user, plan.verb, &plan.target, uri.path())
    }

    /// 507 where the disk is full, as for the store, and else 503.
    fn refusal(&self, failure: &Failure) -> ApiError {
        let folder = self.folder.path().display();
        if failure.is_full {
            let message = format!(
                "the disk that the audit log in {folder} is on is full, so nothing is done that it should tell of; it goes on \
                 when there is room again"
            );
            return ApiError::new(Reason::InsufficientStorage, message);
        }
        let message = format!(
            "the audit log in {folder} can't be written ({}), so nothing is done that it should tell of; it goes on when it can",
            failure.text
        );
        crate::response::retry_later(Reason::ServiceUnavailable, &message)
    }

    /// Waits a moment for the log to be written again: whoever made room isn't refused any more.
    pub(crate) async fn recovers(&self) {
        let recovered = self.standing.recovered.notified();
        if self.standing.failure().is_some() {
            let _ = tokio::time::timeout(RECOVERY, recovered).await;
        }
    }

    /// What is to be kept of a request of a stranger, which is refused.
    pub(crate) fn begin_stranger(self: &Arc<Self>, incoming: Incoming<'_>) -> Option<Trail> {
        if self.level(&nobody(), incoming) == Level::None {
            return None;
        }
        if self.standing.failure().is_some() {
            // It is refused anyhow, and nobody waits for a line that can't be written.
            self.strangers().miss();
            return None;
        }
        let unheard = self.strangers().take(self.clock.now())?;
        let mut trail = self.trail(Level::Metadata, None, incoming);
        trail.went_unheard(unheard);
        Some(trail)
    }

    /// What is to be kept of a login.
    ///
    /// # Errors
    /// 507 or 503 while the log can't be written.
    pub(crate) fn begin_login(self: &Arc<Self>, incoming: Incoming<'_>) -> Result<Option<Trail>, ApiError> {
        if self.level(&nobody(), incoming) == Level::None {
            return Ok(None);
        }
        if let Some(failure) = self.standing.failure() {
            return Err(self.refusal(&failure));
        }
        Ok(Some(self.trail(Level::Metadata, None, incoming)))
    }

    fn trail(self: &Arc<Self>, level: Level, user: Option<Arc<Identity>>, incoming: Incoming<'_>) -> Trail {
        let Incoming { plan, uri, headers, peer } = incoming;
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let request = Request {
            level,
            id: Uuid::new_v4(),
            verb: plan.verb,
            target: plan.target.clone(),
            uri: uri.clone(),
            agent: agent.to_owned(),
            peer,
            user,
            acts_as: None,
            body: None,
            is_stream: plan.is_stream,
            received: self.clock.now(),
            annotations: Map::new(),
        };
        Trail { audit: Arc::clone(self), request: Some(Box::new(request)) }
    }
}

impl Trail {
    /// Writes it down, and waits until the system has it. The answer tells by which id the line is found.
    pub(crate) async fn end(mut self, answer: &mut Answer, reason: Option<Reason>) {
        let Some(request) = self.request.take() else { return };
        if let Ok(id) = HeaderValue::from_str(&request.id.to_string()) {
            answer.headers_mut().insert("audit-id", id);
        }
        let status = answer.status();
        let answered = Answered {
            code: status.as_u16(),
            reason,
            name: answer.extensions().get::<Named>().map(|named| named.0.clone()),
            is_stream: request.is_stream && status.is_success() || status.is_informational(),
            at: self.audit.clock.now(),
        };
        self.audit.log(request.event(&answered)).await;
    }

    /// Writes a login down, with the user that it was for if there is one. What was typed for a name may be a password.
    pub(crate) async fn end_login(mut self, answer: &mut Answer) {
        if !answer.status().is_success() {
            let now = self.audit.clock.now();
            let taken = self.audit.strangers().take(now);
            let Some(unheard) = taken else {
                self.request = None;
                return;
            };
            self.went_unheard(unheard);
        }
        if let Some(Named(user)) = answer.extensions().get() {
            self.annotate("login", user.clone());
        }
        self.end(answer, None).await;
    }

    /// Refusals before this one weren't logged, as there were too many.
    fn went_unheard(&mut self, count: u64) {
        if count > 0 {
            self.annotate("refusals-not-logged", count.to_string());
        }
    }

    /// Whether the body is to be logged.
    pub(crate) fn wants_body(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.level >= Level::Request && !request.is_stream)
    }

    /// The user acts as somebody else.
    pub(crate) fn acts_as(&mut self, who: &Arc<Identity>) {
        if let Some(request) = &mut self.request {
            request.acts_as = Some(Arc::clone(who));
        }
    }

    fn annotate(&mut self, name: &str, value: String) {
        if let Some(request) = &mut self.request {
            request.annotations.insert(format!("thecloud.dev/{name}"), value.into());
        }
    }

    /// What the request brought.
    pub(crate) fn brought(&mut self, headers: &HeaderMap, body: &Bytes) {
        if body.is_empty() {
            return;
        }
        if body.len() > BODY {
            self.annotate("request-object", format!("{} bytes, too many to be logged", body.len()));
            return;
        }
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let decoded = match negotiate::body(content_type) {
            Ok(BodyFormat::Protobuf) => decode::protobuf(body),
            // An apply is YAML, of which JSON is a part; all other patches are JSON.
            Ok(BodyFormat::Yaml) | Err(_) => decode::yaml(body),
            Ok(BodyFormat::Json) => decode::json(body),
        };
        if let Some(request) = &mut self.request {
            request.body = decoded.ok().map(|decoded| decoded.value);
        }
    }
}

impl Drop for Trail {
    /// The client has gone. What it asked for may have been done all the same.
    fn drop(&mut self) {
        self.annotate("outcome", "the client left before it was answered: it may have been done".to_owned());
        let Some(request) = self.request.take() else { return };
        let at = self.audit.clock.now();
        let left = Answered { code: CLIENT_LEFT, reason: None, name: None, is_stream: false, at };
        self.audit.log_later(request.event(&left));
    }
}

impl Request {
    fn event(self, answered: &Answered) -> String {
        let asked = Asked {
            level: self.level,
            id: self.id,
            verb: self.verb,
            target: &self.target,
            uri: self.uri.path_and_query().map_or("", |path| path.as_str()),
            agent: &self.agent,
            peer: self.peer,
            user: self.user.as_deref(),
            acts_as: self.acts_as.as_deref(),
            body: self.body,
            received: self.received,
            annotations: self.annotations,
        };
        event::of_request(asked, answered)
    }
}

fn nobody() -> Identity {
    Identity { user: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Identity::default() }
}

/// How many refusals of strangers are still logged in this second, and how many weren't since the last that was.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    second: i64,
    taken: u32,
    unheard: u64,
}

impl Allowance {
    /// One isn't logged.
    fn miss(&mut self) {
        self.unheard += 1;
    }

    /// Takes one, and says how many went unheard before it. `None` if there is none left.
    fn take(&mut self, now: Timestamp) -> Option<u64> {
        if self.second != now.as_second() {
            (self.second, self.taken) = (now.as_second(), 0);
        }
        if self.taken >= STRANGERS {
            self.miss();
            return None;
        }
        self.taken += 1;
        Some(std::mem::take(&mut self.unheard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_fill_the_log() {
        let mut allowance = Allowance::default();
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let logged = (0..100).filter(|_| allowance.take(now).is_some()).count();
        assert_eq!(logged, 10);
        let later = "2026-01-01T00:00:01Z".parse().unwrap();
        assert_eq!(allowance.take(later), Some(90));
        assert_eq!(allowance.take(later), Some(0));
    }
}
