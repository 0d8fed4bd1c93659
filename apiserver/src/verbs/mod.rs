//! What can be done with objects, one file a verb. No verb knows a kind: kinds are data.
//!
//! In: a [`Call`], the request with everything looked up. Out: an answer or an [`ApiError`].

pub(crate) mod apply;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod delete_collection;
pub(crate) mod derived;
pub(crate) mod finalize;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod patch;
pub(crate) mod present;
pub(crate) mod scale;
pub(crate) mod selection;
pub(crate) mod served;
pub(crate) mod token;
pub(crate) mod update;
pub(crate) mod versions;
pub(crate) mod watch;
pub(crate) mod write;

use std::sync::Arc;

use apiserver_store::{Entry, Key};
use http::{HeaderMap, header};

use crate::access::{Attributes, Identity, Object};
use crate::error::{ApiError, Reason};
use crate::managed_fields::Author;
use crate::negotiate::Representation;
use crate::policy::Requester;
use crate::query::{MANAGER_MAX_LENGTH, Query, WriteKind, WriteOptions};
use crate::request::Resource;
use crate::state::State;
use crate::warnings::Warnings;
use served::Served;

/// A request for objects of one kind.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) state: Arc<State>,
    /// Who asks.
    pub(crate) who: Arc<Identity>,
    pub(crate) served: Served,
    pub(crate) path: Resource,
    pub(crate) query: Query,
    pub(crate) form: Representation,
    pub(crate) content_type: Option<String>,
    /// What the client calls itself.
    pub(crate) agent: Option<String>,
    /// What it is told beside the answer.
    pub(crate) warnings: Warnings,
}

impl Call {
    pub(crate) fn new(
        state: Arc<State>,
        who: Arc<Identity>,
        served: Served,
        path: Resource,
        query: Query,
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let warnings = Warnings::default();
        warnings.say(served.version().deprecation.clone());
        Ok(Self {
            warnings,
            form: crate::negotiate::accept(text(header::ACCEPT))?,
            content_type: text(header::CONTENT_TYPE).map(str::to_owned),
            agent: text(header::USER_AGENT).map(str::to_owned),
            state,
            who,
            served,
            path,
            query,
        })
    }

    pub(crate) fn key(&self, name: &str) -> Key {
        self.served.key(&self.path.namespace, name)
    }

    /// How a write is meant.
    pub(crate) fn write_options(&self, kind: WriteKind) -> Result<WriteOptions, ApiError> {
        let (warnings, by) = (self.warnings.clone(), Some(self.requester()));
        Ok(WriteOptions { warnings, by, ..WriteOptions::parse(&self.query, kind)? })
    }

    /// Who asks, to be judged by policies.
    pub(crate) fn requester(&self) -> Requester {
        let Resource { subresource, name, .. } = &self.path;
        Requester { who: Arc::clone(&self.who), subresource: subresource.clone(), name: name.clone() }
    }

    /// Who writes: as the client says, or by the first word of its `User-Agent`.
    pub(crate) fn author(&self, options: &WriteOptions) -> Author {
        let manager = options.manager.clone().unwrap_or_else(|| {
            let agent = self.agent.as_deref().unwrap_or_default();
            let name = agent.split('/').next().unwrap_or_default();
            name.chars().filter(|letter| !letter.is_control()).take(MANAGER_MAX_LENGTH).collect()
        });
        Author { manager, subresource: self.path.subresource.clone() }
    }

    /// Fails unless the one who asks may do this too to what the path names, beside what the method says.
    pub(crate) fn permit(&self, verb: &str) -> Result<(), ApiError> {
        let object = Object::Resource(self.path.attributes(&self.path.name));
        Attributes { verb, object }.permit(&self.who, self.state.config.authorizer.as_ref())
    }

    /// Refuses a write to no object in particular.
    pub(crate) fn check_named(&self) -> Result<(), ApiError> {
        if self.path.name.is_empty() { Err(ApiError::bad_request("name must be provided")) } else { Ok(()) }
    }

    /// 409 for a write that is meant for another object of the same name, in the words of upstream's store.
    pub(crate) fn other_uid(&self, wanted: &str, present: &str) -> ApiError {
        let kind = &self.served.kind;
        let parts =
            [if kind.is_built_in() { "" } else { &kind.group }, &kind.plural, &self.path.namespace, &self.path.name];
        let key =
            parts.iter().filter(|part| !part.is_empty()).fold("/registry".to_owned(), |key, part| key + "/" + part);
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
             failed: UID in precondition: {wanted}, UID in object meta: {present}"
        );
        ApiError::conflict(&kind.group, &kind.plural, &self.path.name, &why)
    }

    /// The object that the path names.
    pub(crate) fn entry(&self) -> Result<Arc<Entry>, ApiError> {
        let name = &self.path.name;
        if self.served.kind.behaviour.is_derived {
            let entries = derived::snapshot(self.state.storage(), &self.served).entries;
            return entries.get("", name).cloned().ok_or_else(|| self.served.not_found(name));
        }
        self.state.storage().get(&self.key(name)).ok_or_else(|| self.served.not_found(name))
    }
}

/// 405 for a verb that the resource does not have.
pub(crate) fn not_allowed() -> ApiError {
    ApiError::generic(Reason::MethodNotAllowed)
}
