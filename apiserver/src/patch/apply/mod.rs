//! Server-side apply: what objects become when somebody applies to them, and who owns which of their fields.
//!
//! Pure functions of values, types and sets of fields. Knows nothing of kinds, requests or time; the store's view of
//! managers (`metadata.managedFields`) is made of it in `crate::managed_fields`.

pub(crate) mod compare;
pub(crate) mod element;
pub(crate) mod emptied;
pub(crate) mod managers;
mod merge;
pub(crate) mod reconcile;
mod remove;
pub(crate) mod set;
pub(crate) mod walk;

#[cfg(test)]
mod tests;
