//! Talks to the server: one `Session` for a command, plain JSON in and out. Decides how an answer becomes a value or an error,
//! and passes the server's warnings on. It knows no kind and prints no object.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::BodyExt as _;
use kube::client::{Body, Connection};
use kube::core::Status;
use kube::{Client, Config};
use serde_json::Value;
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::io::StreamReader;

use crate::output::Screen;

mod catalog;
mod error;
mod follow;
mod misfit;
mod outage;
mod query;
mod resource;
mod upload;
mod watch;

pub(crate) use catalog::{Catalog, distance};
pub(crate) use error::ApiError;
pub(crate) use follow::{Follow, Sight};
pub(crate) use outage::explained;
pub(crate) use query::Query;
pub(crate) use resource::Resource;
pub(crate) use watch::{News, Watch};

/// Who writes, in `managedFields`.
pub(crate) const FIELD_MANAGER: &str = "cloudctl";

/// Plain objects.
pub(crate) const JSON: &str = "application/json";

/// Rows for people, made by the server.
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// What a patch means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patch {
    /// Server-side apply: the fields that a manager wishes for.
    Apply,
    /// RFC 6902: operations.
    Json,
    /// RFC 7386: what is set; null removes.
    Merge,
    /// Kubernetes' own: as merge, with lists that have keys.
    Strategic,
}

impl Patch {
    fn media_type(self) -> &'static str {
        match self {
            // JSON is YAML.
            Self::Apply => "application/apply-patch+yaml",
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
        }
    }
}

/// One server, as one command uses it.
pub(crate) struct Session {
    client: Client,
    namespace: String,
    address: String,
    file: PathBuf,
    context: String,
    config: Option<Config>,
    screen: Screen,
    verbose: u8,
}

impl Session {
    /// A session over a client; `address` is for messages.
    pub(crate) fn new(client: Client, namespace: String, address: String) -> Self {
        Self {
            client,
            namespace,
            address,
            file: PathBuf::new(),
            context: String::new(),
            config: None,
            screen: Screen::plain(),
            verbose: 0,
        }
    }

    /// Remembers where the address is from.
    pub(crate) fn with_source(mut self, file: &Path, context: &str) -> Self {
        self.file = file.to_path_buf();
        self.context = context.to_owned();
        self
    }

    /// Keeps what the client was made of, for what it can't send.
    pub(crate) fn with_config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Sets where warnings go, and whether each request is told.
    pub(crate) fn with_trace(mut self, screen: Screen, verbose: u8) -> Self {
        self.screen = screen;
        self.verbose = verbose;
        self
    }

    /// The namespace to act in.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The server's address.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The kubeconfig file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The context of that file.
    pub(crate) fn context(&self) -> &str {
        &self.context
    }

