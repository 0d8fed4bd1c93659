//! Fetches a JSON document by HTTPS, within bounds of size and time. It follows no redirect, as keys come from where the operator
//! said, and knows no proxy.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(10);
const MOST: usize = 1 << 20;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The address can't be asked.
    #[error("`{0}` is not the https:// address of a host")]
    Address(String),
    /// The server can't be reached, or isn't who it should be.
    #[error("no connection to `{host}`")]
    Connect {
        host: String,
        #[source]
        source: io::Error,
    },
    /// It doesn't speak HTTP to the end.
    #[error("no answer from `{url}`")]
    Talk {
        url: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answers something else.
    #[error("`{url}` answered {status}")]
    Status { url: String, status: StatusCode },
    /// It takes too long.
    #[error("`{0}` took too long")]
    Slow(String),
}

/// The document at an address.
pub(super) async fn document(tls: Arc<ClientConfig>, address: &str) -> Result<Value, FetchError> {
    tokio::time::timeout(PATIENCE, fetch(tls, address))
        .await
        .unwrap_or_else(|_| Err(FetchError::Slow(address.to_owned())))
}

async fn fetch(tls: Arc<ClientConfig>, address: &str) -> Result<Value, FetchError> {
    let bad = || FetchError::Address(address.to_owned());
    let url = Url::parse(address).ok().filter(|url| url.scheme() == "https").ok_or_else(bad)?;
    // IPv6 is in brackets here, and not in a certificate.
    let host = url.host_str().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
    let failed = |source| FetchError::Connect { host: host.clone(), source };
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(failed)?;
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(failed)?;

    let talk = |source: Box<dyn std::error::Error + Send + Sync>| FetchError::Talk { url: address.to_owned(), source };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| talk(error.into()))?;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "the-cloud")
        .body(Empty::<Bytes>::new())
        .map_err(|_| bad())?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|error| talk(error.into()))?;
        let status = answer.status();
        if status != StatusCode::OK {
            return Err(FetchError::Status { url: address.to_owned(), status });
        }
        let body = Limited::new(answer.into_body(), MOST).collect().await.map_err(talk)?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| talk(error.into()))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // What came before the end may be the whole answer.
        _ = connection => answer.await,
    }
}
