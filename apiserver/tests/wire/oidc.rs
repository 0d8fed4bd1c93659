//! Users of an OpenID issuer: a small one of the test's own, over TLS.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apiserver::{Oidc, OidcOptions, SystemClock, tls};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::harness::Server;
use crate::users::Hands;

const NOW: i64 = 1_800_000_000;

fn coded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of the issuer's.
enum IssuerKey {
    Rsa(&'static str, RsaKeyPair),
    Ec(&'static str, EcdsaKeyPair),
}

impl IssuerKey {
    fn rsa(id: &'static str) -> Self {
        Self::Rsa(id, RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn ec(id: &'static str) -> Self {
        Self::Ec(id, EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn published(&self) -> Value {
        match self {
            Self::Rsa(id, pair) => {
                let key = pair.public_key();
                let (n, e) = (key.modulus().big_endian_without_leading_zero(), key.exponent());
                json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": coded(n),
                       "e": coded(e.big_endian_without_leading_zero())})
            }
            Self::Ec(id, pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "kid": id, "crv": "P-256", "x": coded(x), "y": coded(y)})
            }
        }
    }

    fn sign(&self, claims: &Value) -> String {
        let (id, algorithm) = match self {
            Self::Rsa(id, _) => (id, "RS256"),
            Self::Ec(id, _) => (id, "ES256"),
        };
        let header = json!({"alg": algorithm, "kid": id, "typ": "JWT"});
        let text = format!("{}.{}", coded(header.to_string()), coded(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(_, pair) => {
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut bytes).unwrap();
                bytes
            }
            Self::Ec(_, pair) => pair.sign(&random, text.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{text}.{}", coded(signature))
    }
}

/// An issuer that answers, or not.
struct Issuer {
    url: String,
    authority: String,
    keys: Mutex<Vec<Value>>,
    is_away: AtomicBool,
    asked: AtomicUsize,
    _directory: tempfile::TempDir,
}

impl Issuer {
    async fn open(keys: &[&IssuerKey]) -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let identity = tls::identity(directory.path(), &[], None, &SystemClock).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Arc::new(Self {
            url: format!("https://{}", listener.local_addr().unwrap()),
            authority: identity.authority,
            keys: Mutex::default(),
            is_away: AtomicBool::default(),
            asked: AtomicUsize::default(),
            _directory: directory,
        });
        issuer.publish(keys);
        let (serving, acceptor) = (Arc::clone(&issuer), TlsAcceptor::from(identity.server));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, acceptor) = (Arc::clone(&serving), acceptor.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(|request: Request<hyper::body::Incoming>| {
                        let answer = serving.answer(request.uri().path());
                        async move { Ok::<_, std::convert::Infallible>(answer) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        issuer
    }

    fn publish(&self, keys: &[&IssuerKey]) {
        *self.keys.lock().unwrap() = keys.iter().map(|key| key.published()).collect();
    }

    fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        let document = match path {
            "/.well-known/openid-configuration" => {
                self.asked.fetch_add(1, Ordering::Relaxed);
                json!({"issuer": self.url, "jwks_uri": format!("{}/keys", self.url)})
            }
            _ => json!({"keys": *self.keys.lock().unwrap()}),
        };
        let code = if self.is_away.load(Ordering::Relaxed) { 503 } else { 200 };
        Response::builder().status(code).body(Full::from(document.to_string())).unwrap()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn claims(&self) -> Value {
        json!({"iss": self.url, "aud": "cloud", "sub": "ann", "exp": NOW + 600, "groups": ["painters"]})
    }

    async fn server(&self, clock: &Arc<Hands>) -> Server {
        let options = OidcOptions {
            issuer_url: self.url.clone(),
            client_id: "cloud".into(),
            username_claim: "sub".into(),
            username_prefix: Some("oidc:".into()),
            groups_claim: Some("groups".into()),
            groups_prefix: "oidc:".into(),
            required_claims: Vec::new(),
        };
        let oidc = Oidc::new(options, Some(&self.authority)).unwrap();
        Server::with_users(|config| {
            config.clock = Arc::<Hands>::clone(clock);
            config.oidc = Some(oidc);
        })
        .await
    }
}

#[tokio::test]
async fn a_user_of_the_issuer_comes_in_by_an_id_token() {
    let (rsa, ec) = (IssuerKey::rsa("one"), IssuerKey::ec("two"));
    let (issuer, clock) = (Issuer::open(&[&rsa, &ec]).await, Hands::new());
    let server = issuer.server(&clock).await;
    for key in [&rsa, &ec] {
        let token = key.sign(&issuer.claims());
        let who = server.who(&token).await.unwrap();
        assert_eq!(who["username"], "oidc:ann");
        assert_eq!(who["groups"], json!(["oidc:painters", "system:authenticated"]));
        assert_eq!(server.review(&token, json!([])).await["user"]["username"], "oidc:ann");
        assert_eq!(server.review(&token, json!(["vault"])).await.get("authenticated"), None);
    }
    assert_eq!(issuer.asked(), 1);
    let several = json!({"iss": issuer.url, "aud": ["x", "cloud"], "sub": "ann", "exp": NOW + 600});
    assert!(server.who(&rsa.sign(&several)).await.is_ok());
}

#[tokio::test]
async fn a_stranger_learns_where_to_log_in() {
    let stranger = [("authorization", "")];
    let (issuer, clock) = (Issuer::open(&[]).await, Hands::new());
    let told = issuer.server(&clock).await.send("GET", "/auth/v1/oidc", &stranger, "").await.expect(200);
    assert_eq!((&told["issuer"], &told["clientId"]), (&json!(issuer.url), &json!("cloud")));
    let authority = CertificateDer::from_pem_slice(issuer.authority.as_bytes()).unwrap();
    assert_eq!(told["certificateAuthorities"], json!([STANDARD.encode(authority)]));
    assert_eq!(issuer.asked(), 0);

    let server = Server::with_users(|_| {}).await;
    let refused = server.send("GET", "/auth/v1/oidc", &stranger, "").await.expect(404);
    assert!(refused["message"].as_str().unwrap().contains("--oidc-issuer-url"), "{refused}");
    server.send("POST", "/auth/v1/oidc", &stranger, "{}").await.expect(405);
    server.send("GET", "/auth/v1/login", &stranger, "").await.expect(405);
}

#[tokio::test]
async fn a_token_that_is_not_of_the_issuer_or_not_for_us_or_not_now_is_refused() {
    let (key, stranger) = (IssuerKey::rsa("one"), IssuerKey::rsa("one"));
    let (issuer, clock) = (Issuer::open(&[&key]).await, Hands::new());
    let server = issuer.server(&clock).await;
    let with = |field: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[field] = value;
        key.sign(&claims)
    };
    let good = key.sign(&issuer.claims());
    let (_, payload) = good.split_once('.').unwrap();
    let headed = |header: Value| format!("{}.{payload}", coded(header.to_string()));
    let unsigned = format!("{}.{}.", coded(r#"{"alg":"none","kid":"one"}"#), coded(issuer.claims().to_string()));
    for (what, token) in [
        ("another issuer", with("iss", json!("https://elsewhere"))),
        ("another audience", with("aud", json!("other"))),
        ("no audience", with("aud", json!(null))),
        ("the end", with("exp", json!(NOW))),
        ("no end", with("exp", json!(null))),
        ("before its time", with("nbf", json!(NOW + 61))),
        ("no name", with("sub", json!(null))),
        ("a stranger's key", stranger.sign(&issuer.claims())),
        ("an unknown key", IssuerKey::ec("other").sign(&issuer.claims())),
        ("no signature", unsigned),
        ("no signature that is claimed", headed(json!({"alg": "none", "kid": "one"}))),
        ("a secret's signature", headed(json!({"alg": "HS256", "kid": "one"}))),
        ("another algorithm", headed(json!({"alg": "ES256", "kid": "one"}))),
        ("another hash", headed(json!({"alg": "RS512", "kid": "one"}))),
    ] {
        assert_eq!(server.who(&token).await, Err(401), "{what}");
    }
    assert!(server.who(&good).await.is_ok());
    assert!(server.who(&with("nbf", json!(NOW + 60))).await.is_ok(), "clocks differ a little");
    clock.pass(Duration::from_secs(600));
    assert_eq!(server.who(&good).await, Err(401), "it has ended, though it was proven before");
}

#[tokio::test]
async fn new_keys_are_fetched_when_they_are_needed_and_nobody_makes_us_fetch_without_end() {
    let (old, new) = (IssuerKey::rsa("one"), IssuerKey::ec("two"));
    let (issuer, clock) = (Issuer::open(&[&old]).await, Hands::new());
    let server = issuer.server(&clock).await;
    assert_eq!(issuer.asked(), 0, "nothing is asked at the start");
    assert!(server.who(&old.sign(&issuer.claims())).await.is_ok());
    for _ in 0..5 {
        assert_eq!(server.who(&new.sign(&issuer.claims())).await, Err(401));
    }
    assert_eq!(issuer.asked(), 1, "it was asked a moment ago");
    issuer.publish(&[&new]);
    clock.pass(Duration::from_secs(10));
    assert!(server.who(&new.sign(&issuer.claims())).await.is_ok());
    assert_eq!(issuer.asked(), 2);
    assert_eq!(server.who(&old.sign(&issuer.claims())).await, Err(401), "its key was withdrawn");
    for number in 0..5 {
        let mut claims = issuer.claims();
        claims["jti"] = number.into();
        let made_up = format!("{}.x", IssuerKey::ec("made up").sign(&claims).rsplit_once('.').unwrap().0);
        assert_eq!(server.who(&made_up).await, Err(401));
    }
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_key_that_the_issuer_withdraws_counts_for_an_hour_at_most() {
    let (old, new) = (IssuerKey::rsa("one"), IssuerKey::rsa("two"));
    let (issuer, clock) = (Issuer::open(&[&old]).await, Hands::new());
    let server = issuer.server(&clock).await;
    let mut claims = issuer.claims();
    claims["exp"] = (NOW + 100_000).into();
    let token = old.sign(&claims);
    assert!(server.who(&token).await.is_ok());
    issuer.publish(&[&new]);
    clock.pass(Duration::from_secs(3601));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while server.who(&token).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "the key is not fetched anew");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_issuer_that_is_away_keeps_nobody_else_out() {
    let key = IssuerKey::rsa("one");
    let (issuer, clock) = (Issuer::open(&[&key]).await, Hands::new());
    issuer.is_away.store(true, Ordering::Relaxed);
    let server = issuer.server(&clock).await;
    let token = key.sign(&issuer.claims());
    assert_eq!(server.who(&token).await, Err(401));
    server.make_account().await;
    assert!(server.who(&server.token(json!({})).await).await.is_ok());
    issuer.is_away.store(false, Ordering::Relaxed);
    clock.pass(Duration::from_secs(10));
    assert!(server.who(&token).await.is_ok());
    issuer.is_away.store(true, Ordering::Relaxed);
    clock.pass(Duration::from_secs(10));
    assert!(server.who(&token).await.is_ok(), "known keys go on");
}

#[test]
fn an_issuer_without_tls_is_refused() {
    let options = |url: &str| OidcOptions {
        issuer_url: url.into(),
        client_id: "cloud".into(),
        username_claim: "sub".into(),
        username_prefix: None,
        groups_claim: None,
        groups_prefix: String::new(),
        required_claims: Vec::new(),
    };
    for url in ["http://issuer", "issuer", "https://issuer?x=1", "https://issuer#x"] {
        assert!(Oidc::new(options(url), None).is_err(), "{url}");
    }
    assert!(Oidc::new(options("https://issuer"), Some("no certificate")).is_err());
}
