//! Connect subresources: logs, sessions and connections of running things, through a port that the binary fills.
//!
//! In: the object and what the client wants of it. Out: a stream of text, or a WebSocket session. It never knows what
//! runs behind an object.

mod exec;
mod forward;
mod log;
mod metrics;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use http::{Method, Request};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::body::RequestBody;
use crate::error::{ApiError, Reason};
use crate::places::Place;
use crate::policy::{self, Operation};
use crate::query::Query;
use crate::response::Answer;
use crate::verbs::{Call, get, not_allowed};

/// The object whose machine is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamTarget {
    /// The API group.
    pub group: String,
    /// `Instance`
    pub kind: String,
    /// The namespace; empty for objects of the whole installation.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// Which of the objects that ever had this name.
    pub uid: String,
}

/// What a client wants to see of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Which container, where there are several.
    pub container: Option<String>,
    /// Whether to go on with what is written from now on.
    pub follow: bool,
    /// Only so many of the last lines.
    pub tail: Option<u64>,
    /// Nothing older than this.
    pub since: Option<Timestamp>,
    /// Whether each line begins with the time at which it was written.
    pub timestamps: bool,
    /// Whether the log of the run before this one is meant.
    pub previous: bool,
    /// Not more than so many bytes.
    pub limit_bytes: Option<u64>,
}

/// What a client wants to run or join.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// The program and its arguments; empty to join what runs already.
    pub command: Vec<String>,
    /// Which container, where there are several.
    pub container: Option<String>,
    /// Whether input is sent.
    pub stdin: bool,
    /// Whether output is wanted.
    pub stdout: bool,
    /// Whether errors are wanted apart; never with a terminal.
    pub stderr: bool,
    /// Whether the program gets a terminal.
    pub tty: bool,
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// What a program in a session writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// To its standard output, or to its terminal.
    Stdout(Bytes),
    /// To its standard error.
    Stderr(Bytes),
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The program ended with this code.
    Code(i32),
}

/// A running session. Dropping it leaves the program to itself.
pub struct ExecSession {
    /// Takes the input; closing it is the end of the input.
    pub stdin: Option<mpsc::Sender<Bytes>>,
    /// Gives the output until the program has closed it.
    pub output: BoxStream<'static, Result<Output, StreamError>>,
    /// Takes new sizes of the terminal.
    pub resize: Option<mpsc::Sender<TerminalSize>>,
    /// Tells how the program ended.
    pub exit: BoxFuture<'static, Result<Exit, StreamError>>,
}

impl std::fmt::Debug for ExecSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSession").finish_non_exhaustive()
    }
}

/// A connection to a port of a machine.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// A connection that stands. Dropping it closes it.
pub type Dialled = Box<dyn Connection>;

/// What a machine has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// When that was so.
    pub at: Timestamp,
    /// Processor time since the machine's start.
    pub cpu: Duration,
    /// Memory at that moment.
    pub memory_bytes: u64,
}

/// Why there is no stream. The text goes to the user.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StreamError {
    /// There is no machine, container or earlier run to speak of.
    #[error("{0}")]
    NotFound(String),
    /// Nothing runs at the moment.
    #[error("{0}")]
    NotRunning(String),
    /// The machine runs, and nobody in it takes connections on this port.
    #[error("{0}")]
    Refused(String),
    /// The wish makes no sense for this machine.
    #[error("{0}")]
    Invalid(String),
    /// The backend does not do this.
    #[error("{0}")]
    Unsupported(String),
    /// The backend is away.
    #[error("{0}")]
    Unavailable(String),
}

/// Logs of running things.
pub type LogStream = BoxStream<'static, Result<Bytes, StreamError>>;

/// The port to what runs behind objects.
#[async_trait]
pub trait Streams: Send + Sync + 'static {
    /// What a machine has written.
    async fn log(&self, target: &StreamTarget, options: LogOptions) -> Result<LogStream, StreamError>;

    /// Starts a program inside a machine, or joins what is at its console where there is no command.
    async fn exec(&self, target: &StreamTarget, options: ExecOptions) -> Result<ExecSession, StreamError>;

    /// What a running machine has used.
    async fn usage(&self, target: &StreamTarget) -> Result<Usage, StreamError>;

    /// Connects to a TCP port of a machine.
    ///
    /// # Errors
    /// `Refused` if the machine runs and the port can't be reached.
    async fn dial(&self, target: &StreamTarget, port: u16) -> Result<Dialled, StreamError>;
}

/// Keeps a place among the open streams for as long as any of its copies lives, and tells when it was taken back.
#[derive(Debug, Clone)]
pub(crate) struct StreamPermit(Arc<Permit>);

#[derive(Debug)]
struct Permit {
    _place: Place,
    revoked: CancellationToken,
    over: DropGuard,
}

impl StreamPermit {
    pub(crate) fn new(place: Place) -> Self {
        let over = CancellationToken::new().drop_guard();
        Self(Arc::new(Permit { _place: place, revoked: CancellationToken::new(), over }))
    }

    /// Cancelled once nobody holds it any more.
    pub(crate) fn over(&self) -> CancellationToken {
        self.0.over.token().clone()
    }

