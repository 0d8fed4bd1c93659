//! What a caller of a port can act on. Adapters translate their engine's errors into these and keep the raw one as
//! source; a controller decides by the variant and never by text.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use uuid::Uuid;

use crate::machines::{Protocol, Stall};

/// The engine's own error, kept for the log.
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why an operation of a port failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The thing, or something that it needs (an image, a network, a volume), does not exist.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for, such as ``image `nginx:0` ``.
        what: String,
    },
    /// Something else holds what is needed. Trying again helps only after that is gone.
    #[error("{conflict}")]
    Conflict {
        /// What is held, and by whom where that is known.
        conflict: Conflict,
        /// The engine's own words.
        source: Option<Source>,
    },
    /// The engine does not answer. Nothing is known about whether the operation took place.
    #[error("{what} is not available")]
    Unavailable {
        /// What does not answer.
        what: String,
        /// The engine's own words.
        source: Option<Source>,
    },
    /// The request can never succeed as it is.
    #[error("{message}")]
    Invalid {
        /// What is wrong with it, for the user.
        message: String,
        /// The engine's own words.
        source: Option<Source>,
    },
    /// Anything else. The operation may have taken place in part; it can be repeated.
    #[error("{action}")]
    Failed {
        /// What was being done, such as ``create container `tc-...` ``.
        action: String,
        /// The engine's own words.
        source: Source,
    },
}

/// What an operation collided with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Another process or machine listens there.
    #[error("{protocol} port {address}:{port} is taken")]
    PortTaken {
        /// The host's address.
        address: IpAddr,
        /// The host's port.
        port: u16,
        /// The port's protocol.
        protocol: Protocol,
    },
    /// A thing of that name exists already.
    #[error("the name `{name}` is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Another machine in the network has that address.
    #[error("address {address} is taken")]
    AddressTaken {
        /// The address.
        address: Ipv4Addr,
    },
    /// The range overlaps one that is in use on the host.
    #[error("range {cidr} overlaps one in use")]
    RangeTaken {
        /// The range that was asked for.
        cidr: Ipv4Net,
    },
    /// It exists, but not as it is asked for now, and it cannot be changed in place.
    #[error("{what} exists with another {field}")]
    Different {
        /// Which thing.
        what: String,
        /// In what it differs.
        field: String,
    },
    /// It is in use.
    #[error("{what} is in use by {}", users_or_something(.users))]
    InUse {
        /// Which thing.
        what: String,
        /// Who uses it, sorted; empty when that is not known.
        users: Vec<String>,
    },
    /// It bears the marks of another installation.
    #[error("{what} belongs to installation {installation}, so it is left alone")]
    Foreign {
        /// Which thing.
        what: String,
        /// Whose it is.
        installation: Uuid,
    },
    /// The machine can't go on.
    #[error("{stall}")]
    Stalled {
        /// What it waits for.
        stall: Stall,
    },
    /// It is in a state in which this cannot be done.
    #[error("{what} is {state}")]
    State {
        /// Which thing.
        what: String,
        /// Its state.
        state: String,
    },
}

fn users_or_something(users: &[String]) -> String {
    if users.is_empty() { "something else".to_owned() } else { users.join(", ") }
}

impl Error {
    /// The thing does not exist.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// A conflict without an engine's words.
    pub fn conflict(conflict: Conflict) -> Self {
        Self::Conflict { conflict, source: None }
    }

    /// A request that can never succeed.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), source: None }
    }

    /// The engine does not answer.
    pub fn unavailable(what: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Unavailable { what: what.into(), source: Some(source.into()) }
    }

    /// Anything else.
    pub fn failed(action: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Failed { action: action.into(), source: source.into() }
    }

    /// Whether the thing, or something that it needs, does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the engine does not answer.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// What the operation collided with, if it did.
    pub fn as_conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Conflict { conflict, .. } => Some(conflict),
            _ => None,
        }
    }
}
