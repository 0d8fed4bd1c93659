//! Makes client certificates, signed by the installation's own authority: the common name is the user, each organization a group.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SigningKey,
};
use yasna::models::ObjectIdentifier;
use yasna::{DERWriterSeq, construct_der, parse_der};

use super::TlsError;
use super::authority::{Authority, set_period};

/// What X.520 allows a name.
const LONGEST: usize = 64;
/// What begins so is ours to give, and a certificate can't be taken back.
const RESERVED: &str = "system:";
/// Stands in a certificate until it gets its own subject.
const NOBODY: &str = "nobody yet";

/// The object identifiers of the parts of a name.
const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
const ORGANIZATION: &[u64] = &[2, 5, 4, 10];
/// The place of the subject among the fields of what is signed (RFC 5280, 4.1).
const SUBJECT: usize = 5;

/// A certificate that lets somebody in.
pub struct IssuedCertificate {
    /// The authority's certificate, PEM, by which the server proves who it is.
    pub authority: String,
    /// The certificate, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
    /// When it ends.
    pub ends: Timestamp,
}

/// Makes a certificate for a user in groups, with the authority in `directory`. Nothing is kept of it.
///
/// # Errors
/// There is no authority, or the names can't be given.
pub fn client_certificate(
    directory: &Path,
    user: &str,
    groups: &[String],
    days: u16,
    now: Timestamp,
) -> Result<IssuedCertificate, TlsError> {
    for name in std::iter::once(user).chain(groups.iter().map(String::as_str)) {
        if let Some(why) = problem(name) {
            return Err(TlsError::Subject { name: name.to_owned(), why });
        }
    }
    let none = || TlsError::NoOwnAuthority { path: directory.to_owned() };
    let authority = Authority::load(directory)?.ok_or_else(none)?;
    let issuer = Issuer::from_ca_cert_pem(authority.certificate(), authority.key()).map_err(TlsError::Make)?;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, NOBODY);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters.use_authority_key_identifier_extension = true;
    let ends = set_period(&mut parameters, now, i32::from(days));
    let key = KeyPair::generate().map_err(TlsError::Make)?;
    let certificate = parameters.signed_by(&key, &issuer).map_err(TlsError::Make)?;
    let certificate = with_subject(certificate.der(), &subject(user, groups), authority.key())
        .ok_or(TlsError::Make(rcgen::Error::CouldNotParseCertificate))?
        .map_err(TlsError::Make)?;
    Ok(IssuedCertificate {
        authority: authority.certificate().to_owned(),
        certificate: pem(&certificate),
        key: key.serialize_pem(),
        ends,
    })
}

/// Why a certificate can't give a name.
fn problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("a name can't be empty")
    } else if name.chars().count() > LONGEST {
        Some("a name has 64 characters at most")
    } else if name.chars().any(char::is_control) {
        Some("it has control characters")
    } else if name.starts_with(RESERVED) {
        Some(
            "what begins with `system:` can't be given by a certificate, as none can be taken back; bind a role instead",
        )
    } else {
        None
    }
}

/// The name in DER. rcgen's knows one organization.
fn subject(user: &str, groups: &[String]) -> Vec<u8> {
    let groups = groups.iter().map(|group| (ORGANIZATION, group.as_str()));
    sequence(|name| {
        for (kind, text) in groups.chain([(COMMON_NAME, user)]) {
            name.next().write_set(|part| {
                part.next().write_sequence(|part| {
                    part.next().write_oid(&ObjectIdentifier::from_slice(kind));
                    part.next().write_utf8_string(text);
                });
            });
        }
    })
}

/// The same certificate for another subject, signed anew; `None` for what is no certificate.
fn with_subject(certificate: &[u8], subject: &[u8], key: &KeyPair) -> Option<Result<Vec<u8>, rcgen::Error>> {
    let whole = parts(certificate)?;
    let [signed, algorithm, _signature] = whole.as_slice() else { return None };
    let mut fields = parts(signed)?;
    *fields.get_mut(SUBJECT)? = subject.to_vec();
    let signed = sequence(|all| fields.iter().for_each(|field| all.next().write_der(field)));
    let certificate = |signature: Vec<u8>| {
        sequence(|all| {
            all.next().write_der(&signed);
            all.next().write_der(algorithm);
            all.next().write_bitvec_bytes(&signature, signature.len() * 8);
        })
    };
    Some(key.sign(&signed).map(certificate))
}

/// A sequence in DER.
fn sequence(write: impl FnOnce(&mut DERWriterSeq<'_>)) -> Vec<u8> {
    construct_der(|writer| writer.write_sequence(write))
}

/// What a sequence in DER holds.
fn parts(sequence: &[u8]) -> Option<Vec<Vec<u8>>> {
    parse_der(sequence, |all| all.collect_sequence_of(|part| part.read_der())).ok()
}

fn pem(certificate: &[u8]) -> String {
    let coded = STANDARD.encode(certificate);
    let lines = coded.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line));
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n")
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T12:34:56Z".parse().unwrap()
    }

    fn groups(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_certificate_says_the_user_all_groups_and_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_make(directory.path(), now()).unwrap();
        let many: Vec<String> = (0..40).map(|number| format!("group-{number}")).collect();
        for groups in [groups(&[]), groups(&["painters", "łąka"]), many] {
            let issued = client_certificate(directory.path(), "ann@example.com", &groups, 7, now()).unwrap();
            let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
            let (rest, read) = X509Certificate::from_der(&der).unwrap();
            assert!(rest.is_empty());
            let names: Vec<&str> = read.subject().iter_common_name().map(|name| name.as_str().unwrap()).collect();
            assert_eq!(names, ["ann@example.com"]);
            let found: Vec<&str> = read.subject().iter_organization().map(|name| name.as_str().unwrap()).collect();
            assert_eq!(found, groups);
            let (begins, ends) = (read.validity().not_before.timestamp(), read.validity().not_after.timestamp());
            assert_eq!((begins, ends), (now().as_second() - 3600, now().as_second() + 7 * 86_400));
            assert_eq!(ends, issued.ends.as_second());
            assert_eq!(issued.authority, authority.certificate());
            assert_eq!(super::super::pair_problem(issued.certificate.as_bytes(), issued.key.as_bytes()), None);
        }
    }

    #[test]
    fn names_that_nobody_may_be_given_are_refused_and_so_is_a_folder_without_an_authority() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |user: &str, names: &[&str]| {
            client_certificate(directory.path(), user, &groups(names), 7, now()).err().unwrap().to_string()
        };
        let nothing = refused("ann", &["painters"]);
        assert!(nothing.contains("--data-dir"), "{nothing}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is made");
        Authority::load_or_make(directory.path(), now()).unwrap();
        let long = "x".repeat(65);
        for (user, names) in [
            ("", vec![]),
            (long.as_str(), vec![]),
            ("a\nb", vec![]),
            ("system:admin", vec![]),
            ("ann", vec!["system:masters"]),
            ("ann", vec!["painters", ""]),
        ] {
            assert!(refused(user, &names).contains("can't be in a client certificate"), "{user} {names:?}");
        }
    }
}
