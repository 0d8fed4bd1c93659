//! Decides whether a write may be, between decoding and the store: shape, fields, ownership of metadata, namespace,
//! protection against deletion.
//!
//! In: decoded objects. Out: the object as it will be stored, warnings, or a refusal. It never writes.

pub(crate) mod decode;
pub(crate) mod escalation;
pub(crate) mod fields;
pub(crate) mod metadata;
mod misfit;
pub(crate) mod namespace;
pub(crate) mod protection;
pub(crate) mod redaction;
