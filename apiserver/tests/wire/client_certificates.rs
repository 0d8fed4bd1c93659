//! Client certificates, over real connections.

use std::sync::Arc;

use apiserver::{Clock, SystemClock, tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::harness::{Server, TOKEN};
use crate::users::{USERS, user};

/// An authority that signs certificates of clients.
struct Signer {
    certificate: String,
    key: KeyPair,
}

/// What a client proves itself by.
type Pair = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Signer {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "another authority");
        let key = KeyPair::generate().unwrap();
        Self { certificate: parameters.self_signed(&key).unwrap().pem(), key }
    }

    /// The authority of an installation.
    fn of(directory: &std::path::Path) -> Self {
        let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
        Self { certificate: read("ca.crt"), key: KeyPair::from_pem(&read("ca.key")).unwrap() }
    }

    fn sign(&self, name: &str, group: &str) -> Pair {
        self.sign_with(name, group, |_| {})
    }

    fn sign_with(&self, name: &str, group: &str, set: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.distinguished_name.push(DnType::OrganizationName, group);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        set(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, &self.key).unwrap();
        let certificate = parameters.signed_by(&key, &issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap())
    }
}

fn read(issued: &tls::IssuedCertificate) -> Pair {
    let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
    (certificate, PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap())
}

/// A server that listens, with an authority of its own and another that it was told of.
struct Door {
    server: Server,
    own: Signer,
    other: Signer,
    address: std::net::SocketAddr,
    pki: tempfile::TempDir,
}

impl Door {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let other = Signer::new();
        let file = directory.path().join("clients.crt");
        std::fs::write(&file, &other.certificate).unwrap();
        let pki = tempfile::tempdir().unwrap();
        let identity = tls::identity(pki.path(), &[], Some(&file), &SystemClock).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::with_users(|_| {}).await;
        let serving = server.server.clone();
        tokio::spawn(async move { serving.serve(listener, identity.server).await });
        Self { server, own: Signer::of(pki.path()), other, address, pki }
    }

    /// Who somebody is, by a certificate and headers. Nothing if the connection is refused.
    async fn who(&self, pair: Option<Pair>, headers: &str) -> Option<Result<Value, u16>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.own.certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let config = match pair {
            Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => config.with_no_client_auth(),
        };
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::IpAddress(self.address.ip().into());
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).to_string();
        let head = format!(
            "POST /apis/authentication.k8s.io/v1/selfsubjectreviews HTTP/1.1\r\nhost: cloud\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        let answer = String::from_utf8(answer).unwrap();
        let code: u16 = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        if code != 201 {
            return Some(Err(code));
        }
        let whole: Value = serde_json::from_str(&body[body.find('{')?..=body.rfind('}')?]).unwrap();
        Some(Ok(whole["status"]["userInfo"].clone()))
    }
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_is_trusted_lets_its_owner_in() {
    let door = Door::open().await;
    for signer in [&door.own, &door.other] {
        let who = door.who(Some(signer.sign("ann", "painters")), "").await.unwrap().unwrap();
        assert_eq!(who["username"], "ann");
        assert_eq!(who["groups"], json!(["painters", "system:authenticated"]));
        let credential = who["extra"]["authentication.kubernetes.io/credential-id"][0].as_str().unwrap();
        assert!(credential.starts_with("X509SHA256="), "{credential}");
    }
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    let who = door.who(Some(door.own.sign("ann", "painters")), &bearer).await.unwrap().unwrap();
    assert_eq!(who["username"], "ann", "a certificate comes before a token");
}

#[tokio::test]
async fn a_certificate_that_cloudd_makes_lets_somebody_in_until_it_ends() {
    let door = Door::open().await;
    let groups = ["painters".to_owned(), "cleaners".to_owned()];
    let made = |now| tls::client_certificate(door.pki.path(), "ann", &groups, 1, now).unwrap();
    let who = door.who(Some(read(&made(SystemClock.now()))), "").await.unwrap().unwrap();
    assert_eq!(who["username"], "ann");
    assert_eq!(who["groups"], json!(["painters", "cleaners", "system:authenticated"]));
    let a_day = jiff::SignedDuration::from_hours(24);
    let nearly = made(SystemClock.now() - a_day + jiff::SignedDuration::from_mins(5));
    assert!(door.who(Some(read(&nearly)), "").await.unwrap().is_ok(), "it counts to the minute");
    let ended = made(SystemClock.now() - a_day - jiff::SignedDuration::from_secs(2));
    assert_eq!(door.who(Some(read(&ended)), "").await, None);
}

#[tokio::test]
async fn nobody_has_to_have_a_certificate() {
    let door = Door::open().await;
    assert_eq!(door.who(None, "").await, Some(Err(401)));
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    assert_eq!(door.who(None, &bearer).await.unwrap().unwrap()["username"], "admin");
    let nameless = door.own.sign("", "painters");
    assert_eq!(door.who(Some(nameless), "").await, Some(Err(401)));
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_refused_before_anything_is_asked() {
    let door = Door::open().await;
    let ended = door.own.sign_with("ann", "painters", |parameters| {
        parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let of_a_server = door.own.sign_with("ann", "painters", |parameters| {
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    for (what, pair) in [
        ("of a stranger", Signer::new().sign("ann", "painters")),
        ("that has ended", ended),
        ("of a server", of_a_server),
    ] {
        assert_eq!(door.who(Some(pair), &bearer).await, None, "{what}");
    }
}

#[tokio::test]
async fn a_user_who_is_disabled_is_kept_out_with_a_certificate_too() {
    let door = Door::open().await;
    let ann = || Some(door.own.sign("ann", "painters"));
    assert!(door.who(ann(), "").await.unwrap().is_ok());
    door.server.post(USERS, user("ann", json!({"disabled": true}))).await.expect(201);
    assert_eq!(door.who(ann(), "").await, Some(Err(401)));
    let path = format!("{USERS}/ann");
    door.server.merge(&path, json!({"spec": {"disabled": false}})).await.expect(200);
    assert!(door.who(ann(), "").await.unwrap().is_ok());
}
