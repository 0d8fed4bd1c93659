//! Whose client certificates are taken: those of the installation's own authority, and of others that the operator names.
//! Nobody has to have one; one of somebody else, or that has ended, is refused in the handshake.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::{TlsError, files};

/// Judges the certificates of clients by the authority of our own, in PEM, and those in a file.
pub(super) fn verifier(
    own: &str,
    also: Option<&Path>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    add(&mut roots, own).ok_or_else(|| TlsError::Malformed { path: "ca.crt".into(), what: "certificate" })?;
    if let Some(path) = also {
        let none = || TlsError::NoAuthority { path: path.to_owned() };
        add(&mut roots, &files::read_public(path)?.ok_or_else(none)?).ok_or_else(none)?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Rustls(rustls::Error::General(error.to_string())))
}

/// Adds every certificate of a text; `None` if there is none, or one that can't be read.
fn add(roots: &mut RootCertStore, pem: &str) -> Option<()> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.ok()?).ok()?;
    }
    (roots.len() > before).then_some(())
}
