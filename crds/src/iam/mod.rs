//! Who comes in.

pub mod api_key;
pub mod user;