    /// Where this command prints.
    pub(crate) fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Reads JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.get_as(path, JSON).await
    }

    /// Reads JSON in a shape asked for by `accept`.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Result<Value, ApiError> {
        let (_, value) = self.exchange(Method::GET, path, accept, None).await?;
        Ok(value)
    }

    /// Creates an object.
    pub(crate) async fn post(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        let (_, value) = self.exchange(Method::POST, path, JSON, Some((JSON, object))).await?;
        Ok(value)
    }

    /// Sends a patch.
    pub(crate) async fn patch(&self, path: &str, kind: Patch, patch: &Value) -> Result<Value, ApiError> {
        let (_, value) = self.exchange(Method::PATCH, path, JSON, Some((kind.media_type(), patch))).await?;
        Ok(value)
    }

    /// Deletes an object; the answer is the object while it is still there, else a Status.
    pub(crate) async fn delete(&self, path: &str, options: &Value) -> Result<Value, ApiError> {
        let (_, value) = self.exchange(Method::DELETE, path, JSON, Some((JSON, options))).await?;
        Ok(value)
    }

    /// Reads JSON together with the type that the server says it has.
    pub(crate) async fn get_typed(&self, path: &str, accept: &str) -> Result<(String, Value), ApiError> {
        let (headers, value) = self.exchange(Method::GET, path, accept, None).await?;
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok((kind.to_owned(), value))
    }

    /// Opens a watch: one JSON document a line, until the server ends it.
    pub(crate) async fn lines(
        &self,
        path: &str,
        accept: &str,
    ) -> Result<BoxStream<'static, Result<Value, ApiError>>, ApiError> {
        let asked = format!("GET {path}");
        let response = self.send(Method::GET, path, accept, None).await?;
        let bytes = response.into_body().into_data_stream().map_err(std::io::Error::other);
        let lines = FramedRead::new(StreamReader::new(bytes), LinesCodec::new());
        let values = lines.map(move |line| {
            let line = line.map_err(|source| ApiError::Broken { request: asked.clone(), source: Box::new(source) })?;
            serde_json::from_str(&line).map_err(|source| ApiError::NotJson { request: asked.clone(), source })
        });
        Ok(values.boxed())
    }

    /// Opens a stream of bytes, such as logs.
    pub(crate) async fn bytes(
        &self,
        path: &str,
    ) -> Result<BoxStream<'static, Result<bytes::Bytes, ApiError>>, ApiError> {
        let asked = format!("GET {path}");
        let response = self.send(Method::GET, path, "*/*", None).await?;
        let bytes = response.into_body().into_data_stream();
        Ok(bytes.map_err(move |error| ApiError::Broken { request: asked.clone(), source: Box::new(error) }).boxed())
    }

    /// Opens a WebSocket.
    pub(crate) async fn websocket(&self, path: &str) -> Result<Connection, ApiError> {
        let asked = format!("GET {path}");
        let request = Request::get(path)
            .body(Vec::new())
            .map_err(|source| ApiError::Request { request: asked.clone(), source })?;
        let started = Instant::now();
        let result = self.client.connect(request).await;
        self.trace(&asked, if result.is_ok() { "101" } else { "failed" }, started);
        result.map_err(|error| match error {
            kube::Error::Api(status) => ApiError::Status { status },
            error => ApiError::Unreachable { address: self.address.clone(), error: Box::new(error) },
        })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<(HeaderMap, Value), ApiError> {
        let asked = format!("{method} {path}");
        let response = self.send(method, path, accept, body).await?;
        let (parts, body) = response.into_parts();
        let bytes = collect(body, &asked).await?;
        let value = serde_json::from_slice(&bytes).map_err(|source| ApiError::NotJson { request: asked, source })?;
        Ok((parts.headers, value))
    }

    /// Sends a request and turns an answer that says no into an error.
    async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Response<Body>, ApiError> {
        let asked = format!("{method} {path}");
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, accept);
        let mut bytes = Vec::new();
        if let Some((kind, value)) = body {
            request = request.header(header::CONTENT_TYPE, kind);
            bytes = serde_json::to_vec(value).expect("a JSON value can be written");
        }
        let request =
            request.body(Body::from(bytes)).map_err(|source| ApiError::Request { request: asked.clone(), source })?;
        let started = Instant::now();
        let response = self.client.send(request).await;
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                self.trace(&asked, "no answer", started);
                return Err(ApiError::Unreachable { address: self.address.clone(), error: Box::new(error) });
            }
        };
        self.trace(&asked, response.status().as_str(), started);
        self.warn(response.headers());
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response, asked).await)
    }

    fn trace(&self, asked: &str, outcome: &str, started: Instant) {
        if self.verbose > 0 {
            self.screen.note(&format!("{asked} -> {outcome} in {} ms", started.elapsed().as_millis()));
        }
    }

    /// Passes on what the server wants people to know.
    fn warn(&self, headers: &HeaderMap) {
        for value in headers.get_all(header::WARNING) {
            let text = value.to_str().unwrap_or_default();
            // 299 - "text", with quotes and backslashes escaped
            let quoted = text.split_once('"').map_or(text, |(_, rest)| rest.strip_suffix('"').unwrap_or(rest));
            self.screen.warning(&quoted.replace("\\\"", "\"").replace("\\\\", "\\"));
        }
    }
}

async fn collect(body: Body, asked: &str) -> Result<bytes::Bytes, ApiError> {
    let collected = body.collect().await;
    let collected =
        collected.map_err(|error| ApiError::Broken { request: asked.to_owned(), source: Box::new(error) })?;
    Ok(collected.to_bytes())
}

async fn refusal(response: Response<Body>, asked: String) -> ApiError {
    let code = response.status().as_u16();
    let bytes = match collect(response.into_body(), &asked).await {
        Ok(bytes) => bytes,
        Err(error) => return error,
    };
    match serde_json::from_slice::<Status>(&bytes) {
        Ok(mut status) if !status.reason.is_empty() || !status.message.is_empty() => {
            if status.code == 0 {
                status.code = code;
            }
            ApiError::Status { status: Box::new(status) }
        }
        _ => {
            let text = String::from_utf8_lossy(&bytes);
            ApiError::Plain { code, request: asked, body: text.trim().chars().take(200).collect() }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
