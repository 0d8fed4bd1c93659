//! Makes new objects.

use apiserver_store::{Change, Expect, Write, WriteError};
use bytes::Bytes;
use serde_json::Value;

use super::Call;
use super::served::Served;
use super::write::{Outcome, Owners};
use crate::access::users;
use crate::admission::{decode, escalation, fields, metadata, namespace};
use crate::error::{ApiError, Reason};
use crate::managed_fields::{self, Author, Scope};
use crate::policy;
use crate::query::{WriteKind, WriteOptions};
use crate::quota::{Charged, Failure, Judged};
use crate::registry::convert;
use crate::response::{Answer, to_bytes};
use crate::schema;
use crate::state::State;

/// How many generated names are tried.
const NAMES: usize = 8;
/// The longest `generateName` part that is kept, so that the whole fits a DNS label.
const GENERATED_BASE: usize = 58;

/// `POST .../{plural}`
pub(crate) async fn create(call: &Call, body: Bytes) -> Result<Answer, ApiError> {
    decode::check_format(&call.served, call.content_type.as_deref())?;
    let options = call.write_options(WriteKind::Create)?;
    let mut decoded = decode::object(&call.served, call.content_type.as_deref(), &body)?;
    let findings = fields::prune(&call.served, &mut decoded.value, &decoded.duplicates, &body);
    options.warnings.say(findings.judge(&call.served, options.validation)?);
    let author = call.author(&options);
    let wish = Wish { value: decoded.value, owners: Owners::Followed };
    let written = make(&call.state, &call.served, &call.path.namespace, wish, &options, &author).await?;
    written.present_made(call).await
}

/// What somebody wants to be there: an object without unknown fields.
pub(crate) struct Wish {
    pub(crate) value: Value,
    pub(crate) owners: Owners,
}

impl From<Value> for Wish {
    fn from(value: Value) -> Self {
        Self { value, owners: Owners::Followed }
    }
}

/// Makes an object, wherever the wish comes from.
pub(crate) async fn make(
    state: &State,
    served: &Served,
    namespace_: &str,
    wish: Wish,
    options: &WriteOptions,
    author: &Author,
) -> Result<Outcome, ApiError> {
    let Wish { value: mut object, owners } = wish;
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

    options.warnings.say(metadata::drop_repeated_owners(metadata::of(&mut object)?, ""));
    if served.version().status
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    let uid = state.dice.uuid();
    let now = state.timestamp();
    let revision = metadata::begin(kind, &mut object, &uid.to_string(), &now)?;
    let given_name = metadata::name(&object).to_owned();
    let mut names = Names::of(state, &object);
    names.give(&mut object)?;
    schema::object::complete(kind, served.version(), &mut object);
    let given = metadata::of(&mut object)?.remove("managedFields");
    metadata::drop_empty(metadata::of(&mut object)?);
    let fields = match owners {
        Owners::Settled => given,
        Owners::Followed => {
            let scope = Scope::new(kind, served.version(), &author.subresource);
            managed_fields::create(&scope, &object, given.as_ref(), author, &now)
        }
    };
    let mut errors = schema::object::validate(kind, served.version(), &object, None);
    errors.extend(policy::refusals(state, served, &object, options.by.as_ref()));
    errors.extend(users::refusals(state, kind, (&object, None), options.by.as_ref()));
    if !errors.is_empty() {
        return Err(served.invalid(metadata::name(&object), &errors));
    }
    escalation::check(state, served, &object, None, options.by.as_ref())?;
    options.warnings.say(schema::object::doubts(kind, &object, None));
    if let Some(fields) = fields {
        metadata::of(&mut object)?.insert("managedFields".into(), fields);
    }
    if !options.dry_run && revision.is_some_and(|revision| revision.parse().is_ok_and(|revision: u64| revision > 0)) {
        // Upstream has no better reason for it either.
        let message = "resourceVersion should not be set on objects to be created";
        return Err(ApiError::new(Reason::Unknown, message));
    }

    loop {
        policy::check_create(state, served, (namespace_, &given_name), &object, options)?;
        let name = metadata::name(&object).to_owned();
        let key = served.key(namespace_, &name);
        let body = to_bytes(&convert::to_storage(kind, object.clone()));
        let write = Write { key, expect: Expect::Absent, change: Change::Put { uid, body } };
        let charged = Charged { served, old: None, judged: Judged::ByLimits };
        let result = if options.dry_run {
            charged.check(state, &write)?;
            match state.storage().get(&write.key) {
                Some(_) => Err(Failure::Store(WriteError::AlreadyExists)),
                None => return Ok(Outcome::Unstored(object)),
            }
        } else {
            // Asked again so late that a namespace can hardly be emptied between the answer and the write.
            namespace::check(state.storage(), served, namespace_, &name)?;
            charged.write(state, write).await
        };
        match result {
            Ok(entry) => return Ok(Outcome::Stored(entry)),
            Err(Failure::Store(WriteError::AlreadyExists)) if names.is_another_left() => names.give(&mut object)?,
            Err(failure) => return Err(failure.into_error(served, &name)),
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
    fn of(state: &'a State, object: &Value) -> Self {
        let base = object["metadata"]["generateName"].as_str().filter(|base| !base.is_empty());
        let base = base.filter(|_| metadata::name(object).is_empty());
        let base = base.map(|base| base.chars().take(GENERATED_BASE).collect());
        Self { state, base, left: NAMES }
    }

    fn is_another_left(&self) -> bool {
        self.base.is_some() && self.left > 0
    }

    fn give(&mut self, object: &mut Value) -> Result<(), ApiError> {
        if let Some(base) = &self.base {
            self.left = self.left.saturating_sub(1);
            let name = format!("{base}{}", self.state.dice.name_suffix());
            metadata::of(object)?.insert("name".into(), name.into());
        }
        Ok(())
    }
}
