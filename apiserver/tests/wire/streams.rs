//! Logs and sessions, over a port that answers by itself; sessions over a real connection with TLS.

use std::sync::Arc;

use apiserver::{
    Dialled, ExecOptions, ExecSession, Exit, LogOptions, LogStream, Output, StreamError, StreamTarget, Streams,
    SystemClock, Usage, tls,
};
use async_trait::async_trait;
use futures::{AsyncBufReadExt, StreamExt, stream};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use crate::harness::{Server, TOKEN, WIDGETS, widget};

/// The kind as a user of the client declares it.
#[derive(kube::CustomResource, serde::Serialize, serde::Deserialize, schemars::JsonSchema, Debug, Clone)]
#[kube(group = "wire.test", version = "v1", kind = "Widget", namespaced)]
struct WidgetSpec {}

impl kube::api::Portforward for Widget {}

/// A machine that repeats what it is told.
struct Echo;

#[async_trait]
impl Streams for Echo {
    async fn log(&self, target: &StreamTarget, options: LogOptions) -> Result<LogStream, StreamError> {
        if options.previous {
            return Err(StreamError::NotFound("there was no run before this one".into()));
        }
        let line = format!("{} tail={:?}\n", target.name, options.tail);
        Ok(stream::iter([Ok(line.into())]).boxed())
    }

    async fn exec(&self, _: &StreamTarget, options: ExecOptions) -> Result<ExecSession, StreamError> {
        let (stdin, mut input) = mpsc::channel(8);
        let (output, written) = mpsc::channel(8);
        let (ended, exit) = oneshot::channel();
        tokio::spawn(async move {
            output.send(Ok(Output::Stderr(options.command.join(" ").into()))).await.unwrap();
            while let Some(data) = input.recv().await {
                output.send(Ok(Output::Stdout(data))).await.unwrap();
            }
            ended.send(Exit::Code(3)).unwrap();
        });
        Ok(ExecSession {
            stdin: Some(stdin),
            output: tokio_stream::wrappers::ReceiverStream::new(written).boxed(),
            resize: None,
            exit: Box::pin(async move { exit.await.map_err(|_| StreamError::Unavailable("gone".into())) }),
        })
    }

    async fn usage(&self, target: &StreamTarget) -> Result<Usage, StreamError> {
        if target.name == "stopped" {
            return Err(StreamError::NotRunning("it is stopped".into()));
        }
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        Ok(Usage { at, cpu: std::time::Duration::from_millis(1500), memory_bytes: 4096 })
    }

    async fn dial(&self, target: &StreamTarget, port: u16) -> Result<Dialled, StreamError> {
        if target.name == "stopped" {
            return Err(StreamError::NotRunning("it is stopped".into()));
        }
        if port != 7 {
            return Err(StreamError::Refused(format!("port {port} refuses connections")));
        }
        let (near, far) = tokio::io::duplex(1024);
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(far);
            tokio::io::copy(&mut reader, &mut writer).await
        });
        Ok(Box::new(near))
    }
}

/// A machine that says one thing and then no more, or goes on for ever; it tells when nobody listens any longer.
pub(crate) struct Endless {
    pub(crate) talks: bool,
    pub(crate) left: mpsc::UnboundedSender<&'static str>,
}

/// Says on being dropped what was dropped.
struct Held(mpsc::UnboundedSender<&'static str>, &'static str);

impl Drop for Held {
    fn drop(&mut self) {
        let _test_is_over = self.0.send(self.1);
    }
}

#[async_trait]
impl Streams for Endless {
    async fn log(&self, _: &StreamTarget, _: LogOptions) -> Result<LogStream, StreamError> {
        let (held, talks) = (Held(self.left.clone(), "log"), self.talks);
        let more = stream::repeat_with(|| Ok("more\n".into()));
        let rest = more.take(if talks { usize::MAX } else { 0 }).chain(stream::pending());
        let all = stream::iter([Ok("ready\n".into())]).chain(rest);
        Ok(all.inspect(move |_| assert_eq!(held.1, "log")).boxed())
    }

