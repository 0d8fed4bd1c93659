//! Sends a body that is too large to be held in memory. The client that everything else uses holds every body, to be able
//! to send it twice; this one sends while it reads, once.

use std::io;

use futures::TryStreamExt as _;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt as _};
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;
use tower::{ServiceBuilder, ServiceExt as _};

use super::{ApiError, JSON, Session, refusal};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

impl Session {
    /// Posts what `content` holds, to its end.
    pub(crate) async fn upload(
        &self,
        path: &str,
        headers: HeaderMap,
        content: impl AsyncRead + Send + 'static,
    ) -> Result<Value, ApiError> {
        let asked = format!("POST {path}");
        let unreachable = |error| ApiError::Unreachable { address: self.address.clone(), error: Box::new(error) };
        let pieces = ReaderStream::with_capacity(content, PIECE).map_ok(Frame::data);
        let mut request = Request::post(path)
            .header(header::ACCEPT, JSON)
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .body(StreamBody::new(pieces).boxed_unsync())
            .map_err(|source| ApiError::Request { request: asked.clone(), source })?;
        request.headers_mut().extend(headers);
        let config = self.config.as_ref().ok_or_else(|| ApiError::Broken {
            request: asked.clone(),
            source: Box::new(io::Error::other("this session cannot send files")),
        })?;
        let connector = config.rustls_https_connector().map_err(unreachable)?;
        let service = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(config.auth_layer().map_err(unreachable)?)
            .map_err(tower::BoxError::from)
            .service(Client::builder(TokioExecutor::new()).build(connector));
        let response = service.oneshot(request).await.map_err(|error| unreachable(kube::Error::Service(error)))?;
        let (parts, body) = response.into_parts();
        let answer = body.collect().await;
        let bytes =
            answer.map_err(|error| ApiError::Broken { request: asked.clone(), source: Box::new(error) })?.to_bytes();
        if !parts.status.is_success() {
            return Err(refusal(Response::from_parts(parts, Body::from(bytes)), asked).await);
        }
        serde_json::from_slice(&bytes).map_err(|source| ApiError::NotJson { request: asked, source })
    }
}
