//! `exec`, `attach` and `console`: a session with a program, or with what is at a console, over WebSocket channels.
//!
//! The program is started before the client hears that the connection is switched, so that a refusal is a plain Status.
//! A session ends with the program or with the client, whichever goes first.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, SplitSink, SplitStream};
use futures::{Sink, SinkExt, StreamExt};
use http::Request;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::websocket::{self, Said};
use super::{
    ExecOptions, ExecSession, Exit, Output, StreamError, StreamPermit, StreamTarget, Streams, TerminalSize, end,
    refused,
};
use crate::body::RequestBody;
use crate::error::ApiError;
use crate::query::Query;
use crate::response::Answer;
use crate::verbs::Call;

/// The largest message that a client may send.
pub(super) const MESSAGE_BYTES: usize = 1 << 20;
/// How often a client is asked whether it is there.
pub(super) const PING: Duration = Duration::from_secs(15);
/// How long a client that is there says nothing, not even that.
pub(super) const SILENCE: Duration = Duration::from_secs(60);
/// How long a client may take nothing of the output: somebody may be reading it page by page.
const STALLED: Duration = Duration::from_secs(300);

pub(super) async fn exec(
    call: &Call,
    streams: Arc<dyn Streams>,
    target: StreamTarget,
    joins: bool,
    request: &mut Request<RequestBody>,
) -> Result<Answer, ApiError> {
    let options = options(&call.query, joins)?;
    let permit = request.extensions().get::<StreamPermit>().cloned();
    let (answer, upgrade) = websocket::accept(request, &websocket::PROTOCOLS)?;
    let session = streams.exec(&target, options).await.map_err(|error| refused(call, &error))?;
    let shutdown = call.state.config.shutdown.clone();
    call.state.config.tasks.spawn(async move {
        tokio::select! {
            () = run(upgrade, session) => {}
            () = end(shutdown, permit) => {}
        }
    });
    Ok(answer)
}

fn options(query: &Query, joins: bool) -> Result<ExecOptions, ApiError> {
    let options = ExecOptions {
        command: if joins { Vec::new() } else { query.all("command").map(str::to_owned).collect() },
        container: query.text("container").map(str::to_owned),
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr") && !query.flag("tty"),
        tty: query.flag("tty"),
    };
    if options.command.is_empty() && !joins {
        return Err(ApiError::bad_request("you must specify at least one `command`"));
    }
    if !options.stdin && !options.stdout && !options.stderr {
        return Err(ApiError::bad_request("you must specify at least one of `stdin`, `stdout`, `stderr`"));
    }
    Ok(options)
}

async fn run(upgrade: OnUpgrade, session: ExecSession) {
    let Ok(upgraded) = upgrade.await else { return };
    let limits = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES)).max_frame_size(Some(MESSAGE_BYTES));
    converse(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(limits)).await, session).await;
}

/// Carries a session until the program has ended or the client has left; then all of it is dropped, and what runs is
/// left to itself.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(socket: WebSocketStream<S>, session: ExecSession) {
    let (sink, source) = socket.split();
    let ExecSession { stdin, output, resize, exit } = session;
    tokio::select! {
        () = write(sink, output, exit) => {}
        () = listen(source, stdin, resize) => {}
    }
}

/// Sends the output, then how it ended, and now and then a ping, until the client takes no more.
async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut output: BoxStream<'static, Result<Output, StreamError>>,
    mut exit: BoxFuture<'static, Result<Exit, StreamError>>,
) {
    let mut pings = tokio::time::interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_open = true;
    let ended = loop {
        let message = tokio::select! {
            chunk = output.next(), if is_open => match chunk {
                Some(Ok(Output::Stdout(data))) => Message::Binary(websocket::write(websocket::STDOUT, &data)),
                Some(Ok(Output::Stderr(data))) => Message::Binary(websocket::write(websocket::STDERR, &data)),
                Some(Err(error)) => break Err(error),
                None => {
                    is_open = false;
                    continue;
                }
            },
            ended = &mut exit, if !is_open => break ended,
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        if !send(&mut sink, message).await {
            return;
        }
    };
    let status = websocket::write(websocket::ERROR, status(&ended).to_string().as_bytes());
    if send(&mut sink, Message::Binary(status)).await {
        let _gone_already = tokio::time::timeout(SILENCE, sink.close()).await;
    }
}

/// Whether the client took the message.
pub(super) async fn send(sink: &mut (impl Sink<Message> + Unpin), message: Message) -> bool {
    matches!(tokio::time::timeout(STALLED, sink.send(message)).await, Ok(Ok(())))
}

/// Passes on what the client sends until it leaves, or answers no ping.
async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    mut source: SplitStream<WebSocketStream<S>>,
    mut stdin: Option<mpsc::Sender<Bytes>>,
    resize: Option<mpsc::Sender<TerminalSize>>,
) {
    while let Ok(Some(Ok(message))) = tokio::time::timeout(SILENCE, source.next()).await {
        let data = match message {
            Message::Binary(data) => data,
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => return,
            // Pings are answered below, by reading on; pongs have said by coming that the client is there.
            _ => continue,
        };
        match websocket::read(&data) {
            Said::Input(input) => {
                // While the program takes nothing the client is not read; whether it is there show the pings' writes.
                if let Some(sender) = &stdin
                    && sender.send(input).await.is_err()
                {
                    stdin = None;
                }
            }
            Said::InputEnds => stdin = None,
            Said::Resize(size) => {
                if let Some(sender) = &resize {
                    let _program_is_gone = sender.send(size).await;
                }
            }
            Said::Nothing => {}
        }
    }
}

