//! Decides which verb answers a request for objects: method, path and the kind together.
//!
//! In: an authenticated request. Out: an answer. Paths that lead nowhere get a plain 404, as upstream's do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};

use crate::access::{Attributes, Identity, Object};
use crate::admin::Question;
use crate::admission::redaction;
use crate::body::{RequestBody, read};
use crate::error::{ApiError, Reason};
use crate::lifecycle::rules;
use crate::query::{self, ListOptions, Query};
use crate::request::Target;
use crate::response::{Answer, no_such_path, warn};
use crate::selector::field;
use crate::state::State;
use crate::verbs::write::Part;
use crate::verbs::{
    Call, create, delete, delete_collection, finalize, get, list, not_allowed, patch, scale, update, versions, watch,
};
use crate::{admin, endpoints, login, reviews, route, streams};

/// What a request is, before anything is read of it.
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) query: Query,
    pub(crate) verb: &'static str,
    /// Open for as long as the client likes.
    pub(crate) is_stream: bool,
}

impl Plan {
    /// `None` for a path that isn't one.
    pub(crate) fn of(method: &Method, path: &str, query: Option<&str>) -> Option<Self> {
        let (target, mut query) = (Target::parse(path)?, Query::parse(query));
        let Target::Resource(resource) = &target else {
            let verb = path_verb(method);
            let is_stream = Question::of(&target).is_some_and(|question| question.is_stream());
            return Some(Self { target, query, verb, is_stream });
        };
        if resource.is_watch_path {
            query.make_watch(&resource.name);
        }
        let is_watch = query.flag("watch");
        let verb = resource.verb(method, is_watch);
        let is_stream = verb == "watch" || streams::is_connect(&resource.subresource);
        Some(Self { verb, is_stream, target, query })
    }

    /// How long the client waits at most, if it says so.
    ///
    /// # Errors
    /// 400 for what is no duration.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, ApiError> {
        self.query.text("timeout").map_or(Ok(None), query::timeout)
    }

    /// Whether the answer is one of those that can be had indented. Documents that are bytes for machines aren't.
    pub(crate) fn may_be_pretty(&self) -> bool {
        !self.is_stream && !matches!(self.target, Target::Path(_))
    }

    /// The resource for the metrics.
    pub(crate) fn resource(&self) -> String {
        match &self.target {
            Target::Resource(resource) if resource.group.is_empty() => resource.plural.clone(),
            Target::Resource(resource) => format!("{}.{}", resource.plural, resource.group),
            _ => String::new(),
        }
    }
}

/// Answers an authenticated request.
pub(crate) async fn answer(
    state: &Arc<State>,
    who: &Arc<Identity>,
    plan: Plan,
    request: Request<RequestBody>,
) -> Result<Answer, ApiError> {
    let Plan { target, query, verb, .. } = plan;
    let method = request.method().clone();
    authorize(state, who, verb, &target, &query, request.uri().path())?;
    if let Some(question) = Question::of(&target) {
        return Box::pin(admin::answer(state, question, &method, &query, request)).await;
    }
    let Target::Resource(path) = target else {
        return endpoints::answer(state, &method, &target, &query, request.headers()).await;
    };
    let edition = state.catalog.edition();
    let served = match route::find(&edition, &path, verb, &method, request.headers())? {
        Some(served) => served,
        None => return Ok(no_such_path()),
    };
    let subresource = path.subresource.clone();
    let call = Call::new(Arc::clone(state), Arc::clone(who), served, path, query, request.headers())?;
    let warnings = call.warnings.clone();
    match objects(call, &subresource, verb, request).await {
        Ok(mut answer) => {
            warn(&mut answer, &warnings.said());
            Ok(answer)
        }
        Err(error) => Err(ApiError { warnings: warnings.said(), ..error }),
    }
}