    async fn exec(&self, target: &StreamTarget, options: ExecOptions) -> Result<ExecSession, StreamError> {
        let (log, held) = (self.log(target, LogOptions::default()).await?, Held(self.left.clone(), "exit"));
        Ok(ExecSession {
            stdin: options.stdin.then(|| mpsc::channel(1).0),
            output: log.map(|line| line.map(Output::Stdout)).boxed(),
            resize: None,
            exit: Box::pin(async move {
                let _held = held;
                std::future::pending().await
            }),
        })
    }

    async fn usage(&self, _: &StreamTarget) -> Result<Usage, StreamError> {
        Err(StreamError::Unsupported("nobody counts".into()))
    }

    async fn dial(&self, _: &StreamTarget, _: u16) -> Result<Dialled, StreamError> {
        Err(StreamError::Unsupported("it has no ports".into()))
    }
}

#[tokio::test]
async fn log_and_session_end_when_the_client_leaves() {
    for talks in [false, true] {
        let (left, mut leaving) = mpsc::unbounded_channel();
        let server = Server::with(|config| config.streams = Some(Arc::new(Endless { talks, left }))).await;
        server.add_widgets().await;
        server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
        let (client, task) = over_tls(&server).await;

        let request = http::Request::get(format!("{WIDGETS}/w/log?follow=true")).body(Vec::new()).unwrap();
        let mut lines = client.request_stream(request).await.unwrap().lines();
        assert_eq!(lines.next().await.unwrap().unwrap(), "ready");
        drop(lines);
        assert_eq!(soon(leaving.recv()).await, Some("log"));

        let path = format!("{WIDGETS}/w/exec?command=top&stdout=true");
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let mut socket = client.connect(request).await.unwrap().into_stream();
        assert_eq!(socket.next().await.unwrap().unwrap().into_data(), &b"\x01ready\n"[..]);
        drop(socket);
        let mut gone = [soon(leaving.recv()).await.unwrap(), soon(leaving.recv()).await.unwrap()];
        gone.sort_unstable();
        assert_eq!(gone, ["exit", "log"]);

        server.shutdown.cancel();
        soon(task).await.unwrap();
    }
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(20), what).await.expect("it happens soon")
}

/// A client on a real connection, and the task that serves it.
pub(crate) async fn over_tls(server: &Server) -> (kube::Client, tokio::task::JoinHandle<()>) {
    let directory = tempfile::tempdir().unwrap();
    let identity = tls::identity(directory.path(), &[], None, &SystemClock).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = server.server.clone();
    let task = tokio::spawn(async move { serving.serve(listener, identity.server).await });
    let mut config = kube::Config::new(format!("https://{address}").parse().unwrap());
    config.auth_info.token = Some(TOKEN.to_owned().into());
    config.root_cert = Some(vec![pem(&identity.authority)]);
    (kube::Client::try_from(config).unwrap(), task)
}

async fn with_echo() -> Server {
    let server = Server::with(|config| config.streams = Some(Arc::new(Echo))).await;
    server.add_widgets().await;
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    server
}

#[tokio::test]
async fn logs_are_plain_text_of_kinds_that_have_them() {
    let server = with_echo().await;
    let log = server.get(&format!("{WIDGETS}/w/log?tailLines=5&follow=true")).await;
    assert_eq!((log.code, log.text.as_str()), (200, "w tail=Some(5)\n"));
    assert_eq!(log.header("content-type"), "text/plain");
    assert_eq!(server.get(&format!("{WIDGETS}/w/log?tailLines=5&limitBytes=6")).await.text, "w tail");
    server.get(&format!("{WIDGETS}/none/log")).await.refusal(404);
    let (_, message) = server.get(&format!("{WIDGETS}/w/log?previous=true")).await.refusal(404);
    assert_eq!(message, "there was no run before this one");
    assert_eq!(server.get(&format!("{WIDGETS}/w/console")).await.code, 404, "the kind does not declare it");
    assert_eq!(server.get("/api/v1/namespaces/default/log").await.code, 404);
}

#[tokio::test]
async fn without_a_controller_there_are_no_streams() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    assert_eq!(server.get(&format!("{WIDGETS}/w/log")).await.refusal(503).0, "ServiceUnavailable");
}

