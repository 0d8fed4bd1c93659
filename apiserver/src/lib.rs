//! A Kubernetes-compatible apiserver over a small store.
//!
//! [`ApiServer`] answers Kubernetes' own wire over HTTP or inside the process. Kinds are data (see [`registry`]); the
//! verbs are the same for all. It never talks to what runs behind an object, but for the [`Streams`] port.

mod access;
mod admin;
mod admission;
mod audit;
mod body;
mod catalog;
mod clock;
mod compress;
mod config;
pub mod discovery;
mod endpoints;
pub mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod history;
mod install;
mod jsonpath;
mod leftover;
mod lifecycle;
mod login;
mod managed_fields;
mod metrics;
pub mod negotiate;
pub mod openapi;
pub mod patch;
mod places;
mod policy;
mod pretty;
mod query;
mod quota;
mod rates;
pub mod registry;
mod request;
mod response;
mod reviews;
mod route;
mod router;
pub mod schema;
pub mod selector;
mod serve;
mod server;
mod service;
mod shipped;
mod state;
mod streams;
pub mod table;
mod tenure;
pub mod tls;
mod verbs;
mod warnings;
mod yaml;

#[cfg(any(test, fuzzing))]
mod fixtures;

pub use access::{
    AUTHENTICATED, Attributes, Authorizer, Decision, Grant, Identity, Logins, MASTERS, Object, Oidc, OidcOptions,
    PasswordCost, Rbac, ResourceAttributes, Rights, Rule, SERVICE_ACCOUNT_ISSUER, ServiceAccountIssuers,
    ServiceAccountKey, TokenHash, TokenTable, UnusableIssuer, UnusableKey, UnusableOidc, generate_token,
    private_resources,
};
pub use admin::{Adopted, Adoption, KeySource, Orphan, OrphanError, Orphans, key_questions};
pub use audit::{Audit, AuditError, AuditOptions, Level, Policy, UnusablePolicy, audit_anchors};
pub use body::{BoxError, ResponseBody};
pub use clock::{Clock, SystemClock, whole_seconds};
pub use config::{Config, Limits, Measures, VersionInfo};
pub use history::secret_versions;
pub use install::{InstallError, SCHEMA_VERSION};
pub use server::{ApiServer, StartError};
pub use service::Service;
pub use shipped::AUTOUPDATE;
pub use streams::{
    Connection, Dialled, ExecOptions, ExecSession, Exit, LogOptions, LogStream, Output, StreamError, StreamTarget,
    Streams, TerminalSize, Usage,
};
