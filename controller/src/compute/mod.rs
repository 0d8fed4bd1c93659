//! Machines and what they are made from.

pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod instance_snapshot;
pub(crate) mod instance_type;