#[tokio::test]
async fn kube_client_talks_with_a_program_over_tls() {
    let server = with_echo().await;
    let (client, task) = over_tls(&server).await;
    assert!(client.apiserver_version().await.unwrap().git_version.contains("thecloud"));

    // A kube client knows sessions of Pods only: the same protocol on our own path.
    let request =
        http::Request::get(format!("{WIDGETS}/w/exec?command=cat&command=-u&stdin=true&stdout=true&stderr=true"))
            .body(Vec::new())
            .unwrap();
    let connection = client.connect(request).await.unwrap();
    let mut socket = connection.into_stream();
    use futures::SinkExt;
    use tokio_tungstenite::tungstenite::Message;
    socket.send(Message::Binary(b"\x00hello"[..].into())).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        if let Message::Binary(data) = socket.next().await.unwrap().unwrap() {
            seen.push(data);
        }
    }
    assert_eq!(seen, [&b"\x02cat -u"[..], &b"\x01hello"[..]]);
    socket.send(Message::Binary(b"\xff\x00"[..].into())).await.unwrap();
    let last = socket.next().await.unwrap().unwrap().into_data();
    assert_eq!(last[0], 3);
    let status: serde_json::Value = serde_json::from_slice(&last[1..]).unwrap();
    assert_eq!(status["details"]["causes"][0]["message"], "3");

    server.shutdown.cancel();
    soon(task).await.unwrap();
}

#[tokio::test]
async fn kube_client_reaches_ports_of_a_machine_over_tls() {
    let server = with_echo().await;
    server.post(WIDGETS, widget("stopped", json!({"color": "red"}))).await.expect(201);
    let (client, task) = over_tls(&server).await;
    let widgets: kube::Api<Widget> = kube::Api::namespaced(client.clone(), "a");
    let mut forwarder = widgets.portforward("w", &[7, 9]).await.unwrap();
    let mut echo = forwarder.take_stream(7).unwrap();
    let refused = forwarder.take_error(9).unwrap();
    assert_eq!(soon(refused).await.as_deref(), Some("port 9 refuses connections"));
    echo.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    soon(echo.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"hello");
    drop(echo);
    drop(forwarder);

    let refusal = |result: Result<kube::client::Connection, kube::Error>| match result {
        Err(kube::Error::Api(status)) => (status.code, status.message),
        other => panic!("{:?}", other.map(|_| ())),
    };
    let connect = async |name: &str, query: &str| {
        let request = http::Request::get(format!("{WIDGETS}/{name}/portforward{query}")).body(Vec::new()).unwrap();
        refusal(client.connect(request).await)
    };
    assert_eq!(connect("stopped", "?ports=7").await, (409, "it is stopped".to_owned()));
    assert_eq!(connect("none", "?ports=7").await.0, 404);
    let (code, message) = connect("w", "").await;
    assert_eq!((code, message.contains("`ports` is required")), (400, true), "{message}");

    server.shutdown.cancel();
    soon(task).await.unwrap();
}

#[tokio::test]
async fn what_a_machine_uses_is_read_with_the_right_to_get_it() {
    let server = with_echo().await;
    let usage = server.get(&format!("{WIDGETS}/w/metrics")).await.expect(200);
    let told = json!({"timestamp": "2026-01-01T00:00:00Z", "cpu": {"usageNanoseconds": 1_500_000_000},
        "memory": {"usageBytes": 4096}});
    assert_eq!(usage, told);
    server.post(WIDGETS, widget("stopped", json!({"color": "red"}))).await.expect(201);
    server.get(&format!("{WIDGETS}/stopped/metrics")).await.refusal(409);
    server.get(&format!("{WIDGETS}/none/metrics")).await.refusal(404);
}

#[tokio::test]
async fn kubectls_port_forwarding_is_refused_in_words() {
    let server = with_echo().await;
    let (_, message) = server.get(&format!("{WIDGETS}/w/portforward?ports=7")).await.refusal(400);
    assert!(message.contains("only WebSocket is spoken here"), "{message}");
}

fn pem(text: &str) -> Vec<u8> {
    use base64::Engine;
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}
