//! Which certificate a connection gets: the one on disk, looked at again once a day, so that a server that runs for years
//! renews it in time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::TlsError;
use super::authority::{Authority, SERVING_CERTIFICATE};
use crate::clock::Clock;

/// How long a certificate is served before it is looked at again; it is renewed many days before it ends.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// The serving certificate, as long as the server runs.
pub(super) struct Serving {
    directory: PathBuf,
    authority: Authority,
    names: Vec<String>,
    clock: &'static dyn Clock,
    provider: Arc<CryptoProvider>,
    current: Mutex<Current>,
}

struct Current {
    key: Arc<CertifiedKey>,
    looked_at: Timestamp,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Serving {
    pub(super) fn new(
        directory: &Path,
        authority: Authority,
        names: Vec<String>,
        clock: &'static dyn Clock,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let looked_at = clock.now();
        let key = load(directory, &authority, &names, looked_at, &provider)?;
        let current = Mutex::new(Current { key, looked_at });
        Ok(Self { directory: directory.to_owned(), authority, names, clock, provider, current })
    }

    /// The certificate of this moment.
    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        let now = self.clock.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(current.looked_at).abs() >= LOOK_AGAIN {
            // Also where it fails: the old one serves for days yet, and a full disk is not helped by trying at every
            // connection.
            current.looked_at = now;
            match load(&self.directory, &self.authority, &self.names, now, &self.provider) {
                Ok(key) => current.key = key,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "the serving certificate could not be looked at or renewed");
                }
            }
        }
        Arc::clone(&current.key)
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }
}

/// The certificate on disk, a new one where that ends soon.
fn load(
    directory: &Path,
    authority: &Authority,
    names: &[String],
    now: Timestamp,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let (certificate, key) = authority.serving(directory, names, now)?;
    let malformed = |what| move |_| TlsError::Malformed { path: directory.join(SERVING_CERTIFICATE), what };
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(malformed("certificate"))?];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(malformed("key"))?;
    Ok(Arc::new(CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Rustls)?))
}
