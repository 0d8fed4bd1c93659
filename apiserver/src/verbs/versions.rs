//! Tells what an object held before: which versions there are, without any value, or one of them whole.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Call, present};
use crate::access::{Attributes, Object};
use crate::error::{ApiError, Reason};
use crate::history::History;
use crate::request::Resource;
use crate::response::Answer;

/// The version of the list's own form.
const API_VERSION: &str = "thecloud.dev/v1alpha1";

/// `GET .../{name}/versions`, and `?version=N` for the object as it was then.
pub(crate) async fn versions(call: &Call) -> Result<Answer, ApiError> {
    may_read(call)?;
    let wanted = call.query.number("version")?;
    call.state.refresh().await?;
    let entry = call.entry()?;
    let history = History::of(call.state.storage(), &entry)?;
    let object = call.served.value(&entry);
    if !call.query.has("version") {
        return present::document(call, StatusCode::OK, &listed(call, &history, &object));
    }
    let number = wanted.unwrap_or_default();
    if number == history.current() {
        return present::document(call, StatusCode::OK, &object);
    }
    let older = history.older().iter().find(|older| older.version == number);
    let older = older.ok_or_else(|| not_kept(call, number))?;
    let mut then = object;
    then["data"] = older.data().into();
    // Who owns which field, and the revision, are of what is there now.
    if let Some(metadata) = then["metadata"].as_object_mut() {
        metadata.retain(|field, _| matches!(field.as_str(), "name" | "namespace" | "uid" | "creationTimestamp"));
    }
    present::document(call, StatusCode::OK, &then)
}

/// Who may not read what the object holds now may not read what it held before either.
fn may_read(call: &Call) -> Result<(), ApiError> {
    let whole = Resource { subresource: String::new(), ..call.path.clone() };
    let object = Object::Resource(whole.attributes(&whole.name));
    Attributes { verb: "get", object }.permit(&call.who, call.state.config.authorizer.as_ref())
}

/// The newest first.
fn listed(call: &Call, history: &History, object: &Value) -> Value {
    let keys = |data: &Value| data.as_object().map(|data| data.keys().cloned().collect()).unwrap_or_default();
    let item = |version: u64, created: &str, keys: Vec<String>| {
        let current = version == history.current();
        json!({"version": version, "created": created, "current": current, "keys": keys})
    };
    let made = object["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
    let current = item(history.current(), history.current_since(made), keys(&object["data"]));
    let older =
        history.older().iter().rev().map(|older| item(older.version, &older.created, keys(&older.data().into())));
    let items: Vec<Value> = std::iter::once(current).chain(older).collect();
    json!({
        "apiVersion": API_VERSION,
        "kind": format!("{}VersionList", call.served.kind.kind),
        "metadata": {"resourceVersion": object["metadata"]["resourceVersion"]},
        "items": items,
    })
}

fn not_kept(call: &Call, version: u64) -> ApiError {
    let kind = &call.served.kind;
    let message = format!("{} \"{}\" has no version {version}, or none any more", kind.plural, call.path.name);
    ApiError::new(Reason::NotFound, message).about(&kind.group, &kind.plural, &call.path.name)
}
