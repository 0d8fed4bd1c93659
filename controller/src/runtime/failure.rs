//! Why a step or an observation failed, and what that means for the object: the words of the condition, and whether
//! the user is needed. Texts of engines stay in the log.

use controller_backend::{Conflict, Error as BackendError, ImportError, PullError, Stall, StallCause};

/// The reason while a guest that was asked to let go of a Volume has it.
pub const DETACH_PENDING: &str = "DetachPending";

/// Why a step or an observation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The backend refused or failed.
    #[error("{action}")]
    Backend {
        /// What was being done, such as ``start the machine``.
        action: &'static str,
        /// Why it failed.
        source: BackendError,
    },
    /// The image could not be fetched.
    #[error("pull the image")]
    Pull(#[source] PullError),
    /// The disk image could not be imported.
    #[error("import the image")]
    Import(#[source] ImportError),
    /// The apiserver refused or failed.
    #[error("{action}")]
    Api {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// The engine that answers isn't the one that this installation's things are on.
    #[error("the backend is another one than this installation's")]
    WrongHost {
        /// The id of the right one.
        recorded: String,
        /// The id of the one that answers.
        found: String,
    },
    /// It takes virtual machines, and this server runs none.
    #[error("this server runs no virtual machines")]
    NoVirtualMachines,
    /// A guest was asked to let go of a Volume, and hasn't.
    #[error("the guest still has Volume `{volume}`")]
    Held {
        /// The Volume's name.
        volume: String,
    },
    /// A machine stands still, as the host can't write for it.
    #[error("{stall}")]
    Stalled {
        /// Why.
        stall: Stall,
        /// What it wrote to, such as ``Volume `data` ``.
        disk: String,
    },
    /// Somebody else changed the object, or took what was chosen, meanwhile: look again.
    #[error("the object has changed meanwhile")]
    Stale,
}

/// What a failure means for the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The condition's reason.
    pub reason: &'static str,
    /// The condition's message, a sentence for the user.
    pub message: String,
    /// Whether nothing is known about the real thing (`Ready=Unknown`).
    pub unknown: bool,
    /// Whether it needs the user; waiting alone won't help.
    pub stalled: bool,
}

impl Failure {
    /// A failure of the backend, while doing this.
    pub fn backend(action: &'static str) -> impl FnOnce(BackendError) -> Self {
        move |source| Self::Backend { action, source }
    }

    /// A failure of the apiserver, while doing this. A conflict is [`Failure::Stale`].
    pub fn api(action: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| {
            if is_conflict(&source) {
                return Self::Stale;
            }
            Self::Api { action, source: Box::new(source) }
        }
    }

    /// Whether what failed is the way to the apiserver, about which the object can't be told anything.
    #[must_use]
    pub fn is_api(&self) -> bool {
        matches!(self, Self::Api { .. } | Self::Stale)
    }

    /// What the failure means for the object.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let verdict =
            |reason, message, stalled| Verdict { reason, message, unknown: reason == "BackendUnavailable", stalled };
        match self {
            Self::Backend { action, source } => backend_verdict(action, source),
            Self::Pull(PullError::NoSuchImage { reference }) => {
                verdict("ImageNotFound", format!("There is no image `{reference}`."), true)
            }
            Self::Pull(PullError::Denied { reference }) => {
                verdict("ImageNotFound", format!("Image `{reference}` does not exist or needs credentials."), true)
            }
            Self::Pull(PullError::Unreachable { reference, .. }) => verdict(
                "ImagePullFailed",
                format!("Image `{reference}` is not on this host, and its registry can't be reached."),
                false,
            ),
            Self::Pull(PullError::Backend { source, .. }) if source.is_unavailable() => {
                backend_verdict("pull the image", source)
            }
            Self::Pull(other) => verdict("ImagePullFailed", sentence(&other.to_string()), false),
            Self::Import(error) => import_verdict(error),
            Self::WrongHost { recorded, found } => Verdict {
                reason: "WrongHost",
                message: format!(
                    "The backend that answers (`{found}`) is not the one that this installation's things are on \
                     (`{recorded}`), so nothing is touched."
                ),
                unknown: true,
                stalled: true,
            },
            Self::NoVirtualMachines => verdict(
                "DependencyMissing",
                "This server runs no virtual machines: start a cloudd that was built with the feature `libvirt`, on a host \
                 where libvirt runs."
                    .to_owned(),
                true,
            ),
            Self::Held { volume } => verdict(
                DETACH_PENDING,
                format!(
                    "The guest hasn't let go of Volume `{volume}`: unmount it there. It is asked again, and nobody else gets the \
                     Volume before."
                ),
                false,
            ),
            Self::Stalled { stall, disk } => {
                let (reason, why) = match stall.cause {
                    StallCause::NoRoom => ("NoRoom", format!("the host's disk that {disk} is on is full")),
                    StallCause::WriteFailed => ("WriteFailed", format!("the host can't write to {disk}")),
                };
                let way_out = match stall.cause {
                    StallCause::NoRoom => "when there is room",
                    StallCause::WriteFailed => "when that can be written again; `journalctl -k` there says what is wrong",
                };
                verdict(reason, format!("The machine stands still: {why}. It goes on by itself {way_out}."), false)
            }
            Self::Api { action, .. } => verdict("ApiFailed", sentence(&format!("failed to {action}")), false),
            Self::Stale => verdict("Progressing", "The object has changed meanwhile.".to_owned(), false),
        }
    }
}