/// Answers a request for objects.
async fn objects(
    call: Call,
    subresource: &str,
    verb: &str,
    mut request: Request<RequestBody>,
) -> Result<Answer, ApiError> {
    if !subresource.is_empty() && call.served.kind.connects.iter().any(|known| known == subresource) {
        return streams::connect(&call, subresource, &mut request).await;
    }
    let limit = call.state.config.limits.body_bytes;
    let body = async move |request: Request<RequestBody>| read(request.into_body(), limit).await;
    let version = call.served.version();
    match (subresource, verb) {
        ("", "get") => get::get(&call).await,
        ("", "list") => list::list(&call, &ListOptions::parse(&call.query)?).await,
        ("", "watch") if !call.served.kind.verbs.contains(&"watch") => Err(not_supported(&call, verb)),
        ("", "watch") => {
            let options = ListOptions::parse(&call.query)?;
            watch::watch(call, options).await
        }
        ("", "create") if let Some(review) = call.served.kind.review => {
            Box::pin(reviews::create(&call, review, &body(request).await?)).await
        }
        // Apart, so that reading, the most of what is asked, takes no room for them.
        ("", "create" | "update" | "patch") => {
            let body = body(request).await?;
            // A copy of the handle alone.
            let written = Box::pin(write(&call, verb, body.clone())).await;
            let hides = call.served.kind.behaviour.is_confidential;
            written.map_err(|error| if hides { redacted(&call, error, &body) } else { error })
        }
        ("", "delete") => Box::pin(delete::delete(&call, body(request).await?)).await,
        ("", "deletecollection") => {
            let options = ListOptions::parse(&call.query)?;
            delete_collection::delete_collection(&call, &options, body(request).await?).await
        }
        ("status", "get") => get::get(&call).await,
        ("status", "update") => Box::pin(update::update(&call, body(request).await?, Part::Status)).await,
        ("status", "patch") => Box::pin(patch::patch(&call, body(request).await?, Part::Status)).await,
        ("token", "create") if rules::has_api_keys(&call.served.kind) => Box::pin(login::issue_api_key(&call)).await,
        ("token", "create") => Box::pin(reviews::token_request::create(&call, &body(request).await?)).await,
        ("password", "create") => Box::pin(login::set_password(&call, &body(request).await?)).await,
        ("password", "delete") => Box::pin(login::remove_password(&call)).await,
        ("versions", "get") => Box::pin(versions::versions(&call)).await,
        ("finalize", "update") => Box::pin(finalize::finalize(&call, body(request).await?)).await,
        ("scale", _) => match (&version.scale, verb) {
            (Some(paths), "get") => scale::get(&call, paths).await,
            (Some(paths), "update") => Box::pin(scale::update(&call, paths, body(request).await?)).await,
            (Some(paths), "patch") => Box::pin(scale::patch(&call, paths, body(request).await?)).await,
            _ => Err(not_allowed()),
        },
        _ => Err(not_allowed()),
    }
}

async fn write(call: &Call, verb: &str, body: Bytes) -> Result<Answer, ApiError> {
    match verb {
        "create" => create::create(call, body).await,
        "update" => update::update(call, body, Part::Object).await,
        _ => patch::patch(call, body, Part::Object).await,
    }
}

fn redacted(call: &Call, error: ApiError, body: &[u8]) -> ApiError {
    let stored = call.state.storage().get(&call.key(&call.path.name)).map(|entry| entry.value());
    redaction::of_secret(error, body, stored.as_ref())
}

/// 405 for what the methods of a path allow and the kind does not.
fn not_supported(call: &Call, verb: &str) -> ApiError {
    let kind = &call.served.kind;
    let resource = serde_json::Value::from(kind.resource().to_string());
    let message = format!("{verb} is not supported on resources of kind {resource}");
    ApiError::new(Reason::MethodNotAllowed, message).about(&kind.group, &kind.plural, "")
}

/// Asks the rules.
///
/// # Errors
/// 403 where nothing allows it.
pub(crate) fn authorize(
    state: &State,
    who: &Identity,
    verb: &str,
    target: &Target,
    query: &Query,
    path: &str,
) -> Result<(), ApiError> {
    let selected = match target {
        // Who may look at one object may look at it in a list of one, too.
        Target::Resource(of) if of.name.is_empty() && matches!(verb, "list" | "watch") => {
            query.text("fieldSelector").and_then(field::only_name)
        }
        _ => None,
    };
    let object = match target {
        Target::Resource(of) => Object::Resource(of.attributes(selected.as_deref().unwrap_or(&of.name))),
        _ => Object::Path(path),
    };
    Attributes { verb, object }.permit(who, state.config.authorizer.as_ref())
}

/// What is done to a path that is no resource: the method in lower case.
fn path_verb(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "get",
        "HEAD" => "head",
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        "OPTIONS" => "options",
        _ => "",
    }
}
