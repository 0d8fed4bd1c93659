//! How an object becomes another: the steps that update, patch, `/status` and `/scale` share.
//!
//! In: the stored object and a proposal. Out: the new stored object, or why not. A lost race is told apart, so that
//! the caller can try again on what is there now.

use std::sync::Arc;

use apiserver_store::{Change, Entry, Expect, Write, WriteError};
use http::StatusCode;
use serde_json::Value;

use super::served::Served;
use super::{Call, present};
use crate::access::users;
use crate::admission::{escalation, metadata};
use crate::audit::Named;
use crate::error::{ApiError, FieldError, FieldErrorKind, Reason};
use crate::lifecycle::{rules, settled};
use crate::managed_fields::{self, Author, Scope};
use crate::policy;
use crate::query::{self, WriteOptions};
use crate::quota::{self, Charged, Judged};
use crate::registry::convert;
use crate::response::{Answer, to_bytes};
use crate::schema;
use crate::state::State;

/// How often a write is tried on ever newer states before the client is told of the conflict.
const ATTEMPTS: usize = 20;

/// Which part of an object a request may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but a status that has its own endpoint.
    Object,
    /// Only the status.
    Status,
    /// Everything, even what holds a namespace.
    Finalizers,
}

/// What somebody wants an object to be.
pub(crate) struct Proposal {
    /// The whole object in the served version, without unknown fields.
    pub(crate) value: Value,
    pub(crate) part: Part,
    pub(crate) owners: Owners,
}

/// Where the owners of the fields come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owners {
    /// They follow from what changes.
    Followed,
    /// The proposal has them: somebody applied.
    Settled,
}

/// What became of a write.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The object as it is stored now.
    Stored(Arc<Entry>),
    /// What was not stored: a dry run's result, or the last state of what is gone.
    Unstored(Value),
}

impl Outcome {
    /// The answer to whoever made the object.
    pub(crate) async fn present_made(self, call: &Call) -> Result<Answer, ApiError> {
        if let Self::Stored(entry) = &self {
            settled::after_making(call.state.storage(), entry).await;
        }
        let name = match &self {
            Self::Stored(entry) => entry.key.name.clone(),
            Self::Unstored(value) => metadata::name(value).to_owned(),
        };
        let mut answer = self.present(call, StatusCode::CREATED)?;
        answer.extensions_mut().insert(Named(name));
        Ok(answer)
    }

    pub(crate) fn present(self, call: &Call, code: StatusCode) -> Result<Answer, ApiError> {
        match self {
            Self::Stored(entry) => present::entry(call, code, &entry),
            Self::Unstored(value) => present::value(call, code, value),
        }
    }
}

