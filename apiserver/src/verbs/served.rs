//! A kind in one of its versions, as one edition of the catalog has it: how stored objects read in it.

use std::sync::Arc;

use apiserver_store::{Entry, Key, WriteError};
use bytes::{Bytes, BytesMut};
use memchr::memmem;
use serde_json::Value;

use crate::catalog::Edition;
use crate::error::{ApiError, FieldError, Reason};
use crate::registry::{Kind, Version, convert};
use crate::response::to_bytes;
use crate::state::store_refused;

/// A kind in one of its served versions.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) edition: Arc<Edition>,
    pub(crate) kind: Arc<Kind>,
    version: usize,
}

impl Served {
    /// The kind of a resource path, if it is served in that version.
    pub(crate) fn find(edition: &Arc<Edition>, group: &str, version: &str, plural: &str) -> Option<Self> {
        let kind = edition.registry.kind(group, plural)?;
        let version = kind.versions.iter().position(|known| known.served && known.name == version)?;
        Some(Self { edition: Arc::clone(edition), kind: Arc::clone(kind), version })
    }

    /// The kind in the version that it is stored in, served or not.
    pub(crate) fn stored(edition: &Arc<Edition>, kind: &Arc<Kind>) -> Self {
        let version = kind.versions.iter().position(|version| version.name == kind.storage_version).unwrap_or(0);
        Self { edition: Arc::clone(edition), kind: Arc::clone(kind), version }
    }

    /// The same kind and version in another edition, unless it is no longer served there.
    pub(crate) fn in_edition(&self, edition: &Arc<Edition>) -> Option<Self> {
        edition.same_kind(&self.kind)?;
        Self::find(edition, &self.kind.group, &self.version().name, &self.kind.plural)
    }

    pub(crate) fn version(&self) -> &Version {
        &self.kind.versions[self.version]
    }

    pub(crate) fn api_version(&self) -> String {
        self.kind.api_version(&self.version().name)
    }

    pub(crate) fn key(&self, namespace: &str, name: &str) -> Key {
        Key { resource: self.kind.resource(), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The object in this version, with the defaults that its schema has gained since it was written.
    pub(crate) fn value(&self, entry: &Entry) -> Value {
        let is_current = self.edition.is_current(&self.kind, entry.revision);
        convert::from_storage(&self.kind, self.version(), entry.value(), is_current)
    }

    /// The object in this version as JSON. In the storage version these are the very bytes in the cache.
    pub(crate) fn bytes(&self, entry: &Entry) -> Bytes {
        let is_as_stored = self.kind.stored_as.is_none()
            && self.version().name == self.kind.storage_version
            && self.edition.is_current(&self.kind, entry.revision);
        if is_as_stored { entry.body.clone() } else { to_bytes(&self.value(entry)).into() }
    }

    /// The object as an item of a list, in two parts. Upstream's own kinds say there once what they are.
    pub(crate) fn item(&self, entry: &Entry) -> [Bytes; 2] {
        let bytes = self.bytes(entry);
        if !self.kind.is_built_in() {
            return [bytes, Bytes::new()];
        }
        // Stored objects have their keys in order, so what goes stands in two known places.
        let version = format!("{{\"apiVersion\":\"{}\",", self.api_version());
        let kind = format!("\"kind\":\"{}\",\"metadata\":", self.kind.kind);
        let cut = bytes.strip_prefix(version.as_bytes()).and_then(|rest| memmem::find(rest, kind.as_bytes()));
        match cut {
            Some(place) => {
                // The brace of the object takes the place of the comma in front of the first key.
                let start = version.len() - 1;
                let place = version.len() + place;
                let behind = place + kind.len() - "\"metadata\":".len();
                let mut head = BytesMut::from(&bytes[start..place]);
                head[0] = b'{';
                [head.freeze(), bytes.slice(behind..)]
            }
            None => {
                let mut value = self.value(entry);
                if let Some(fields) = value.as_object_mut() {
                    fields.remove("apiVersion");
                    fields.remove("kind");
                }
                [to_bytes(&value).into(), Bytes::new()]
            }
        }
    }

    /// What upstream's messages call the type of an object, or of a list of them (`suffix` `List`).
    pub(crate) fn go_type(&self, suffix: &str) -> String {
        if !self.kind.is_built_in() {
            return format!("*unstructured.Unstructured{suffix}");
        }
        let package = match self.kind.group.split('.').next() {
            None | Some("" | "events") => "core",
            Some(first) => first,
        };
        format!("*{package}.{}{suffix}", self.kind.kind)
    }

    pub(crate) fn not_found(&self, name: &str) -> ApiError {
        ApiError::not_found(&self.kind.group, &self.kind.plural, name)
    }

    pub(crate) fn modified(&self, name: &str) -> ApiError {
        ApiError::modified(&self.kind.group, &self.kind.plural, name)
    }

    pub(crate) fn forbidden(&self, name: &str, why: &str) -> ApiError {
        ApiError::forbidden(&self.kind.group, &self.kind.plural, name, why)
    }

    pub(crate) fn invalid(&self, name: &str, errors: &[FieldError]) -> ApiError {
        ApiError::invalid(&self.kind.group, &self.kind.kind, name, errors)
    }

    /// A refusal of the store in the words of the wire.
    pub(crate) fn refused(&self, name: &str, error: &WriteError) -> ApiError {
        match error {
            WriteError::AlreadyExists => ApiError::already_exists(&self.kind.group, &self.kind.plural, name),
            WriteError::NotFound => self.not_found(name),
            WriteError::Conflict { .. } | WriteError::Bound => self.modified(name),
            WriteError::TooLarge { size, limit } => ApiError::new(
                Reason::RequestEntityTooLarge,
                format!("{} \"{name}\" has {size} bytes, an object may have {limit}", self.kind.plural),
            ),
            WriteError::Malformed { reason } => ApiError::internal(format!("the object cannot be stored: {reason}")),
            WriteError::Unavailable(error) => store_refused(error),
        }
    }
}
