//! Decides with which exit code and with which words a command ends.
//! In: the error of any module. Out: one `Error`, its exit code, and the lines that a person reads.
//! It never prints; `main` does, once.

use std::io;

use thiserror::Error;

use crate::api::ApiError;
use crate::connect::ConnectError;
use crate::login::oidc::IssuerError;
use crate::manifests::ManifestError;

/// What a script can tell from the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something failed, or `diff` found a difference.
    Failed,
    /// The command line was wrong.
    Usage,
    /// What was asked for does not exist.
    NotFound,
    /// A wait ended before what it waited for came true.
    Timeout,
    /// No server, the wrong server, or one that does not know us.
    Unreachable,
    /// What the command inside the machine ended with.
    Remote(u8),
}

impl Exit {
    /// The number that the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Timeout => 4,
            Self::Unreachable => 5,
            Self::Remote(code) => code,
        }
    }
}

/// Why a command ended without success.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Something named on the command line does not exist.
    #[error("{0}")]
    NotFound(String),
    /// A wait ran out of time.
    #[error("{0}")]
    Timeout(String),
    /// Anything else that has a sentence of its own.
    #[error("{0}")]
    Failed(String),
    /// Finding or checking the server failed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server refused, or could not be asked.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// An OpenID issuer gave no tokens.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// A YAML file cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Standard output cannot be written.
    #[error("the output cannot be written")]
    Output(#[from] io::Error),
    /// The text was printed already; only the exit code is left.
    #[error("exit code {}", .0.code())]
    Silent(Exit),
}

impl Error {
    /// With which code the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NotFound(_) => Exit::NotFound,
            Self::Timeout(_) => Exit::Timeout,
            Self::Failed(_) | Self::Output(_) => Exit::Failed,
            Self::Manifest(error) => error.exit(),
            Self::Issuer(error) => error.exit(),
            Self::Connect(_) => Exit::Unreachable,
            Self::Api(error) => error.exit(),
            Self::Silent(exit) => *exit,
        }
    }

    /// Whether the reader of our output went away, which is no failure of ours (`cloudctl get ... | head`).
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The whole chain of an error in one line, without the repetitions that wrapped errors bring along.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !part.is_empty() && !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let codes = [Exit::Failed, Exit::Usage, Exit::NotFound, Exit::Timeout, Exit::Unreachable, Exit::Remote(42)]
            .map(Exit::code);
        assert_eq!(codes, [1, 2, 3, 4, 5, 42]);
    }

    #[test]
    fn chain_skips_what_was_said_already() {
        let error = Error::Output(io::Error::other("disk full"));
        assert_eq!(chain(&error), "the output cannot be written: disk full");
        let repeated = Error::Api(ApiError::Plain { code: 500, request: "GET /x".into(), body: "oops".into() });
        assert_eq!(chain(&repeated).matches("oops").count(), 1);
    }
}
