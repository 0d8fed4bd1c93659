//! Makes new objects.

use apiserver_store::{Change, Expect, Write, WriteError};
use bytes::Bytes;
use http::StatusCode;

use super::served::Served;
use super::write::{Outcome, Written};
use super::{Call, not_allowed};
use crate::admission::{decode, fields, metadata, namespace};
use crate::error::{ApiError, Reason};
use crate::query::WriteOptions;
use crate::registry::convert;
use crate::response::{Answer, to_bytes};
use crate::schema;
use crate::schema::decode::Decoded;
use crate::state::State;

/// How many generated names are tried.
const NAMES: usize = 8;
/// The longest `generateName` part that is kept, so that the whole fits a DNS label.
const GENERATED_BASE: usize = 58;

/// `POST .../{plural}`
pub(crate) async fn create(call: &Call, body: Bytes) -> Result<Answer, ApiError> {
    let options = WriteOptions::parse(&call.query, "CreateOptions")?;
    let decoded = decode::object(&call.served, call.content_type.as_deref(), &body)?;
    if !call.path.name.is_empty() {
        return Err(not_allowed());
    }
    let written = make(&call.state, &call.served, &call.path.namespace, decoded, options).await?;
    written.present(call, StatusCode::CREATED)
}

/// Makes an object, wherever the wish comes from.
pub(crate) async fn make(
    state: &State,
    served: &Served,
    namespace_: &str,
    decoded: Decoded,
    options: WriteOptions,
) -> Result<Written, ApiError> {
    let Decoded { value: mut object, duplicates } = decoded;
    let kind = &served.kind;
    metadata::place(served, namespace_, &mut object)?;
    state.refresh().await?;
    namespace::check(state.storage(), served, namespace_, metadata::name(&object))?;
    if served.edition.is_terminating(kind) {
        return Err(ApiError::new(
            Reason::MethodNotAllowed,
            "create not allowed while custom resource definition is terminating",
        ));
    }

    let warnings = fields::prune(served, &mut object, &duplicates, options.validation)?;
    if served.version().status
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    let uid = state.dice.uuid();
    metadata::begin(kind, &mut object, &uid.to_string(), &state.timestamp())?;
    let mut names = Names::of(state, &object);
    names.give(&mut object)?;
    schema::object::complete(kind, served.version(), &mut object);
    metadata::drop_empty(metadata::of(&mut object)?);
    let errors = schema::object::validate(kind, served.version(), &object, None);
    if !errors.is_empty() {
        return Err(served.invalid(metadata::name(&object), &errors));
    }

    loop {
        let name = metadata::name(&object).to_owned();
        let key = served.key(namespace_, &name);
        let result = if options.dry_run {
            match state.storage().get(&key) {
                Some(_) => Err(WriteError::AlreadyExists),
                None => return Ok(Written { outcome: Outcome::Unstored(object), warnings }),
            }
        } else {
            // Asked again so late that a namespace can hardly be emptied between the answer and the write.
            namespace::check(state.storage(), served, namespace_, &name)?;
            let body = to_bytes(&convert::to_storage(kind, object.clone()));
            state.write(Write { key, expect: Expect::Absent, change: Change::Put { uid, body } }).await
        };
        match result {
            Ok(entry) => return Ok(Written { outcome: Outcome::Stored(entry), warnings }),
            Err(WriteError::AlreadyExists) if names.is_another_left() => names.give(&mut object)?,
            Err(error) => return Err(served.refused(&name, &error)),
        }
    }
}

/// The names that an object without one may get.
struct Names<'a> {
    state: &'a State,
    base: Option<String>,
    left: usize,
}

impl<'a> Names<'a> {
    fn of(state: &'a State, object: &serde_json::Value) -> Self {
        let base = object["metadata"]["generateName"].as_str().filter(|base| !base.is_empty());
        let base = base.filter(|_| metadata::name(object).is_empty());
        let base = base.map(|base| base.chars().take(GENERATED_BASE).collect());
        Self { state, base, left: NAMES }
    }

    fn is_another_left(&self) -> bool {
        self.base.is_some() && self.left > 0
    }

    fn give(&mut self, object: &mut serde_json::Value) -> Result<(), ApiError> {
        if let Some(base) = &self.base {
            self.left = self.left.saturating_sub(1);
            let name = format!("{base}{}", self.state.dice.name_suffix());
            metadata::of(object)?.insert("name".into(), name.into());
        }
        Ok(())
    }
}
