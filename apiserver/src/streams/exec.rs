//! `exec` and `attach`: a session with a program, over WebSocket channels.
//!
//! The program is started before the client hears that the connection is switched, so that a refusal is a plain Status.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::Request;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::websocket::{self, Said};
use super::{
    ExecOptions, ExecSession, Exit, Output, StreamError, StreamPermit, StreamTarget, Streams, TerminalSize, refused,
};
use crate::body::RequestBody;
use crate::error::ApiError;
use crate::query::Query;
use crate::response::Answer;
use crate::verbs::Call;

/// The largest message that a client may send.
const MESSAGE_BYTES: usize = 1 << 20;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(super) async fn exec(
    call: &Call,
    streams: Arc<dyn Streams>,
    target: StreamTarget,
    joins: bool,
    request: &mut Request<RequestBody>,
) -> Result<Answer, ApiError> {
    let options = options(&call.query, joins)?;
    let permit = request.extensions().get::<StreamPermit>().cloned();
    let (answer, upgrade) = websocket::accept(request)?;
    let session = streams.exec(&target, options).await.map_err(|error| refused(call, &error))?;
    let shutdown = call.state.config.shutdown.clone();
    call.state.config.tasks.spawn(async move {
        let _permit = permit;
        tokio::select! {
            () = run(upgrade, session) => {}
            () = shutdown.cancelled() => {}
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
    let socket: Socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(limits)).await;
    let (mut sink, source) = socket.split();
    let ExecSession { stdin, output, resize, exit } = session;
    let mut talking = std::pin::pin!(write(&mut sink, output, exit));
    let mut listening = std::pin::pin!(listen(source, stdin, resize));
    tokio::select! {
        () = &mut talking => {}
        // The client has left: what runs is left to itself.
        () = &mut listening => {}
    }
}

/// Sends the output, then how it ended.
async fn write(
    sink: &mut SplitSink<Socket, Message>,
    mut output: futures::stream::BoxStream<'static, Result<Output, StreamError>>,
    exit: futures::future::BoxFuture<'static, Result<Exit, StreamError>>,
) {
    let mut failed = None;
    while let Some(chunk) = output.next().await {
        let message = match chunk {
            Ok(Output::Stdout(data)) => websocket::write(websocket::STDOUT, &data),
            Ok(Output::Stderr(data)) => websocket::write(websocket::STDERR, &data),
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        if sink.send(Message::Binary(message)).await.is_err() {
            return;
        }
    }
    let ended = match failed {
        Some(error) => Err(error),
        None => exit.await,
    };
    let status = websocket::write(websocket::ERROR, status(&ended).to_string().as_bytes());
    if sink.send(Message::Binary(status)).await.is_ok() {
        let _gone_already = sink.close().await;
    }
}

/// Passes on what the client sends until it leaves.
async fn listen(
    mut source: SplitStream<Socket>,
    mut stdin: Option<mpsc::Sender<Bytes>>,
    resize: Option<mpsc::Sender<TerminalSize>>,
) {
    while let Some(Ok(message)) = source.next().await {
        let data = match message {
            Message::Binary(data) => data,
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => return,
            // Pings are answered below, by reading on.
            _ => continue,
        };
        match websocket::read(&data) {
            Said::Input(input) => {
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
}
