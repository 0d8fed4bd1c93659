//! Why an issuer gave no tokens. Every text names the issuer, the cause and the way out.

use http::StatusCode;
use serde_json::Value;
use thiserror::Error;

use crate::api::explained;
use crate::error::Exit;

/// How much of what others wrote is shown.
const SHOWN: usize = 200;

/// Why there are no tokens.
#[derive(Debug, Error)]
pub(crate) enum IssuerError {
    /// An address that a token must not be sent to.
    #[error("`{address}`, which is to be asked for a login, is not an https:// address")]
    Address {
        /// What is no address.
        address: String,
    },
    /// There are no authorities that can be trusted.
    #[error("no authority is known by which {issuer} could prove who it is; --issuer-certificate-authority names one")]
    Authorities {
        /// The issuer.
        issuer: String,
    },
    /// No answer came.
    #[error(
        "the OpenID issuer at {address} does not answer: {}\nIs the address right, and reachable from here? For an \
         authority of its own there is --issuer-certificate-authority.",
        explained(.error.as_ref()).cause
    )]
    Unreachable {
        /// Whom was asked.
        address: String,
        /// What happened.
        error: Box<kube::Error>,
    },
    /// The answer broke off, or is too large.
    #[error("the answer of the OpenID issuer at {address} broke off")]
    Broken {
        /// Whom was asked.
        address: String,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer came in time.
    #[error("the OpenID issuer at {address} took too long to answer; try again")]
    Slow {
        /// Whom was asked.
        address: String,
    },
    /// It doesn't say what there is.
    #[error("{address} answered {status}: is that the address of an OpenID issuer?")]
    NoDocument {
        /// Where its document should be.
        address: String,
        /// What it answered.
        status: StatusCode,
    },
    /// Its document is not of an issuer that can be used.
    #[error("the OpenID issuer {issuer} can't be used: {why}")]
    Unusable {
        /// The issuer.
        issuer: String,
        /// What is wrong with it.
        why: String,
    },
    /// It said no.
    #[error("the OpenID issuer {issuer} refused the login: {why}")]
    Refused {
        /// The issuer.
        issuer: String,
        /// The word for programs.
        code: String,
        /// The words for people.
        why: String,
    },
    /// There is a refresh token no more.
    #[error("the login at {issuer} has ended: {why}\nLog in again: cloudctl login --oidc")]
    Ended {
        /// The issuer.
        issuer: String,
        /// Why it can't be renewed.
        why: String,
    },
    /// What is needed is missing.
    #[error(
        "{issuer} gave no ID token, by which the cloud knows its users; the client `{client}` must be one of OpenID \
         Connect there, with the scope openid"
    )]
    NoIdToken {
        /// The issuer.
        issuer: String,
        /// As whom it was asked.
        client: String,
    },
    /// What came isn't what was asked for.
    #[error("the ID token of {issuer} is not taken: {why}\nLog in again: cloudctl login --oidc")]
    OddIdToken {
        /// The issuer.
        issuer: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nobody logged in.
    #[error("nobody logged in at {issuer} within {minutes} minutes; try again: cloudctl login --oidc")]
    Nobody {
        /// The issuer.
        issuer: String,
        /// How long was waited.
        minutes: u64,
    },
    /// The browser could not come back.
    #[error("port {port} of 127.0.0.1, to which the browser is to come back, can't be used; choose another by --port")]
    Port {
        /// The port.
        port: u16,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// Nothing can be made that nobody guesses.
    #[error("this host gives no random numbers")]
    NoRandom,
}

impl IssuerError {
    /// A refusal, of what the issuer says as OAuth has it.
    pub(super) fn refused(issuer: &str, status: StatusCode, answer: &Value) -> Self {
        let text = |field: &str| answer[field].as_str().map(plain);
        Self::of_words(issuer, text("error").unwrap_or_else(|| status.to_string()), text("error_description"))
    }

    /// The same of its words.
    pub(super) fn of_words(issuer: &str, code: String, description: Option<String>) -> Self {
        let why = match (code.as_str(), description) {
            ("access_denied", None) => "somebody declined it there (access_denied)".to_owned(),
            (_, Some(description)) => format!("{description} ({code})"),
            (_, None) => code.clone(),
        };
        let why = match code.as_str() {
            "invalid_client" => {
                format!("{why}\nIf the issuer knows the client with a secret, --client-secret-file gives it.")
            }
            _ => why,
        };
        Self::Refused { issuer: issuer.to_owned(), code, why }
    }

    /// With which code the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Address { .. } => Exit::Usage,
            Self::Unreachable { .. } | Self::Ended { .. } => Exit::Unreachable,
            Self::Slow { .. } | Self::Nobody { .. } => Exit::Timeout,
            _ => Exit::Failed,
        }
    }
}

/// What others wrote, without anything that a terminal obeys.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect()
}
