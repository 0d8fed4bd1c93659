//! The protobuf form of the v2 document: the messages of `openapi.v2` and their making from JSON.

mod convert;
mod messages;

pub(super) use convert::document;

#[cfg(test)]
mod tests;
