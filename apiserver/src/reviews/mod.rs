//! Answers what is asked by creating an object: who somebody is, and what they may. Nothing is stored.
//!
//! In: a question, and who asks it. Out: the question with its answer. It decides nothing itself: [`crate::access`]
//! does.

mod access;
mod identity;
pub(crate) mod token_request;

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use crate::admission::{decode, fields, metadata};
use crate::error::ApiError;
use crate::managed_fields::{self, Scope};
use crate::query::{WriteKind, WriteOptions};
use crate::registry::Review;
use crate::response::Answer;
use crate::schema;
use crate::schema::decode::Decoded;
use crate::verbs::{Call, present};

/// `POST .../{plural}` of a kind that is a question.
pub(crate) async fn create(call: &Call, review: Review, body: &Bytes) -> Result<Answer, ApiError> {
    let (served, who) = (&call.served, &*call.who);
    decode::check_format(served, call.content_type.as_deref())?;
    let options = call.write_options(WriteKind::Create)?;
    let Decoded { value, duplicates } = decode::object(served, call.content_type.as_deref(), body)?;
    let mut question = value;
    let findings = fields::prune(served, &mut question, &duplicates, body);
    options.warnings.say(findings.judge(served, options.validation)?);
    metadata::place(served, &call.path.namespace, &mut question)?;
    schema::object::complete(&served.kind, served.version(), &mut question);
    if let Some(question) = question.as_object_mut() {
        question.remove("status");
    }
    let answer = match review {
        Review::SelfSubject => identity::myself(call, who),
        Review::SelfSubjectRules => access::rules(call, who, &question)?,
        Review::SubjectAccess | Review::LocalSubjectAccess | Review::SelfSubjectAccess => {
            let status = access::decide(call, who, review, &question)?;
            answered(call, &options, question, status)?
        }
        Review::Token => {
            let status = identity::of_token(call, &question).await?;
            answered(call, &options, question, status)?
        }
    };
    present::value(call, StatusCode::CREATED, answer)
}

/// The question as it was asked, with its answer.
fn answered(call: &Call, options: &WriteOptions, mut question: Value, status: Value) -> Result<Value, ApiError> {
    let scope = Scope::new(&call.served.kind, call.served.version(), "");
    let given = metadata::of(&mut question)?.remove("managedFields");
    let now = call.state.timestamp();
    let owners = managed_fields::create(&scope, &question, given.as_ref(), &call.author(options), &now);
    if let Some(owners) = owners {
        metadata::of(&mut question)?.insert("managedFields".into(), owners);
    }
    question["status"] = status;
    Ok(question)
}

/// The text of a field; empty where there is none.
fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of a list; none where there is none.
pub(crate) fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}
