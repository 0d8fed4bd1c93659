//! Decides which form an answer takes and how a body is to be read: `Accept` and `Content-Type`, nothing else.
//!
//! In: header values. Out: a [`Representation`], a [`BodyFormat`] or a [`PatchType`], or a 406/415 that lists what
//! would do. It never encodes or decodes anything.

mod accept;
mod body;
mod media;
mod route;

pub use accept::{
    DiscoveryForm, DocumentForm, Encoding, MetaVersion, Representation, Shape, accept, accept_discovery, accept_error,
    accept_openapi, accepts_pretty,
};
pub use body::{BodyFormat, body, patch, unsupported_body};
pub use route::check_route;

#[cfg(test)]
mod tests;
