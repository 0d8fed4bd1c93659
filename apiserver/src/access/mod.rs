//! Decides who is asking and whether they may: bearer tokens, client certificates, logins, impersonation, and rules of access.
//!
//! In: headers and what the request wants. Out: an [`Identity`], or a refusal. It never changes an object.

mod authenticate;
mod authorize;
mod certificate;
mod identity;
mod impersonate;
mod oidc;
mod rbac;
pub(crate) mod service_account;
pub(crate) mod signing;
mod tokens;
pub(crate) mod users;

pub(crate) use authenticate::{Authenticator, CameIn};
pub use authorize::{Attributes, Authorizer, Decision, Grant, Object, ResourceAttributes, Rights};
pub(crate) use certificate::ClientCertificate;
pub use identity::Identity;
pub(crate) use impersonate::impersonated;
pub use oidc::{Oidc, OidcOptions, UnusableOidc};
pub use rbac::{Rbac, Rule};
pub(crate) use rbac::{missing_rights, rights_sentence};
pub(crate) use service_account::CREDENTIAL;
pub use service_account::{
    SERVICE_ACCOUNT_ISSUER, ServiceAccountIssuers, ServiceAccountKey, UnusableIssuer, UnusableKey,
};
pub use tokens::{TokenHash, TokenTable, generate_token};
pub use users::{Logins, PasswordCost, private_resources};

/// The group whose members may do everything.
pub const MASTERS: &str = "system:masters";
/// The group of everybody that we know.
pub const AUTHENTICATED: &str = "system:authenticated";
