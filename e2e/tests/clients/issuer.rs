//! A small OpenID issuer, over TLS: its one user is logged in as soon as a browser comes. It is as strict as real ones are: a code
//! and a refresh token count once, a refresh token that comes back ends the login, and a client with a secret proves itself each time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use url::form_urlencoded;

/// How long an ID token lives, in seconds: so short that each use renews it, and long enough for that use.
const LIFE: u64 = 9;

/// The issuer, for as long as it is kept.
pub(crate) struct Issuer {
    pub(crate) url: String,
    /// Its certificate, PEM.
    pub(crate) certificate: String,
    books: Arc<Books>,
    _runtime: Runtime,
}

/// What it remembers.
struct Books {
    url: String,
    key: KeyPair,
    /// What was asked for each code.
    codes: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
    logins: Mutex<Vec<Login>>,
    /// Whether somebody has confirmed the code of a device: it counts from the second question on.
    confirmed: Mutex<Option<Confirmed>>,
    denies: Mutex<bool>,
    /// What the header `Authorization` must be of whoever asks for tokens; nothing where the client has no secret.
    proof: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Confirmed {
    JustNow,
    Before,
}

/// A login, with its refresh tokens: the last one counts.
#[derive(Default)]
struct Login {
    given: Vec<String>,
    is_over: bool,
}

type Form = BTreeMap<String, String>;

impl Issuer {
    /// One that knows the client by its name alone.
    pub(crate) fn open() -> Self {
        Self::wanting(None)
    }

    /// One that knows the client with a secret.
    pub(crate) fn with_secret(secret: &str) -> Self {
        Self::wanting(Some(format!("Basic {}", STANDARD.encode(format!("cloud:{secret}")))))
    }

