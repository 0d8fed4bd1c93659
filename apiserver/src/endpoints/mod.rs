//! What is asked about the server itself: which kinds there are, what they look like, how it is.

mod discovery;
mod health;
mod issuer;
mod openapi;
mod root;

use std::sync::{Arc, OnceLock};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;

use crate::body::full;
use crate::discovery as documents;
use crate::error::ApiError;
use crate::openapi as schemas;
use crate::query::Query;
use crate::registry::Registry;
use crate::request::Target;
use crate::response::{Answer, JSON, no_such_path, of_type};
use crate::state::State;
use crate::verbs::not_allowed;

pub(crate) use health::{health, is_health};

/// The documents made of one edition of the kinds, each when it is first asked for.
#[derive(Debug)]
pub(crate) struct Documents {
    registry: Arc<Registry>,
    api: OnceLock<documents::Document>,
    apis: OnceLock<documents::Document>,
    openapi: OnceLock<Arc<schemas::Documents>>,
}

impl Documents {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        let registry = Arc::clone(registry);
        Self { registry, api: OnceLock::new(), apis: OnceLock::new(), openapi: OnceLock::new() }
    }

    fn api(&self) -> &documents::Document {
        self.api.get_or_init(|| documents::aggregated_api(&self.registry))
    }

    fn apis(&self) -> &documents::Document {
        self.apis.get_or_init(|| documents::aggregated_apis(&self.registry))
    }

    fn openapi(&self) -> Arc<schemas::Documents> {
        let make = || Arc::new(schemas::Documents::new(Arc::clone(&self.registry)));
        Arc::clone(self.openapi.get_or_init(make))
    }
}

/// Answers everything that is no resource.
pub(crate) async fn answer(
    state: &Arc<State>,
    method: &Method,
    target: &Target,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Answer, ApiError> {
    let parts: Vec<&str> = match target {
        Target::Path(parts) => parts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let is_known = !matches!(target, Target::Path(_))
        || matches!(parts.as_slice(), [""] | ["version"] | ["metrics"] | ["openapi", "v2"] | ["openapi", "v3", ..])
        || issuer::is_known(state, &parts);
    if let [health, check] = parts.as_slice()
        && let Some(answer) = health::one_check(state, health, check).await
    {
        return Ok(answer);
    }
    if !is_known {
        return Ok(no_such_path());
    }
    if method != Method::GET && method != Method::HEAD {
        return Err(not_allowed());
    }
    let edition = state.catalog.edition();
    match (target, parts.as_slice()) {
        (Target::Path(_), [""]) => Ok(pretty(&root::paths(&edition.registry))),
        (Target::Path(_), ["version"]) => Ok(pretty(&state.config.version.document())),
        (Target::Path(_), ["metrics"]) => {
            Ok(of_type(StatusCode::OK, crate::metrics::CONTENT_TYPE, full(state.metrics.text())))
        }
        (Target::Path(_), issuer::DISCOVERY) => Ok(issuer::discovery(state)),
        (Target::Path(_), issuer::KEYS) => Ok(issuer::keys(state)),
        (Target::Path(_), ["openapi", "v2"]) => openapi::v2(&edition, headers).await,
        (Target::Path(_), ["openapi", "v3"]) => openapi::index(&edition, headers).await,
        (Target::Path(_), ["openapi", "v3", path @ ..]) => openapi::v3(&edition, &path.join("/"), query).await,
        _ => discovery::answer(&edition, target, headers),
    }
}

/// What people look at is always indented, as upstream's is.
fn pretty(document: &Value) -> Answer {
    of_type(StatusCode::OK, JSON, full(format!("{document:#}")))
}

/// One header of a request, if it is text.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Sets a header of an answer.
fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// Whether the client has this very document already.
fn has_tag(headers: &HeaderMap, etag: &str) -> bool {
    text(headers, &header::IF_NONE_MATCH)
        .is_some_and(|known| known.split(',').map(str::trim).any(|known| known == etag || known == "*"))
}
