//! Machines and what they are made from.

pub mod cluster_image;
pub mod image;
pub mod instance;
pub mod instance_policy;
pub mod instance_snapshot;
pub mod instance_type;
