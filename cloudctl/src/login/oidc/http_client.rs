//! Asks an issuer over TLS, within bounds of size and time. It follows no redirect, as codes and tokens go where the issuer's own
//! document says, and nowhere else.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use kube::{Client, Config};
use serde_json::Value;
use url::{Position, Url, form_urlencoded};

use super::proof::Proof;
use super::{Issuer, IssuerError};
use crate::connect::CONNECT_TIMEOUT;

const PATIENCE: Duration = Duration::from_secs(20);
const MOST: usize = 1 << 20;

/// What is at an address; null for what is no JSON.
pub(super) async fn get(issuer: &Issuer, address: &str) -> Result<(StatusCode, Value), IssuerError> {
    ask(issuer, Method::GET, address, String::new(), None).await
}

/// The answer to a form of a client.
pub(super) async fn post(
    issuer: &Issuer,
    address: &str,
    form: &[(&str, &str)],
    proof: Proof<'_>,
) -> Result<(StatusCode, Value), IssuerError> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).extend_pairs(proof.form).finish();
    ask(issuer, Method::POST, address, body, proof.authorization).await
}

/// An address that may be asked, or shown to a browser.
pub(super) fn https(address: &str) -> Result<Url, IssuerError> {
    let url = Url::parse(address).ok().filter(|url| url.scheme() == "https" && url.has_host());
    url.ok_or_else(|| IssuerError::Address { address: super::error::plain(address) })
}

async fn ask(
    issuer: &Issuer,
    method: Method,
    address: &str,
    body: String,
    authorization: Option<String>,
) -> Result<(StatusCode, Value), IssuerError> {
    let url = https(address)?;
    let bad = || IssuerError::Address { address: address.to_owned() };
    let host = format!("https://{}", &url[Position::BeforeHost..Position::AfterPort]);
    let mut config = Config::new(host.parse().map_err(|_| bad())?);
    if !issuer.certificate_authorities.is_empty() {
        let decoded: Result<_, _> = issuer.certificate_authorities.iter().map(|der| STANDARD.decode(der)).collect();
        config.root_cert = Some(decoded.map_err(|_| untrusted(issuer))?);
    }
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.default_retry = false;
    let client = Client::try_from(config).map_err(|_| untrusted(issuer))?;
    let mut request = Request::builder().method(&method).uri(&url[Position::BeforePath..Position::AfterQuery]);
    request = request.header(header::ACCEPT, "application/json");
    if method == Method::POST {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let request = request.body(Body::from(body.into_bytes())).map_err(|_| bad())?;
    let silent = |error| IssuerError::Unreachable { address: address.to_owned(), error: Box::new(error) };
    let broken = |source| IssuerError::Broken { address: address.to_owned(), source };
    let exchange = async {
        let answer = client.send(request).await.map_err(silent)?;
        let status = answer.status();
        let bytes = Limited::new(answer.into_body(), MOST).collect().await.map_err(broken)?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    };
    let answered = tokio::time::timeout(PATIENCE, exchange).await;
    answered.unwrap_or_else(|_| Err(IssuerError::Slow { address: address.to_owned() }))
}

fn untrusted(issuer: &Issuer) -> IssuerError {
    IssuerError::Authorities { issuer: issuer.url.clone() }
}
