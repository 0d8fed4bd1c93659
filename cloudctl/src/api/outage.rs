//! Decides how a server that does not answer is told to a person. In: the error of the client, with everything it wraps. Out: the cause
//! in plain words and what to do about it. Knows no file and no address; those are added by the caller.

use std::error::Error;
use std::io;

/// A cause and a way out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Explained {
    /// What happened, as a fragment.
    pub(crate) cause: String,
    /// What to do, as a sentence.
    pub(crate) hint: &'static str,
}

const UP: &str = "`./justw up` starts the cloud.";
const ANEW: &str = "Was the cloud made anew since that file was written? `./justw up` writes a fresh one.";

/// Explains why the server could not be asked.
pub(crate) fn explained(error: &(dyn Error + 'static)) -> Explained {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(error) = current.downcast_ref::<io::Error>()
            && let Some(explained) = system(error)
        {
            return explained;
        }
        // An io::Error hides what it carries from `source`: it shows only what that one wraps.
        let carried = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(error) = carried.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return certificate(error);
        }
        if let Some(error) = current.downcast_ref::<rustls::Error>() {
            return certificate(error);
        }
        cause = match carried {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    let cause = root(error);
    match cause.as_str() {
        "invalid HTTP version parsed" => {
            Explained { cause: "it does not speak HTTP".to_owned(), hint: "Should the address begin with https://?" }
        }
        text if text.starts_with("failed to lookup address information") => {
            Explained { cause: "its name cannot be resolved".to_owned(), hint: "Is the address right?" }
        }
        _ => Explained { cause, hint: "Is it running? `./justw up` starts the cloud." },
    }
}

/// The innermost cause: what wraps it are the layers of the client.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn system(error: &io::Error) -> Option<Explained> {
    let (cause, hint) = match error.kind() {
        io::ErrorKind::ConnectionRefused => ("connection refused, so nothing listens there", UP),
        io::ErrorKind::TimedOut => ("no answer in time", "Is the address right, and the machine reachable?"),
        io::ErrorKind::ConnectionReset => ("the connection was cut", UP),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ("the host cannot be reached", "Is the address right?")
        }
        io::ErrorKind::UnexpectedEof => ("the connection was closed", UP),
        _ => return None,
    };
    Some(Explained { cause: cause.to_owned(), hint })
}

fn certificate(error: &rustls::Error) -> Explained {
    use rustls::CertificateError as Bad;

    match error {
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            Explained { cause: "its certificate is not from the authority that is trusted here".to_owned(), hint: ANEW }
        }
        rustls::Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            Explained { cause: "its certificate is for another name".to_owned(), hint: ANEW }
        }
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => Explained {
            cause: "its certificate has expired".to_owned(),
            hint: "Is the clock right? A restart of cloudd renews it.",
        },
        rustls::Error::InvalidMessage(_) => {
            Explained { cause: "it does not speak TLS".to_owned(), hint: "Is another program listening on that port?" }
        }
        other => Explained { cause: other.to_string(), hint: ANEW },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[source] io::Error);

    #[test]
    fn refused_connection_is_found_under_wrappings() {
        let error = Wrapped(io::Error::from(io::ErrorKind::ConnectionRefused));
        let explained = explained(&error);
        assert!(explained.cause.contains("connection refused"), "{explained:?}");
        assert!(explained.hint.contains("./justw up"));
    }

    #[test]
    fn unknown_issuer_is_found_inside_an_io_error() {
        let inner = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let error = Wrapped(io::Error::other(Wrapped(io::Error::other(inner))));
        assert!(explained(&error).cause.contains("not from the authority"));
    }

    #[test]
    fn anything_else_keeps_its_own_words() {
        let error = Wrapped(io::Error::other("the moon is full"));
        assert_eq!(explained(&error).cause, "the moon is full");
    }

    #[test]
    fn address_that_leads_elsewhere_is_told_in_plain_words() {
        let told = |text: &'static str| explained(&Wrapped(io::Error::other(text))).cause;
        assert_eq!(
            told("failed to lookup address information: Name or service not known"),
            "its name cannot be resolved"
        );
        assert_eq!(told("invalid HTTP version parsed"), "it does not speak HTTP");
    }
}
