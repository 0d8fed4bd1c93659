//! Makes a token for a service account (`serviceaccounts/{name}/token`): a TokenRequest is a question like the others,
//! and its answer the token.

use apiserver_store::{Key, ResourceId};
use bytes::Bytes;
use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{answered, text, texts};
use crate::access::service_account::{LONGEST_TOKEN, Reference, Wish};
use crate::admission::{decode, fields, metadata};
use crate::clock::whole_seconds;
use crate::error::ApiError;
use crate::policy::{self, Operation};
use crate::query::WriteKind;
use crate::registry::builtin;
use crate::response::Answer;
use crate::schema;
use crate::schema::decode::Decoded;
use crate::schema::words;
use crate::verbs::served::Served;
use crate::verbs::{Call, present};

const AN_HOUR: i64 = 3_600;
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;

/// `POST .../serviceaccounts/{name}/token`
pub(crate) async fn create(call: &Call, body: &Bytes) -> Result<Answer, ApiError> {
    let accounts = &call.served;
    let request = Served::stored(&call.served.edition, &builtin::token_request());
    let call = &Call { served: request, ..call.clone() };
    let served = &call.served;
    decode::check_format(served, call.content_type.as_deref())?;
    let options = call.write_options(WriteKind::Create)?;
    let Decoded { value: mut question, duplicates } = decode::object(served, call.content_type.as_deref(), body)?;
    let (namespace, name) = (&call.path.namespace, &call.path.name);
    options.warnings.say(fields::prune(served, &mut question, &duplicates, body).judge(served, options.validation)?);
    metadata::place(served, namespace, &mut question)?;
    schema::object::complete(&served.kind, served.version(), &mut question);
    let given = metadata::name(&question).to_owned();
    if !given.is_empty() && given != *name {
        let detail = "must match the service account name if specified";
        return Err(served.invalid(name, &[words::invalid("metadata.name", &given.into(), detail)]));
    }
    call.state.refresh().await?;
    let account = object(call, "serviceaccounts", name)?;

    let spec = &mut question["spec"];
    if texts(spec.get("audiences")).is_empty() {
        spec["audiences"] = json!(call.state.config.service_account_issuers.names());
    }
    if spec.get("expirationSeconds").is_none() {
        spec["expirationSeconds"] = AN_HOUR.into();
    }
    if spec.get("boundObjectRef").is_none() {
        spec["boundObjectRef"] = Value::Null;
    }
    let audiences = texts(spec.get("audiences"));
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or_default();
    let detail = match seconds {
        ..SHORTEST => Some("may not specify a duration less than 10 minutes"),
        SHORTEST..=LONGEST => None,
        _ => Some("may not specify a duration larger than 2^32 seconds"),
    };
    if let Some(detail) = detail {
        return Err(served.invalid("", &[words::invalid("spec.expirationSeconds", &seconds.into(), detail)]));
    }
    let longest = LONGEST_TOKEN.as_secs();
    if seconds > longest {
        let sentence = format!("requested expiration of {seconds} seconds shortened to {longest} seconds");
        call.warnings.say([sentence]);
        spec["expirationSeconds"] = longest.into();
    }
    let seconds = seconds.min(longest);
    let secret = bound(call, &spec["boundObjectRef"])?;

    let place = (Operation::Create, namespace.as_str());
    policy::check_use(&call.state, accounts, place, question.clone(), (&call.requester(), &call.warnings))?;
    let begins = call.state.config.clock.now();
    let ends = begins + SignedDuration::from_secs(seconds);
    let id = call.state.dice.uuid().to_string();
    let wish = Wish { namespace: namespace.clone(), account, secret, audiences, begins, ends, id };
    let Some(token) = call.state.authenticator.accounts.issue(wish) else {
        return Err(ApiError::internal("the key of the service accounts cannot sign"));
    };
    if let Some(question) = question.as_object_mut() {
        question.remove("status");
    }
    let about = metadata::of(&mut question)?;
    about.insert("name".into(), name.as_str().into());
    about.insert("creationTimestamp".into(), whole_seconds(begins).into());
    let status = json!({"token": token, "expirationTimestamp": whole_seconds(ends)});
    let answer = answered(call, &options, question, status)?;
    present::value(call, StatusCode::CREATED, answer)
}

/// The secret that the token is to be bound to, if it names one.
fn bound(call: &Call, reference: &Value) -> Result<Option<Reference>, ApiError> {
    if reference.is_null() {
        return Ok(None);
    }
    let (version, kind) = (text(reference, "apiVersion"), text(reference, "kind"));
    if kind != "Secret" || !matches!(version, "" | "v1") {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        return Err(ApiError::bad_request(format!(
            "cannot bind token to object of type {group}/{version}, Kind={kind}"
        )));
    }
    let name = text(reference, "name");
    let secret = object(call, "secrets", name)?;
    let wanted = text(reference, "uid");
    if !wanted.is_empty() && wanted != secret.uid {
        let why = format!(
            "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been \
             deleted and then recreated"
        );
        return Err(ApiError::conflict("", "Secret", name, &why));
    }
    Ok(Some(secret))
}

/// A stored object of the request's namespace.
fn object(call: &Call, plural: &str, name: &str) -> Result<Reference, ApiError> {
    let key = Key::new(ResourceId::new("", plural), &call.path.namespace, name);
    let entry = call.state.storage().get(&key).ok_or_else(|| ApiError::not_found("", plural, name))?;
    Ok(Reference { name: name.to_owned(), uid: entry.uid.to_string() })
}
