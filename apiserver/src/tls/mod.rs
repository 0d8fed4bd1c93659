//! Who the server proves to be: a certificate authority made at first start, a serving certificate that it signs and
//! renews, the administrator's token, and the key of service accounts' tokens. Files lie in one directory, for the owner alone.

mod authority;
mod client_certificate;
mod clients;
mod files;
mod pair;
mod serving;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;

use crate::access::ServiceAccountKey;
use crate::clock::Clock;

use authority::Authority;
pub use authority::names;
pub use client_certificate::{IssuedCertificate, client_certificate};
pub use files::{FileError, admin_token_hash, bootstrap_token};
pub(crate) use pair::pair_problem;
use serving::Serving;

/// What TLS needs, and what clients are told to trust.
#[derive(Clone)]
pub struct TlsIdentity {
    /// The authority's certificate, PEM, for kubeconfigs.
    pub authority: String,
    /// HTTP/2 and HTTP/1.1 over TLS.
    pub server: Arc<ServerConfig>,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file does not hold what it should.
    #[error("`{path}` holds no {what}; move it away to have a new one made")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The file of authorities that the operator names holds none.
    #[error(
        "`{path}`, whose authorities sign client certificates, holds no certificate in PEM: name the file that does"
    )]
    NoAuthority {
        /// The file.
        path: PathBuf,
    },
    /// Nothing can sign.
    #[error(
        "there is no certificate authority in `{path}`: cloudd makes it at its first start; name its folder with --data-dir"
    )]
    NoOwnAuthority {
        /// Where it would be.
        path: PathBuf,
    },
    /// What a certificate can't call somebody.
    #[error("`{name}` can't be in a client certificate: {why}")]
    Subject {
        /// The user or group.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A certificate can't be made; a name that is none is the likely cause.
    #[error("failed to make a certificate")]
    Make(#[source] rcgen::Error),
    /// The certificate can't be served.
    #[error("failed to set up TLS")]
    Rustls(#[source] rustls::Error),
}

/// Loads the identity in `directory`, making what is missing; `also` are names or addresses beyond this machine's
/// loopback by which clients reach the server. The serving certificate is renewed while it serves. Client certificates are
/// taken that this authority has signed, or one in the file `clients`.
///
/// # Errors
/// Where files can't be used, hold something else, or a name is none.
pub fn identity(
    directory: &Path,
    also: &[String],
    clients: Option<&Path>,
    clock: &'static dyn Clock,
) -> Result<TlsIdentity, TlsError> {
    files::make_directory(directory)?;
    let authority = Authority::load_or_make(directory, clock.now())?;
    let certificate = authority.certificate().to_owned();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = clients::verifier(&certificate, clients, Arc::clone(&provider))?;
    let serving = Serving::new(directory, authority, names(also), clock, Arc::clone(&provider))?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Rustls)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(serving));
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsIdentity { authority: certificate, server: Arc::new(server) })
}

const SERVICE_ACCOUNT_KEY: &str = "service-account.key";

/// The key that tokens of service accounts are signed with, made where there is none. Every apiserver of an installation
/// must be given the same directory, or the same file.
///
/// # Errors
/// Where the file can't be used or holds something else.
pub fn service_account_key(directory: &Path) -> Result<ServiceAccountKey, TlsError> {
    files::make_directory(directory)?;
    let path = directory.join(SERVICE_ACCOUNT_KEY);
    let pem = match files::read(&path)? {
        Some(pem) => pem,
        None => files::write_once(&path, &ServiceAccountKey::generate().to_pem())?,
    };
    ServiceAccountKey::from_pem(&pem).map_err(|_| TlsError::Malformed { path, what: "P-256 key" })
}

fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}