fn backend_verdict(action: &str, error: &BackendError) -> Verdict {
    let (reason, message, stalled) = match error {
        BackendError::Unavailable { what, .. } => (
            "BackendUnavailable",
            format!("{what} is not available, so nothing is known or done now: start it on its host"),
            false,
        ),
        BackendError::Conflict { conflict, .. } => match conflict {
            Conflict::PortTaken { .. } => ("PortTaken", format!("{conflict} by another process on the host"), true),
            Conflict::AddressTaken { .. } => ("AddressTaken", conflict.to_string(), false),
            Conflict::RangeTaken { .. } => ("CidrOverlap", conflict.to_string(), true),
            Conflict::InUse { .. } => ("InUse", conflict.to_string(), false),
            Conflict::Foreign { .. } => ("Foreign", conflict.to_string(), true),
            Conflict::NameTaken { .. } => ("NameTaken", conflict.to_string(), true),
            _ => ("Conflict", conflict.to_string(), false),
        },
        BackendError::Invalid { message, .. } => ("Invalid", message.clone(), true),
        BackendError::NotFound { what } => ("NotFound", format!("failed to {action}: there is no {what}"), false),
        other => ("BackendFailed", format!("failed to {action}: {}", innermost(other)), false),
    };
    Verdict { reason, message: sentence(&message), unknown: reason == "BackendUnavailable", stalled }
}

fn import_verdict(error: &ImportError) -> Verdict {
    let (reason, stalled) = match error {
        ImportError::NoSuchSource { .. } => ("SourceNotFound", true),
        ImportError::Refused { .. } => ("SourceRefused", true),
        ImportError::ChecksumMismatch { .. } => ("ChecksumMismatch", true),
        ImportError::TooLarge { .. } => ("TooLarge", true),
        ImportError::NoRoom { .. } => ("NoRoom", false),
        ImportError::Busy { .. } => ("Queued", false),
        ImportError::Backend { source } => return backend_verdict("import the image", source),
        _ => ("DownloadFailed", false),
    };
    Verdict { reason, message: sentence(&error.to_string()), unknown: false, stalled }
}

/// The cause that everything else follows from.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The text as a sentence: a capital first, a full stop last.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    format!("{}{}.", first.to_uppercase(), letters.as_str())
}

/// Every cause of an error in one line, without repeating what a cause already said.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

/// Whether the apiserver says that the object isn't there.
#[must_use]
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether the apiserver says that it exists already (not: that it has changed).
#[must_use]
pub(crate) fn is_already_exists(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 && status.reason == "AlreadyExists")
}

/// Whether the apiserver says that the object has changed meanwhile.
#[must_use]
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 && status.reason != "AlreadyExists")
}