    /// Cancelled when who holds it has to let go.
    pub(crate) fn revoked(&self) -> CancellationToken {
        self.0.revoked.clone()
    }
}

/// Waits until a session has to end: the server does, or who has it may not any more. Whoever is in this process has none.
async fn end(shutdown: CancellationToken, permit: Option<StreamPermit>) {
    match permit {
        None => shutdown.cancelled().await,
        Some(permit) => tokio::select! {
            () = shutdown.cancelled() => {}
            () = permit.0.revoked.cancelled() => {}
        },
    }
}

/// Whether a subresource may be one of these.
pub(crate) fn is_connect(subresource: &str) -> bool {
    matches!(subresource, "log" | "exec" | "attach" | "portforward" | "console" | "metrics")
}

/// Whether it is one in which more is done than to look.
pub(crate) fn is_session(subresource: &str) -> bool {
    is_connect(subresource) && !is_read(subresource)
}

/// Whether it only looks.
pub(crate) fn is_read(subresource: &str) -> bool {
    matches!(subresource, "log" | "metrics")
}

/// What a policy sees of a connection: upstream's options for Pods.
fn options(subresource: &str, query: &Query) -> Value {
    if subresource == "portforward" {
        let ports = forward::numbers(query).unwrap_or_default();
        return json!({"kind": "PodPortForwardOptions", "apiVersion": "v1", "ports": ports});
    }
    let mut options = json!({"kind": "PodExecOptions", "apiVersion": "v1"});
    for flag in ["stdin", "stdout", "stderr", "tty"] {
        options[flag] = query.flag(flag).into();
    }
    if subresource == "exec" {
        options["command"] = query.all("command").collect::<Vec<_>>().into();
    } else {
        options["kind"] = "PodAttachOptions".into();
    }
    if let Some(container) = query.text("container") {
        options["container"] = container.into();
    }
    options
}

/// Answers a connect subresource that the kind declares.
pub(crate) async fn connect(
    call: &Call,
    subresource: &str,
    request: &mut Request<RequestBody>,
) -> Result<Answer, ApiError> {
    // A session begins with a GET, but it does more than look: who may get everything may not yet come in.
    if !is_read(subresource) && *request.method() == Method::GET {
        call.permit("create")?;
    }
    get::wait(call, None).await?;
    let entry = call.entry()?;
    let kind = &call.served.kind;
    let target = StreamTarget {
        group: kind.group.clone(),
        kind: kind.kind.clone(),
        namespace: entry.key.namespace.clone(),
        name: entry.key.name.clone(),
        uid: entry.uid.to_string(),
    };
    if !is_read(subresource) {
        let place = (Operation::Connect, call.path.namespace.as_str());
        let options = options(subresource, &call.query);
        policy::check_use(&call.state, &call.served, place, options, (&call.requester(), &call.warnings))?;
    }
    let Some(streams) = call.state.config.streams.clone() else {
        return Err(ApiError::new(Reason::ServiceUnavailable, "this server is not connected to a controller"));
    };
    match (subresource, request.method()) {
        ("log", &Method::GET) => log::log(call, &*streams, &target).await,
        ("metrics", &Method::GET) => metrics::metrics(call, &*streams, &target).await,
        ("exec" | "attach" | "console", &Method::GET | &Method::POST) => {
            exec::exec(call, streams, target, subresource != "exec", request).await
        }
        ("portforward", &Method::GET | &Method::POST) => forward::forward(call, streams, target, request).await,
        ("log" | "exec" | "attach" | "console" | "portforward" | "metrics", _) => Err(not_allowed()),
        (other, _) => Err(ApiError::bad_request(format!("`{other}` is not supported by this server yet"))),
    }
}

/// An error of the port as the client gets it.
fn refused(call: &Call, error: &StreamError) -> ApiError {
    let kind = &call.served.kind;
    let reason = match error {
        StreamError::NotFound(_) => Reason::NotFound,
        StreamError::NotRunning(_) => Reason::Conflict,
        StreamError::Invalid(_) | StreamError::Unsupported(_) => Reason::BadRequest,
        StreamError::Refused(_) | StreamError::Unavailable(_) => Reason::ServiceUnavailable,
    };
    ApiError::new(reason, error.to_string()).about(&kind.group, &kind.plural, &call.path.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_see_the_options_that_upstream_has_for_pods() {
        let seen = |subresource: &str, query: &str| options(subresource, &Query::parse(Some(query)));
        let forward = json!({"kind": "PodPortForwardOptions", "apiVersion": "v1", "ports": [80, 81]});
        assert_eq!(seen("portforward", "ports=80,81"), forward);
        let exec = seen("exec", "command=sh&command=-c&stdin=1&container=web");
        assert_eq!((&exec["kind"], &exec["command"]), (&json!("PodExecOptions"), &json!(["sh", "-c"])));
        assert_eq!((&exec["stdin"], &exec["tty"], &exec["container"]), (&json!(true), &json!(false), &json!("web")));
        assert_eq!(seen("attach", "stdout=1")["kind"], "PodAttachOptions");
    }
}
