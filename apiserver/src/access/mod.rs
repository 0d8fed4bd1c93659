//! Decides who is asking and whether they may: bearer tokens, logins, impersonation, and rules of access.
//!
//! In: headers and what the request wants. Out: an [`Identity`], or a refusal. It never changes an object.

mod authenticate;
mod authorize;
mod identity;
mod impersonate;
mod rbac;
pub(crate) mod service_account;
pub(crate) mod signing;
mod tokens;
pub(crate) mod users;

pub(crate) use authenticate::Authenticator;
pub use authorize::{Attributes, Authorizer, Decision, Grant, Object, ResourceAttributes, Rights};
pub use identity::Identity;
pub(crate) use impersonate::impersonated;
pub use rbac::{Rbac, Rule};
pub(crate) use rbac::{missing_rights, rights_sentence};
pub use service_account::{ServiceAccountKey, UnusableKey};
pub use tokens::{TokenHash, TokenTable, generate_token};
pub use users::{Logins, PasswordCost, private_resources};

/// The group whose members may do everything.
pub const MASTERS: &str = "system:masters";
/// The group of everybody that we know.
pub const AUTHENTICATED: &str = "system:authenticated";
