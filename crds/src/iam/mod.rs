//! Who comes in.

pub mod user;
