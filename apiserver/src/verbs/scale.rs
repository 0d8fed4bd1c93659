//! The number of replicas of anything that has one, as an `autoscaling/v1` Scale.

use apiserver_store::Entry;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::patch::Patch;
use super::write::{Outcome, Owners, Part, Proposal, revise};
use super::{Call, apply, get, not_allowed, present};
use crate::admission::decode;
use crate::error::ApiError;
use crate::negotiate;
use crate::patch::PatchType;
use crate::query::{WriteKind, WriteOptions};
use crate::registry::Scale;
use crate::response::Answer;

/// `GET .../{name}/scale`
pub(crate) async fn get(call: &Call, paths: &Scale) -> Result<Answer, ApiError> {
    get::wait(call, None).await?;
    let entry = call.entry()?;
    present::document(call, StatusCode::OK, &scale(paths, &call.served.value(&entry)))
}

/// `PUT .../{name}/scale`
pub(crate) async fn update(call: &Call, paths: &Scale, body: Bytes) -> Result<Answer, ApiError> {
    let options = call.write_options(WriteKind::Update)?;
    let wanted = decode::any("Scale", call.content_type.as_deref(), &body)?.value;
    if wanted["kind"] != "Scale" {
        return Err(ApiError::bad_request("the object provided is unrecognized (must be of type Scale)"));
    }
    write(call, paths, &options, |_| Ok(wanted.clone())).await
}

/// `PATCH .../{name}/scale`
pub(crate) async fn patch(call: &Call, paths: &Scale, body: Bytes) -> Result<Answer, ApiError> {
    let kind = negotiate::patch(call.content_type.as_deref(), &call.served.kind)?;
    if kind == PatchType::Apply {
        let options = call.write_options(WriteKind::Apply)?;
        return own(call, paths, &body, &options).await;
    }
    let options = call.write_options(WriteKind::Patch)?;
    let patch = Patch::read(kind, &body, &options)?;
    write(call, paths, &options, |current| patch.apply(&call.served, current)).await
}

/// Owning the number of replicas is owning the field that `/scale` stands for.
async fn own(call: &Call, paths: &Scale, body: &[u8], options: &WriteOptions) -> Result<Answer, ApiError> {
    let wanted = apply::config(body)?.value;
    if wanted["kind"] != "Scale" || wanted["apiVersion"] != "autoscaling/v1" {
        return Err(ApiError::bad_request("the object provided is unrecognized (must be of type Scale)"));
    }
    let mut config = json!({"apiVersion": call.served.api_version(), "kind": call.served.kind.kind});
    for field in ["resourceVersion", "uid", "managedFields"] {
        if let Some(given) = wanted["metadata"].get(field) {
            config["metadata"][field] = given.clone();
        }
    }
    if let Some(replicas) = wanted["spec"].get("replicas") {
        set(&mut config, &paths.spec_replicas_path, replicas.clone())?;
    }
    let config = apply::Config { value: config, duplicates: Vec::new() };
    present_scale(call, paths, apply::revised(call, &config, Part::Object, options).await?)
}

async fn write(
    call: &Call,
    paths: &Scale,
    options: &WriteOptions,
    wish: impl Fn(&Value) -> Result<Value, ApiError>,
) -> Result<Answer, ApiError> {
    let written = revise(call, options, |current: &std::sync::Arc<Entry>| {
        let mut value = call.served.value(current);
        let wanted = wish(&scale(paths, &value))?;
        let replicas = wanted["spec"].get("replicas").cloned().unwrap_or_else(|| 0.into());
        set(&mut value, &paths.spec_replicas_path, replicas)?;
        if let Some(revision) = wanted["metadata"]["resourceVersion"].as_str().filter(|revision| !revision.is_empty()) {
            value["metadata"]["resourceVersion"] = revision.into();
        }
        if let Some(uid) = wanted["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty()) {
            value["metadata"]["uid"] = uid.into();
        }
        Ok(Proposal { value, part: Part::Object, owners: Owners::Followed })
    })
    .await?;
    present_scale(call, paths, written)
}

fn present_scale(call: &Call, paths: &Scale, outcome: Outcome) -> Result<Answer, ApiError> {
    let value = match outcome {
        Outcome::Stored(entry) => call.served.value(&entry),
        Outcome::Unstored(value) => value,
    };
    present::document(call, StatusCode::OK, &scale(paths, &value))
}

/// The Scale that an object shows.
pub(crate) fn scale(paths: &Scale, object: &Value) -> Value {
    let from = &object["metadata"];
    let mut metadata = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = from.get(field) {
            metadata.insert(field.into(), value.clone());
        }
    }
    let count = |path: &str| at(object, path).and_then(Value::as_i64).unwrap_or(0);
    let mut spec = json!({});
    // A missing number is no zero: upstream leaves it out.
    if let Some(replicas) = at(object, &paths.spec_replicas_path).and_then(Value::as_i64) {
        spec["replicas"] = replicas.into();
    }
    let mut status = json!({"replicas": count(&paths.status_replicas_path)});
    let selector = paths.label_selector_path.as_deref().and_then(|path| at(object, path)).and_then(Value::as_str);
    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        status["selector"] = selector.into();
    }
    json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": spec, "status": status})
}

/// Follows `.spec.replicas`.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|key| !key.is_empty()).try_fold(object, |value, key| value.get(key))
}

fn set(object: &mut Value, path: &str, to: Value) -> Result<(), ApiError> {
    let mut place = object;
    for key in path.split('.').filter(|key| !key.is_empty()) {
        if place.is_null() {
            *place = json!({});
        }
        let map = place.as_object_mut().ok_or_else(not_allowed)?;
        place = map.entry(key).or_insert(Value::Null);
    }
    *place = to;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Scale {
        Scale {
            spec_replicas_path: ".spec.replicas".into(),
            status_replicas_path: ".status.ready".into(),
            label_selector_path: Some(".status.selector".into()),
        }
    }

    #[test]
    fn scale_shows_the_numbers_at_the_declared_paths() {
        let object = json!({
            "metadata": {"name": "w", "uid": "u", "labels": {"a": "b"}},
            "spec": {"replicas": 2}, "status": {"ready": 1, "selector": "a=b"},
        });
        let shown = scale(&paths(), &object);
        assert_eq!(shown["spec"], json!({"replicas": 2}));
        assert_eq!(shown["status"], json!({"replicas": 1, "selector": "a=b"}));
        assert_eq!(shown["metadata"], json!({"name": "w", "uid": "u"}));
    }

    #[test]
    fn replicas_are_set_where_there_was_no_spec() {
        let mut object = json!({});
        set(&mut object, ".spec.replicas", 3.into()).unwrap();
        assert_eq!(object, json!({"spec": {"replicas": 3}}));
    }
}