/// Why an attempt failed.
pub(crate) enum Failure {
    /// Somebody else was faster.
    Lost,
    /// It would fail again.
    Refused(ApiError),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

/// Writes what `propose` makes of the present state, again and again until nobody else was faster.
pub(crate) async fn revise(
    call: &Call,
    options: &WriteOptions,
    mut propose: impl FnMut(&Arc<Entry>) -> Result<Proposal, ApiError>,
) -> Result<Outcome, ApiError> {
    let author = call.author(options);
    for _ in 0..ATTEMPTS {
        call.state.refresh().await?;
        let current = call.entry()?;
        let proposal = propose(&current)?;
        match attempt(&call.state, &call.served, &current, proposal, options, &author).await {
            Ok(written) => return Ok(written),
            Err(Failure::Lost) => {}
            Err(Failure::Refused(error)) => return Err(error),
        }
    }
    Err(call.served.modified(&call.path.name))
}

/// One attempt on one state.
pub(crate) async fn attempt(
    state: &State,
    served: &Served,
    current: &Arc<Entry>,
    proposal: Proposal,
    options: &WriteOptions,
    author: &Author,
) -> Result<Outcome, Failure> {
    let name = &current.key.name;
    let mut old = served.value(current);
    let Proposal { value: mut new, part, owners } = proposal;
    metadata::place(served, &current.key.namespace, &mut new)?;
    metadata::check_name(&new, name)?;
    check_revision(served, &old, &new)?;
    let mut new = restrict(served, &old, new, part);
    metadata::carry_over(&old, &mut new)?;
    let live = metadata::of(&mut old)?.remove("managedFields");
    let given = metadata::of(&mut new)?.remove("managedFields");
    let revision = metadata::of(&mut old)?.remove("resourceVersion").unwrap_or_default();
    schema::object::complete(&served.kind, served.version(), &mut new);
    metadata::drop_empty(metadata::of(&mut new)?);
    metadata::count_generation(served, &old, &mut new);
    let fields = match owners {
        Owners::Settled => given,
        Owners::Followed if old == new && (given.is_none() || given == live) => live.clone(),
        Owners::Followed => {
            let scope = Scope::new(&served.kind, served.version(), &author.subresource);
            let now = state.timestamp();
            managed_fields::update(&scope, &old, &new, live.as_ref(), given.as_ref(), author, &now)
        }
    };
    let fields = match (&live, fields) {
        (Some(live), Some(fields)) if old == new && managed_fields::differ_in_times_only(live, &fields) => {
            Some(live.clone())
        }
        (_, fields) => fields,
    };
    let mut errors = match part {
        Part::Status => schema::object::validate_status(&served.kind, served.version(), &new, &old),
        Part::Object | Part::Finalizers => schema::object::validate(&served.kind, served.version(), &new, Some(&old)),
    };
    if part == Part::Object && old["spec"] != new["spec"] {
        errors.extend(policy::refusals(state, served, &new, options.by.as_ref()));
        errors.extend(users::refusals(state, &served.kind, (&new, Some(&old)), options.by.as_ref()));
    }
    if !errors.is_empty() {
        return Err(served.invalid(name, &errors).into());
    }
    escalation::check(state, served, &new, Some(&old), options.by.as_ref())?;
    if part == Part::Object {
        options.warnings.say(schema::object::doubts(&served.kind, &new, Some(&old)));
    }

    policy::check_update(state, served, current, (&new, fields.as_ref(), &revision), options)?;

    let goes = metadata::is_deleting(&new) && rules::may_go(&served.kind, &new);
    let is_same = old == new && fields == live;
    if is_same && !goes {
        return Ok(Outcome::Stored(Arc::clone(current)));
    }
    if let Some(fields) = fields {
        metadata::of(&mut new)?.insert("managedFields".into(), fields);
    }
    let judged = if part == Part::Object { Judged::ByLimits } else { Judged::Never };
    let charged = Charged { served, old: Some(current), judged };
    let change = |object: Value| {
        let body = to_bytes(&convert::to_storage(&served.kind, object));
        if goes { Change::Delete { body } } else { Change::Put { uid: current.uid, body } }
    };
    if options.dry_run {
        charged.check(state, &replacing(current, change(new.clone())))?;
        new["metadata"]["resourceVersion"] = revision;
        return Ok(Outcome::Unstored(new));
    }
    let written = write(state, charged, replacing(current, change(new))).await?;
    Ok(if goes { Outcome::Unstored(served.value(&written)) } else { Outcome::Stored(written) })
}

/// Replaces or removes exactly this state of an object, whatever its quotas say.
pub(crate) async fn put(
    state: &State,
    served: &Served,
    current: &Entry,
    change: Change,
) -> Result<Arc<Entry>, Failure> {
    let charged = Charged { served, old: Some(current), judged: Judged::Never };
    write(state, charged, replacing(current, change)).await
}

fn replacing(current: &Entry, change: Change) -> Write {
    Write { key: current.key.clone(), expect: Expect::Revision(current.revision), change }
}

async fn write(state: &State, charged: Charged<'_>, write: Write) -> Result<Arc<Entry>, Failure> {
    let (served, name) = (charged.served, write.key.name.clone());
    charged.write(state, write).await.map_err(|failure| match failure {
        quota::Failure::Store(WriteError::Conflict { .. }) => Failure::Lost,
        other => Failure::Refused(other.into_error(served, &name)),
    })
}

/// Whether the proposal is based on the state that is there.
fn check_revision(served: &Served, old: &Value, new: &Value) -> Result<(), ApiError> {
    let name = metadata::name(old);
    let revision = |object: &Value| match object["metadata"]["resourceVersion"].as_str() {
        None | Some("") => Ok(0),
        // Upstream has no reason for what is none.
        Some(text) => query::revision(text).map(|revision| revision.0).map_err(|error| {
            let why = error.message.split_once(": strconv").map_or("", |(_, why)| why);
            ApiError::new(Reason::Unknown, format!("strconv{why}"))
        }),
    };
    match revision(new)? {
        0 if served.kind.behaviour.updates_unconditionally => Ok(()),
        0 => Err(revision_required(served, name)),
        given if given != revision(old)? => Err(served.modified(name)),
        _ => Ok(()),
    }
}

/// 422 for an update that does not say which state it is based on.
fn revision_required(served: &Served, name: &str) -> ApiError {
    let error = FieldError {
        field: "metadata.resourceVersion".into(),
        kind: FieldErrorKind::Invalid,
        message: "Invalid value: 0: must be specified for an update".into(),
    };
    // Upstream words this one refusal with the plural.
    ApiError::invalid(&served.kind.group, &served.kind.plural, name, &[error])
}

/// Leaves to the request only the part that it may change.
fn restrict(served: &Served, old: &Value, new: Value, part: Part) -> Value {
    let (mut kept, taken) = match part {
        Part::Status => (old.clone(), new),
        Part::Object | Part::Finalizers if served.version().status => (new, old.clone()),
        Part::Object | Part::Finalizers => return new,
    };
    if part == Part::Object {
        rules::keep_hold(&served.kind, old, &mut kept);
    }
    if let Some(fields) = kept.as_object_mut() {
        match taken.get("status") {
            Some(status) => fields.insert("status".into(), status.clone()),
            None => fields.remove("status"),
        };
        if let (Part::Status, Some(managed)) = (part, taken["metadata"].get("managedFields")) {
            kept["metadata"]["managedFields"] = managed.clone();
        }
    }
    kept
}
