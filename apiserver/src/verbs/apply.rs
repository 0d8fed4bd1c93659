//! Server-side apply: makes the object that isn't there, or merges into the one that is.

use http::StatusCode;
use serde_json::Value;

use super::write::{Owners, Part, Proposal, Written, revise};
use super::{Call, create};
use crate::admission::{decode, metadata};
use crate::error::{ApiError, FieldErrorKind, Reason};
use crate::managed_fields::{self, Scope, Wish};
use crate::query::{WriteOptions, invalid_options};
use crate::response::Answer;
use crate::schema::decode::{Decoded, yaml};

/// What somebody applies, as it came.
pub(super) type Config = Decoded;

/// `PATCH` with `application/apply-patch+yaml`.
pub(super) async fn apply(call: &Call, body: &[u8], part: Part, options: &WriteOptions) -> Result<Answer, ApiError> {
    let mut config = config(body)?;
    decode::check(&call.served, &config.value, body)?;
    let name = &call.path.name;
    if part == Part::Object {
        // Only a status may be applied without saying whose.
        let metadata = metadata::of(&mut config.value)?;
        let given = metadata.entry("name").or_insert_with(|| name.as_str().into());
        if given != name.as_str() {
            let given = given.as_str().unwrap_or_default().to_owned();
            return Err(ApiError::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
    }
    if part == Part::Object {
        loop {
            call.state.refresh().await?;
            if call.state.storage().get(&call.key(name)).is_some() {
                break;
            }
            match made(call, &config, options).await {
                // Somebody else was faster: there is something to merge into.
                Err(error) if error.reason == Reason::AlreadyExists => {}
                made => return made?.present(call, StatusCode::CREATED),
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

fn required(options: &WriteOptions) -> Result<(), ApiError> {
    if options.manager.is_some() {
        return Ok(());
    }
    let message = "Required value: is required for apply patch";
    Err(invalid_options("PatchOptions", "fieldManager", FieldErrorKind::Required, message))
}

async fn made(call: &Call, config: &Config, options: &WriteOptions) -> Result<Written, ApiError> {
    required(options)?;
    // Who may change what is there may not yet make what is not.
    call.permit("create")?;
    if let Some(uid) = config.value["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty()) {
        let why = format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
        return Err(ApiError::conflict(&call.served.kind.group, &call.served.kind.plural, &call.path.name, &why));
    }
    let value = merged(call, None, config, options)?;
    let wish =
        create::Wish { decoded: Decoded { value, duplicates: config.duplicates.clone() }, owners: Owners::Settled };
    create::make(&call.state, &call.served, &call.path.namespace, wish, options, &call.author(options)).await
}

/// Merges into the object that is there.
pub(super) async fn revised(
    call: &Call,
    config: &Config,
    part: Part,
    options: &WriteOptions,
) -> Result<Written, ApiError> {
    required(options)?;
    revise(call, options, |current| {
        let value = merged(call, Some(&call.served.value(current)), config, options)?;
        decode::check(&call.served, &value, b"")?;
        Ok(Proposal { value, duplicates: config.duplicates.clone(), part, owners: Owners::Settled })
    })
    .await
}

fn merged(call: &Call, live: Option<&Value>, config: &Config, options: &WriteOptions) -> Result<Value, ApiError> {
    let scope = Scope::new(&call.served.kind, call.served.version(), &call.path.subresource);
    let author = call.author(options);
    let wish = Wish { config: &config.value, author: &author, force: options.force.unwrap_or(false) };
    managed_fields::apply(&scope, live, &wish, &call.state.timestamp())
}