/// The last word of a session, as clients read the exit code from it.
fn status(ended: &Result<Exit, StreamError>) -> Value {
    match ended {
        Ok(Exit::Code(0)) => json!({"metadata": {}, "status": "Success"}),
        Ok(Exit::Code(code)) => json!({
            "metadata": {},
            "status": "Failure",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Err(error) => json!({
            "metadata": {},
            "status": "Failure",
            "message": error.to_string(),
            "reason": "InternalError",
            "code": 500,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    use futures::{FutureExt, stream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn exit_code_is_where_clients_look_for_it() {
        assert_eq!(status(&Ok(Exit::Code(0)))["status"], "Success");
        let failed = status(&Ok(Exit::Code(3)));
        assert_eq!(failed["reason"], "NonZeroExitCode");
        assert_eq!(failed["details"]["causes"][0], json!({"reason": "ExitCode", "message": "3"}));
    }

    #[test]
    fn a_terminal_has_no_errors_of_its_own() {
        let read = options(&Query::parse(Some("command=sh&command=-i&stdin=1&stderr=1&tty=1")), false).unwrap();
        assert_eq!(read.command, ["sh", "-i"]);
        assert!(!read.stderr && read.tty && read.stdin);
        assert!(options(&Query::parse(Some("stdin=1")), false).is_err());
        assert!(options(&Query::parse(Some("command=sh")), false).is_err());
    }
    /// A session that says when it is dropped. `output` and `exit` never end by themselves.
    fn endless(output: BoxStream<'static, Result<Output, StreamError>>) -> (ExecSession, oneshot::Receiver<()>) {
        let (held, dropped) = oneshot::channel::<()>();
        let output = output.inspect(move |_| assert!(!held.is_closed())).boxed();
        (ExecSession { stdin: None, output, resize: None, exit: std::future::pending().boxed() }, dropped)
    }

    async fn pair(bytes: usize) -> (WebSocketStream<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = tokio::io::duplex(bytes);
        let server = WebSocketStream::from_raw_socket(near, Role::Server, None).await;
        (server, WebSocketStream::from_raw_socket(far, Role::Client, None).await)
    }

    #[tokio::test(start_paused = true)]
    async fn session_with_endless_output_ends_when_the_client_leaves() {
        let (server, mut client) = pair(1024).await;
        let (session, dropped) = endless(stream::repeat_with(|| Ok(Output::Stdout("y\n".into()))).boxed());
        let task = tokio::spawn(converse(server, session));
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Binary("\u{1}y\n".into()));
        let begin = Instant::now();
        drop(client);
        task.await.unwrap();
        assert!(dropped.await.is_err(), "the output is no longer read");
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn session_that_says_nothing_ends_when_the_client_leaves() {
        let (server, client) = pair(1024).await;
        let (session, dropped) = endless(stream::pending().boxed());
        let task = tokio::spawn(converse(server, session));
        let begin = Instant::now();
        drop(client);
        task.await.unwrap();
        assert!(dropped.await.is_err());
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_answers_no_ping_is_given_up() {
        let (server, client) = pair(1024).await;
        let (session, dropped) = endless(stream::pending().boxed());
        let begin = Instant::now();
        converse(server, session).await;
        assert!(dropped.await.is_err());
        assert_eq!(begin.elapsed(), SILENCE);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_takes_nothing_is_given_up_in_the_end() {
        let (server, client) = pair(64).await;
        let (mut reader, mut writer) = tokio::io::split(client.into_inner());
        // It goes on talking but never reads.
        let talking = tokio::spawn(async move {
            while writer.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.is_ok() {
                tokio::time::sleep(PING).await;
            }
        });
        let (session, dropped) = endless(stream::repeat_with(|| Ok(Output::Stdout("y\n".into()))).boxed());
        let begin = Instant::now();
        converse(server, session).await;
        assert!(dropped.await.is_err());
        assert_eq!(begin.elapsed(), STALLED);
        talking.await.unwrap();
        assert!(reader.read_u8().await.is_ok(), "what was sent is still there");
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_answers_pings_may_be_silent_for_long() {
        let (server, mut client) = pair(1024).await;
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        let output = stream::poll_fn(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Poll::Pending
        });
        let (session, _dropped) = endless(output.boxed());
        let task = tokio::spawn(converse(server, session));
        let end = Instant::now() + 10 * SILENCE;
        while let Ok(ping) = tokio::time::timeout_at(end, client.next()).await {
            assert!(ping.unwrap().unwrap().is_ping());
        }
        assert!(!task.is_finished());
        assert!(polls.load(Ordering::Relaxed) < 500, "it waits, it does not ask again and again");
        drop(client);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_leaves_while_the_program_takes_no_input_is_noticed() {
        let (server, mut client) = pair(1024).await;
        let (mut session, dropped) = endless(stream::pending().boxed());
        let (stdin, mut input) = mpsc::channel(1);
        session.stdin = Some(stdin);
        let task = tokio::spawn(converse(server, session));
        for _ in 0..3 {
            client.send(Message::Binary("\0x".into())).await.unwrap();
        }
        let begin = Instant::now();
        drop(client);
        task.await.unwrap();
        assert!(dropped.await.is_err());
        assert_eq!(begin.elapsed(), PING, "the next ping finds nobody");
        assert_eq!(input.recv().await, Some("x".into()));
    }
}
