//! Decides who comes in by a client certificate: its common name is the user, its organizations are the groups. That it was
//! signed by an authority whom we trust is proven by the TLS handshake; when it ends, and who is kept out, by each request.

use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Identity;
use super::service_account::CREDENTIAL;

/// Who has proven to own a connection, and until when that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    pub(crate) identity: Arc<Identity>,
    ends: Timestamp,
}

impl ClientCertificate {
    /// Reads a certificate that is proven. `None` where it names nobody.
    pub(crate) fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let name = subject.iter_common_name().last()?.as_str().ok()?;
        if name.is_empty() {
            return None;
        }
        let groups = subject.iter_organization().filter_map(|group| group.as_str().ok()).map(str::to_owned);
        let mut identity = Identity::new(name, groups);
        let digest: String = Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect();
        identity.extra.insert(CREDENTIAL.to_owned(), vec![format!("X509SHA256={digest}")]);
        let ends = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?;
        Some(Self { identity: Arc::new(identity), ends })
    }

    /// Whether it still counts: a connection may outlive it.
    pub(crate) fn counts(&self, now: Timestamp) -> bool {
        now <= self.ends
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn of(entries: &[(DnType, &str)]) -> Option<ClientCertificate> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        for (kind, value) in entries {
            parameters.distinguished_name.push(kind.clone(), *value);
        }
        parameters.not_after = rcgen::date_time_ymd(2030, 1, 1);
        ClientCertificate::of(parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der())
    }

    #[test]
    fn the_common_name_is_the_user_and_the_organization_the_group() {
        let found = of(&[(DnType::CommonName, "ann"), (DnType::OrganizationName, "painters")]).unwrap();
        assert_eq!(found.identity.user, "ann");
        assert_eq!(found.identity.groups, ["painters", "system:authenticated"]);
        assert!(found.identity.extra[CREDENTIAL][0].starts_with("X509SHA256="));
    }

    #[test]
    fn a_certificate_counts_until_it_ends() {
        let found = of(&[(DnType::CommonName, "ann")]).unwrap();
        let end: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        assert!(found.counts(end) && !found.counts(end + SignedDuration::from_secs(1)));
    }

    #[test]
    fn a_certificate_without_a_name_is_nobodys() {
        assert_eq!(of(&[(DnType::OrganizationName, "painters")]), None);
        assert_eq!(of(&[(DnType::CommonName, "")]), None);
        assert_eq!(ClientCertificate::of(b"x"), None);
    }
}
