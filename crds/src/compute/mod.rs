//! Machines and what they are made from.

pub mod instance;
pub mod instance_type;
