//! One HTTP/2 connection over TLS, so that a benchmark says how many there are.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use super::targets::Target;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a server, for one request at a time.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
    authorization: String,
}

impl Connection {
    pub(crate) async fn open(target: &Target) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&target.authority).await?;
        stream.set_nodelay(true)?;
        let host = target.authority.rsplit_once(':').map_or(target.authority.as_str(), |(host, _)| host);
        let name = ServerName::try_from(host.to_owned())?;
        let stream = target.tls.connect(name, stream).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(connection);
        Ok(Self { sender, authority: target.authority.clone(), authorization: target.authorization.clone() })
    }

    /// Sends a request and returns the answer's head with its body still to be read.
    pub(crate) async fn start(
        &mut self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> anyhow::Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{}{path}", self.authority))
            .header("accept", "application/json")
            .header("authorization", &self.authorization)
            .header("user-agent", "bench")
            .header("content-type", content_type)
            .body(Full::new(body))?;
        self.sender.ready().await?;
        Ok(tokio::time::timeout(PATIENCE, self.sender.send_request(request)).await.context("no answer")??)
    }

    /// Sends a request and reads the whole answer, which must be a success.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> anyhow::Result<Bytes> {
        let what = format!("{method} {path}");
        let answer = self.start(method, path, content_type, body).await.with_context(|| what.clone())?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        anyhow::ensure!(
            status.is_success(),
            "{what}: {status}: {}",
            String::from_utf8_lossy(&body[..body.len().min(300)])
        );
        Ok(body)
    }
}
