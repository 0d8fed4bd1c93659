//! Server-side apply: makes the object that isn't there, or merges into the one that is.

use http::StatusCode;
use serde_json::Value;

use super::write::{Outcome, Owners, Part, Proposal, revise};
use super::{Call, create};
use crate::admission::{decode, fields, metadata};
use crate::error::{ApiError, Reason};
use crate::managed_fields::{self, Scope, Wish};
use crate::query::WriteOptions;
use crate::response::Answer;
use crate::schema::decode::{Decoded, MAX_DEPTH, is_too_deep, yaml};

/// What somebody applies, as it came.
pub(super) type Config = Decoded;

/// `PATCH` with `application/apply-patch+yaml`.
pub(super) async fn apply(call: &Call, body: &[u8], part: Part, options: &WriteOptions) -> Result<Answer, ApiError> {
    let config = config(body)?;
    check_type(call, &config.value)?;
    let name = &call.path.name;
    if part == Part::Object {
        loop {
            call.state.refresh().await?;
            if call.state.storage().get(&call.key(name)).is_some() {
                break;
            }
            match made(call, &config, options).await {
                // Somebody else was faster: there is something to merge into.
                Err(error) if error.reason == Reason::AlreadyExists => {}
                made => return made?.present_made(call).await,
            }
        }
    }
    revised(call, &config, part, options).await?.present(call, StatusCode::OK)
}

/// Reads the body of an apply.
pub(super) fn config(body: &[u8]) -> Result<Config, ApiError> {
    yaml(body).map_err(|error| match error.reason {
        Reason::BadRequest => ApiError::bad_request(format!("error decoding YAML: {}", error.message)),
        _ => error,
    })
}

/// Refuses what is none of the kind, or nests too deep to be looked at.
fn check_type(call: &Call, config: &Value) -> Result<(), ApiError> {
    if is_too_deep(config) {
        return Err(ApiError::bad_request(format!("the object nests deeper than {MAX_DEPTH} levels")));
    }
    let text = |field: &str| config[field].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if version == call.served.api_version() && kind == call.served.kind.kind {
        return Ok(());
    }
    let slash = if version.contains('/') { "" } else { "/" };
    Err(ApiError::bad_request(format!("invalid object type: {slash}{version}, Kind={kind}")))
}

async fn made(call: &Call, config: &Config, options: &WriteOptions) -> Result<Outcome, ApiError> {
    // Who may change what is there may not yet make what is not.
    call.permit("create")?;
    if let Some(uid) = config.value["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty()) {
        let why = format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
        return Err(ApiError::conflict(&call.served.kind.group, &call.served.kind.plural, &call.path.name, &why));
    }
    let mut value = merged(call, None, config, options)?;
    metadata::place(&call.served, &call.path.namespace, &mut value)?;
    metadata::check_name(&value, &call.path.name)?;
    // As with a replacement of nothing, there is no state that it could be based on.
    metadata::of(&mut value)?.remove("resourceVersion");
    let wish = create::Wish { value, owners: Owners::Settled };
    create::make(&call.state, &call.served, &call.path.namespace, wish, options, &call.author(options)).await
}

/// Merges into the object that is there.
pub(super) async fn revised(
    call: &Call,
    config: &Config,
    part: Part,
    options: &WriteOptions,
) -> Result<Outcome, ApiError> {
    revise(call, options, |current| {
        let value = merged(call, Some(&call.served.value(current)), config, options)?;
        decode::check(&call.served, &value, b"")?;
        Ok(Proposal { value, part, owners: Owners::Settled })
    })
    .await
}

/// What the object becomes.
fn merged(call: &Call, live: Option<&Value>, config: &Config, options: &WriteOptions) -> Result<Value, ApiError> {
    let scope = Scope::new(&call.served.kind, call.served.version(), &call.path.subresource);
    let author = call.author(options);
    let wish = Wish { config: &config.value, author: &author, force: options.force };
    let mut value = managed_fields::apply(&scope, live, &wish, &call.state.timestamp())?;
    let findings = fields::prune(&call.served, &mut value, &config.duplicates, b"");
    options.warnings.say(findings.judge(&call.served, options.validation)?);
    Ok(value)
}
