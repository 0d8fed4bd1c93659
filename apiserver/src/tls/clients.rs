//! Whose client certificates are taken: those of the installation's own authority, and of others that the operator names.
//! Nobody has to have one; one of somebody else, or that has ended, is refused in the handshake.

use std::path::{Path, PathBuf};
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
    add(&mut roots, own, Path::new("ca.crt"))?;
    if let Some(path) = also {
        let missing = || TlsError::Malformed { path: path.to_owned(), what: "certificate" };
        add(&mut roots, &files::read_public(path)?.ok_or_else(missing)?, path)?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Rustls(rustls::Error::General(error.to_string())))
}

fn add(roots: &mut RootCertStore, pem: &str, path: &Path) -> Result<(), TlsError> {
    let malformed = || TlsError::Malformed { path: PathBuf::from(path), what: "certificate" };
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(|_| malformed())?).map_err(|_| malformed())?;
    }
    if roots.len() == before { Err(malformed()) } else { Ok(()) }
}