    fn wanting(proof: Option<String>) -> Self {
        let tls = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let books = Arc::new(Books {
            url: url.clone(),
            key: KeyPair::generate().unwrap(),
            codes: Mutex::default(),
            logins: Mutex::default(),
            confirmed: Mutex::default(),
            denies: Mutex::default(),
            proof,
        });
        let key = PrivateKeyDer::try_from(tls.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![tls.cert.der().clone()], key).unwrap();
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), Arc::clone(&books)));
        Self { url, certificate: tls.cert.pem(), books, _runtime: runtime }
    }

    /// Whether whoever comes declines from now on.
    pub(crate) fn set_denies(&self, denies: bool) {
        *self.books.denies.lock().unwrap() = denies;
    }

    /// How often each login was renewed, and whether it is over.
    pub(crate) fn logins(&self) -> Vec<(usize, bool)> {
        self.books.logins.lock().unwrap().iter().map(|login| (login.given.len() - 1, login.is_over)).collect()
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, books: Arc<Books>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, books) = (acceptor.clone(), Arc::clone(&books));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|request: Request<Incoming>| {
                let books = Arc::clone(&books);
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let path = parts.uri.path();
                    if ["/token", "/device", "/revoke"].contains(&path) && !books.knows(&parts.headers, &body) {
                        return Ok(answer(401, &json!({"error": "invalid_client"})));
                    }
                    let answer = books.answer(path, parts.uri.query().unwrap_or_default(), &body);
                    Ok::<_, std::convert::Infallible>(answer)
                }
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Books {
    fn answer(&self, path: &str, query: &str, body: &[u8]) -> Response<Full<Bytes>> {
        match path {
            "/authorize" => self.authorize(&read(query.as_bytes())),
            "/token" => match self.grant(&read(body)) {
                Ok(tokens) => answer(200, &tokens),
                Err(error) => answer(400, &json!({"error": error})),
            },
            "/device" => {
                let page = format!("{}/confirm", self.url);
                answer(200, &json!({"device_code": "d", "user_code": "CODE", "verification_uri": page, "interval": 1}))
            }
            "/confirm" => {
                *self.confirmed.lock().unwrap() =
                    (read(query.as_bytes())["code"] == "CODE").then_some(Confirmed::JustNow);
                answer(200, &json!({}))
            }
            "/revoke" => {
                let token = &read(body)["token"];
                for login in self.logins.lock().unwrap().iter_mut() {
                    login.is_over |= login.given.contains(token);
                }
                answer(200, &json!({}))
            }
            "/keys" => {
                let (x, y) = self.key.public_key_raw()[1..].split_at(32);
                answer(
                    200,
                    &json!({"keys": [{"kty": "EC", "kid": "one", "crv": "P-256", "x": coded(x), "y": coded(y)}]}),
                )
            }
            _ => answer(
                200,
                &json!({
                    "issuer": self.url,
                    "authorization_endpoint": format!("{}/authorize", self.url),
                    "token_endpoint": format!("{}/token", self.url),
                    "device_authorization_endpoint": format!("{}/device", self.url),
                    "revocation_endpoint": format!("{}/revoke", self.url),
                    "jwks_uri": format!("{}/keys", self.url),
                    "scopes_supported": ["openid", "offline_access", "groups"],
                }),
            ),
        }
    }

    /// Sends the browser back, with a code.
    fn authorize(&self, asked: &Form) -> Response<Full<Bytes>> {
        assert_eq!((asked["response_type"].as_str(), asked["client_id"].as_str()), ("code", "cloud"));
        assert_eq!(
            (asked["scope"].as_str(), asked["code_challenge_method"].as_str()),
            ("openid offline_access groups", "S256")
        );
        assert!(asked["redirect_uri"].starts_with("http://127.0.0.1:"), "{asked:?}");
        let mut back = form_urlencoded::Serializer::new(String::new());
        back.append_pair("state", &asked["state"]).append_pair("iss", &self.url);
        if *self.denies.lock().unwrap() {
            back.append_pair("error", "access_denied");
        } else {
            let mut codes = self.codes.lock().unwrap();
            let code = format!("code-{}", codes.len());
            back.append_pair("code", &code);
            codes.insert(code, asked.clone());
        }
        let place = format!("{}?{}", asked["redirect_uri"], back.finish());
        Response::builder().status(302).header("location", place).body(Full::default()).unwrap()
    }

    /// Whether it is the client that asks.
    fn knows(&self, headers: &HeaderMap, form: &[u8]) -> bool {
        match &self.proof {
            Some(proof) => headers.get("authorization").is_some_and(|brought| brought == proof.as_str()),
            None => read(form).get("client_id").is_some_and(|client| client == "cloud"),
        }
    }

    fn grant(&self, asked: &Form) -> Result<Value, &'static str> {
        let mut logins = self.logins.lock().unwrap();
        if asked["grant_type"] == "authorization_code" {
            let begun = self.codes.lock().unwrap().remove(&asked["code"]).ok_or("invalid_grant")?;
            let challenge = coded(&Sha256::digest(&asked["code_verifier"]));
            if challenge != begun["code_challenge"] || asked["redirect_uri"] != begun["redirect_uri"] {
                return Err("invalid_grant");
            }
            logins.push(Login::default());
            let number = logins.len() - 1;
            return Ok(self.tokens(&mut logins[number], number, begun.get("nonce")));
        }
        if asked["grant_type"].ends_with(":device_code") {
            let mut confirmed = self.confirmed.lock().unwrap();
            if *confirmed != Some(Confirmed::Before) {
                *confirmed = confirmed.map(|_| Confirmed::Before);
                return Err("authorization_pending");
            }
            logins.push(Login::default());
            let number = logins.len() - 1;
            return Ok(self.tokens(&mut logins[number], number, None));
        }
        let token = &asked["refresh_token"];
        let number = logins.iter().position(|login| login.given.contains(token)).ok_or("invalid_grant")?;
        let login = &mut logins[number];
        // Somebody has stolen it, or two used it at once.
        login.is_over |= login.given.last() != Some(token);
        if login.is_over { Err("invalid_grant") } else { Ok(self.tokens(login, number, None)) }
    }

    fn tokens(&self, login: &mut Login, number: usize, nonce: Option<&String>) -> Value {
        let refresh_token = format!("refresh-{number}-{}", login.given.len());
        login.given.push(refresh_token.clone());
        let mut claims = json!({
            "iss": self.url, "aud": "cloud", "sub": "ann", "groups": ["painters"],
            "exp": jsonwebtoken::get_current_timestamp() + LIFE,
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.as_str().into();
        }
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::ES256) };
        let key = EncodingKey::from_ec_der(&self.key.serialize_der());
        let id_token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        json!({"id_token": id_token, "access_token": "x", "token_type": "Bearer", "refresh_token": refresh_token})
    }
}

fn answer(status: u16, document: &Value) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::from(document.to_string())).unwrap()
}

fn read(form: &[u8]) -> Form {
    form_urlencoded::parse(form).into_owned().collect()
}

fn coded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
