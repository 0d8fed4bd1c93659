//! Decides whether a certificate and a private key in PEM belong together.

use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// What is wrong with the pair, as Go's TLS words it.
pub(crate) fn pair_problem(certificate: &[u8], key: &[u8]) -> Option<&'static str> {
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(certificate).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Some("tls: failed to find any PEM data in certificate input");
    }
    let Ok(key) = PrivateKeyDer::from_pem_slice(key) else {
        return Some("tls: failed to find any PEM data in key input");
    };
    let Ok(key) = aws_lc_rs::sign::any_supported_type(&key) else { return Some("tls: failed to parse private key") };
    match CertifiedKey::new(chain, key).keys_match() {
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Some("tls: private key does not match public key")
        }
        // One whose key can't be compared is its owner's matter.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn a_pair_is_of_one_key() {
        let made = || {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::default().self_signed(&key).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let ((certificate, key), (_, other)) = (made(), made());
        let problem = |certificate: &str, key: &str| pair_problem(certificate.as_bytes(), key.as_bytes());
        assert_eq!(problem(&certificate, &key), None);
        assert_eq!(problem(&certificate, &other), Some("tls: private key does not match public key"));
        assert_eq!(problem("x", &key), Some("tls: failed to find any PEM data in certificate input"));
        assert_eq!(problem(&certificate, "x"), Some("tls: failed to find any PEM data in key input"));
        let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(problem(&certificate, broken), Some("tls: failed to parse private key"));
    }
}
