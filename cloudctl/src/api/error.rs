//! Decides how a refusal of the server, or its silence, reads to a person, and with which code the process ends.

use kube::core::Status;
use thiserror::Error;

use super::{explained, misfit};
use crate::error::Exit;

/// Why the server could not be asked, or said no.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// The server answered with a Status.
    #[error("{}", words(.status))]
    Status {
        /// What it said.
        status: Box<Status>,
    },
    /// The server answered with something that is no Status.
    #[error("{request} was answered with {code}: {body}")]
    Plain {
        /// The HTTP status code.
        code: u16,
        /// What was asked.
        request: String,
        /// The start of the answer.
        body: String,
    },
    /// No answer came.
    #[error("{address} does not answer: {}", explained(.error.as_ref()).cause)]
    Unreachable {
        /// The server's address.
        address: String,
        /// What happened.
        error: Box<kube::Error>,
    },
    /// The answer broke off.
    #[error("the answer to {request} broke off")]
    Broken {
        /// What was asked.
        request: String,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer is not JSON.
    #[error("the answer to {request} is not JSON")]
    NotJson {
        /// What was asked.
        request: String,
        /// Where it stops making sense.
        #[source]
        source: serde_json::Error,
    },
    /// The request cannot be written down.
    #[error("{request} is not a valid request")]
    Request {
        /// What was asked.
        request: String,
        /// What is wrong with it.
        #[source]
        source: http::Error,
    },
}

impl ApiError {
    /// With which code the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Status { status } if status.is_not_found() => Exit::NotFound,
            Self::Status { status } if status.code == 401 => Exit::Unreachable,
            Self::Plain { code: 404, .. } => Exit::NotFound,
            Self::Unreachable { .. } => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }

    /// Whether the server doesn't know who asks.
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Status { status } if status.code == 401)
    }

    /// Whether the thing asked for does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.exit() == Exit::NotFound
    }

    /// Whether somebody else wrote in between.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Status { status } if status.is_conflict() && !status.is_already_exists())
    }

    /// The fields of others that an apply would change, each with the manager that set it; empty for every other refusal.
    pub(crate) fn taken_fields(&self) -> Vec<(String, String)> {
        let Self::Status { status } = self else { return Vec::new() };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        causes
            .filter(|cause| cause.reason == "FieldManagerConflict")
            .map(|cause| {
                // conflict with "kubectl-edit" using v1
                let manager = cause.message.split('"').nth(1).unwrap_or(&cause.message);
                (cause.field.clone(), manager.to_owned())
            })
            .collect()
    }

    /// The fields of an applied object that its kind does not have, as paths.
    pub(crate) fn unknown_fields(&self) -> Vec<String> {
        match self {
            Self::Status { status } => misfit::unknown_fields(&status.message),
            _ => Vec::new(),
        }
    }

    /// Whether it is the namespace that does not exist.
    pub(crate) fn lacks_namespace(&self) -> bool {
        let Self::Status { status } = self else { return false };
        status.is_not_found() && status.details.as_ref().is_some_and(|details| details.kind == "namespaces")
    }

    /// Whether the server does not take what was sent in that form.
    pub(crate) fn is_unknown_format(&self) -> bool {
        matches!(self, Self::Status { status } if status.code == 415)
    }

    /// Whether it exists already.
    pub(crate) fn already_exists(&self) -> bool {
        matches!(self, Self::Status { status } if status.is_already_exists())
    }

    /// Whether asking again later can help: the server is away, restarting or busy.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Status { status } => matches!(status.code, 429 | 500 | 502..=504),
            Self::Plain { code, .. } => matches!(code, 429 | 500 | 502..=504),
            Self::NotJson { .. } | Self::Request { .. } => false,
        }
    }
}

/// A Status for people: several causes are a list, one a line.
fn words(status: &Status) -> String {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    if let (true, Some(cause)) = (status.message.starts_with("the server rejected our request"), causes.first()) {
        return format!("the server rejected the request: {}", cause.message);
    }
    // A cause without a field only says that more may be wrong.
    let causes: Vec<_> = causes.iter().filter(|cause| !matches!(cause.field.as_str(), "" | "<nil>")).collect();
    let (Some(details), true) = (&status.details, status.reason == "Invalid" && !causes.is_empty()) else {
        let text = if status.message.is_empty() { &status.reason } else { &status.message };
        return misfit::words(text).unwrap_or_else(|| text.clone());
    };
    if let Some(told) =
        causes.iter().find(|cause| cause.field == "patch").and_then(|cause| misfit::patched(&cause.message))
    {
        return told;
    }
    let kind =
        if details.group.is_empty() { details.kind.clone() } else { format!("{}.{}", details.kind, details.group) };
    let mut lines: Vec<_> = causes
        .iter()
        .map(|cause| format!("  {}: {}", cause.field, cause.message.replace(&format!("{} in body ", cause.field), "")))
        .collect();
    lines.dedup();
    format!("{kind} \"{}\" is invalid:\n{}", details.name, lines.join("\n"))
}
