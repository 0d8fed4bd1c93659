//! The certificate authority and what it signs: when a certificate is made, kept, or replaced before it expires.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::{TlsError, files, is_address};

const AUTHORITY_CERTIFICATE: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
pub(super) const SERVING_CERTIFICATE: &str = "serving.crt";
const SERVING_KEY: &str = "serving.key";
/// What the serving certificate was made for: names, and when it ends.
const SERVING_NOTES: &str = "serving.txt";

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Some clients' clocks are late.
const BACKDATED: SignedDuration = SignedDuration::from_hours(1);
const AUTHORITY_DAYS: i32 = 3650;
const SERVING_DAYS: i32 = 365;
const RENEWED_DAYS_BEFORE: i32 = 30;

/// The names that every serving certificate has, and those given.
#[must_use]
pub fn names(also: &[String]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1", "kubernetes.default.svc"].map(str::to_owned).into();
    names.extend(also.iter().cloned());
    names.sort();
    names.dedup();
    names
}

/// A certificate authority of our own.
pub(super) struct Authority {
    certificate: String,
    key: KeyPair,
}

impl Authority {
    /// The authority of a directory, if there is one.
    pub(super) fn load(directory: &Path) -> Result<Option<Self>, TlsError> {
        let (certificate_path, key_path) = (directory.join(AUTHORITY_CERTIFICATE), directory.join(AUTHORITY_KEY));
        let (Some(certificate), Some(key)) = (files::read(&certificate_path)?, files::read(&key_path)?) else {
            return Ok(None);
        };
        let key = KeyPair::from_pem(&key).map_err(|_| TlsError::Malformed { path: key_path, what: "key" })?;
        Ok(Some(Self { certificate, key }))
    }

    pub(super) fn load_or_make(directory: &Path, now: Timestamp) -> Result<Self, TlsError> {
        if let Some(authority) = Self::load(directory)? {
            return Ok(authority);
        }
        let (certificate_path, key_path) = (directory.join(AUTHORITY_CERTIFICATE), directory.join(AUTHORITY_KEY));
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = name("the-cloud-ca");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_period(&mut parameters, now, AUTHORITY_DAYS);
        let key = KeyPair::generate().map_err(TlsError::Make)?;
        let certificate = parameters.self_signed(&key).map_err(TlsError::Make)?.pem();
        // The key first: a certificate without its key would be taken for spoilt.
        files::write(&key_path, &key.serialize_pem())?;
        files::write(&certificate_path, &certificate)?;
        Ok(Self { certificate, key })
    }

    /// The authority's own certificate, PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// What signs.
    pub(super) fn key(&self) -> &KeyPair {
        &self.key
    }

    /// The serving certificate and its key, PEM; a new pair where the old one ends soon or lacks a name.
    pub(super) fn serving(
        &self,
        directory: &Path,
        names: &[String],
        now: Timestamp,
    ) -> Result<(String, String), TlsError> {
        let paths = [SERVING_CERTIFICATE, SERVING_KEY, SERVING_NOTES].map(|file| directory.join(file));
        let [certificate_path, key_path, notes_path] = &paths;
        let kept = (files::read(certificate_path)?, files::read(key_path)?, files::read(notes_path)?);
        if let (Some(certificate), Some(key), Some(notes)) = kept
            && is_good(&notes, &self.certificate, names, now)
        {
            return Ok((certificate, key));
        }
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, &self.key).map_err(TlsError::Make)?;
        let mut parameters = CertificateParams::new(names.to_vec()).map_err(TlsError::Make)?;
        let plain = names.iter().find(|name| !is_address(name)).map_or("localhost", String::as_str);
        parameters.distinguished_name = name(plain);
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let end = set_period(&mut parameters, now, SERVING_DAYS);
        let key = KeyPair::generate().map_err(TlsError::Make)?;
        let certificate = parameters.signed_by(&key, &issuer).map_err(TlsError::Make)?.pem();
        files::write(key_path, &key.serialize_pem())?;
        files::write(certificate_path, &certificate)?;
        // The notes last: they vouch for the two.
        files::write(notes_path, &notes(&self.certificate, names, end))?;
        Ok((certificate, key.serialize_pem()))
    }
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "The Cloud");
    name.push(DnType::CommonName, common);
    name
}

/// Sets from when a certificate counts, and returns until when.
pub(super) fn set_period(parameters: &mut CertificateParams, now: Timestamp, days: i32) -> Timestamp {
    let (start, end) = (now - BACKDATED, now + DAY * days);
    let at = |moment: Timestamp| {
        let since_1970 = Duration::from_secs(u64::try_from(moment.as_second()).unwrap_or(0));
        rcgen::date_time_ymd(1970, 1, 1) + since_1970
    };
    parameters.not_before = at(start);
    parameters.not_after = at(end);
    end
}

fn notes(authority: &str, names: &[String], end: Timestamp) -> String {
    format!("{end}\n{}\n{}\n", crate::access::TokenHash::of(authority), names.join(" "))
}

/// Whether a certificate with these notes still serves.
fn is_good(kept: &str, authority: &str, names: &[String], now: Timestamp) -> bool {
    let end = kept.lines().next().and_then(|line| line.parse::<Timestamp>().ok());
    end.is_some_and(|end| now + DAY * RENEWED_DAYS_BEFORE < end && kept == notes(authority, names, end))
}
