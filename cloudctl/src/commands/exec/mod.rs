//! `exec`: runs a command inside a machine over a WebSocket, with its input, output and terminal, and ends as it ended.
//! `console`: the same with what is at its serial line, which ends with the machine, or with a key.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use kube::client::Connection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::targets::{self, Named};
use crate::api::{Catalog, Query, Session};
use crate::args::Global;
use crate::args::instances::{ConsoleArgs, ExecArgs};
use crate::connect;
use crate::error::{Error, Exit};
use crate::output::Screen;

mod channel;
mod terminal;

use channel::Incoming;
use terminal::Raw;

/// What is kept of the errors of a command that another verb runs.
const MOST_STDERR: usize = 4096;
/// How often the connection is kept awake.
const PING: Duration = Duration::from_secs(10);

/// Control and `]`: what ends a session at a console, as in telnet and virsh.
const LEAVE: u8 = 0x1d;

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Runs the command; its exit code becomes ours.
pub(super) async fn run(args: &ExecArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    if args.command.is_empty() || !args.misplaced.is_empty() {
        let command = [&args.misplaced[..], &args.command[..]].concat().join(" ");
        let command = if command.is_empty() { "sh" } else { &command };
        return Err(Error::Usage(format!("the command comes behind `--`: cloudctl exec {} -- {command}", args.target)));
    }
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let named = targets::with_stream(&args.target, "exec", &catalog, session.namespace())?;
    let mut tty = args.tty;
    if tty && !std::io::stdin().is_terminal() {
        screen.warning("no terminal for the command: standard input is not one");
        tty = false;
    }
    let words: Vec<_> = args.command.iter().map(String::as_str).collect();
    let connection = open(&session, &named, &words, args.stdin, tty).await?;
    let closes = connection.supports_stream_close();
    let raw = if tty { Some(Raw::enter().map_err(Error::Output)?) } else { None };
    let (sender, receiver) = connection.into_stream().split();
    let pump = Pump { sender, closes, stdin: args.stdin, tty, leave: None, output: screen };
    let ended = pump.run(receiver, tokio::io::stdin()).await;
    // Before anything is printed.
    drop(raw);
    match ended? {
        0 => Ok(()),
        code => Err(Error::Silent(Exit::Remote(code))),
    }
}

/// Sits at a console until the machine ends or somebody leaves.
pub(super) async fn console(args: &ConsoleArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let named = targets::with_stream(&args.target, "console", &catalog, session.namespace())?;
    let tty = std::io::stdin().is_terminal();
    let query = Query::new().with("stdin", "true").with("stdout", "true").with("tty", "true");
    let path = named.resource.below(&named.namespace, &named.name, "console");
    let connection = session.websocket(&query.on(&path)).await?;
    let closes = connection.supports_stream_close();
    if tty {
        screen.note_bytes(b"At the console; Control and ] leave it. Enter shows what is there.\n");
    }
    let raw = if tty { Some(Raw::enter().map_err(Error::Output)?) } else { None };
    let (sender, receiver) = connection.into_stream().split();
    let pump = Pump { sender, closes, stdin: true, tty, leave: tty.then_some(LEAVE), output: screen };
    let ended = pump.run(receiver, tokio::io::stdin()).await;
    drop(raw);
    ended.map(drop)
}

async fn open(session: &Session, named: &Named, command: &[&str], stdin: bool, tty: bool) -> Result<Connection, Error> {
    let flag = |on: bool| if on { "true" } else { "false" };
    let mut query = Query::new();
    for word in command {
        query = query.with("command", *word);
    }
    // A terminal has one output for both.
    let query =
        query.with("stdin", flag(stdin)).with("stdout", "true").with("stderr", flag(!tty)).with("tty", flag(tty));
    let path = named.resource.below(&named.namespace, &named.name, "exec");
    Ok(session.websocket(&query.on(&path)).await?)
}

/// How a command ended that another verb runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ran {
    /// Its exit code.
    pub(super) code: u8,
    /// The beginning of what it wrote to standard error.
    pub(super) stderr: String,
}

/// Runs a command for another verb, which gives its input and takes its output.
pub(super) async fn collect(
    session: &Session,
    named: &Named,
    command: &[&str],
    input: Option<impl AsyncRead + Unpin>,
    output: impl AsyncWrite + Unpin,
) -> Result<Ran, Error> {
    let connection = open(session, named, command, input.is_some(), false).await?;
    let closes = connection.supports_stream_close();
    let (sender, receiver) = connection.into_stream().split();
    let mut stderr = Vec::new();
    let taken = Taken { output, stderr: &mut stderr };
    let pump = Pump { sender, closes, stdin: input.is_some(), tty: false, leave: None, output: taken };
    let code = match input {
        Some(input) => pump.run(receiver, input).await?,
        None => pump.run(receiver, tokio::io::empty()).await?,
    };
    Ok(Ran { code, stderr: String::from_utf8_lossy(&stderr).into_owned() })
}

/// Takes what a command writes.
trait Output {
    async fn stdout(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn stderr(&mut self, bytes: &[u8]);
}

impl Output for &Screen {
    async fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes(bytes)
    }

    fn stderr(&mut self, bytes: &[u8]) {
        self.note_bytes(bytes);
    }
}

struct Taken<'a, W> {
    output: W,
    stderr: &'a mut Vec<u8>,
}

impl<W: AsyncWrite + Unpin> Output for Taken<'_, W> {
    async fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes).await
    }

    fn stderr(&mut self, bytes: &[u8]) {
        let room = MOST_STDERR.saturating_sub(self.stderr.len());
        self.stderr.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Carries bytes both ways until the command has ended.
struct Pump<O> {
    sender: SplitSink<Socket, Message>,
    closes: bool,
    stdin: bool,
    tty: bool,
    /// The key that ends the session.
    leave: Option<u8>,
    output: O,
}

impl<O: Output> Pump<O> {
    async fn run(mut self, mut receiver: SplitStream<Socket>, mut input: impl AsyncRead + Unpin) -> Result<u8, Error> {
        let mut buffer = vec![0; 32 * 1024];
        let mut resized = signal(SignalKind::window_change()).map_err(Error::Output)?;
        let mut ping = tokio::time::interval(PING);
        ping.reset();
        if self.tty {
            self.size().await?;
        }
        loop {
            tokio::select! {
                message = receiver.next() => match message {
                    Some(Ok(message)) => {
                        if let Some(code) = self.take(message).await? {
                            return Ok(code);
                        }
                    }
                    Some(Err(error)) => return Err(lost(&error.to_string())),
                    None => return Err(lost("the server closed it")),
                },
                read = input.read(&mut buffer), if self.stdin => match read {
                    Ok(0) | Err(_) => {
                        self.stdin = false;
                        self.end_of_input().await?;
                    }
                    Ok(count) => {
                        let typed = &buffer[..count];
                        let left = self.leave.and_then(|key| typed.iter().position(|byte| *byte == key));
                        self.send(channel::stdin(&typed[..left.unwrap_or(count)])).await?;
                        if left.is_some() {
                            return Ok(0);
                        }
                    }
                },
                Some(()) = resized.recv(), if self.tty => self.size().await?,
                _ = ping.tick() => self.message(Message::Ping(bytes::Bytes::new())).await?,
            }
        }
    }

    /// The exit code, when the message brings the end.
    async fn take(&mut self, message: Message) -> Result<Option<u8>, Error> {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into(),
            Message::Close(_) => return Err(lost("the server closed it")),
            _ => return Ok(None),
        };
        match channel::incoming(&bytes) {
            Incoming::Stdout(bytes) => self.output.stdout(bytes).await?,
            Incoming::Stderr(bytes) => self.output.stderr(bytes),
            Incoming::Ended(code) => return Ok(Some(code)),
            Incoming::Failed(why) => return Err(Error::Failed(why)),
            Incoming::Nothing => {}
        }
        Ok(None)
    }

    async fn end_of_input(&mut self) -> Result<(), Error> {
        // Only the fifth version of the protocol can close one channel; before it the command never sees the end.
        if self.closes { self.send(channel::end_of_stdin()).await } else { Ok(()) }
    }

    async fn size(&mut self) -> Result<(), Error> {
        match terminal::size() {
            Some((width, height)) => self.send(channel::resize(width, height)).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.message(Message::binary(bytes)).await
    }

    async fn message(&mut self, message: Message) -> Result<(), Error> {
        self.sender.send(message).await.map_err(|error| lost(&error.to_string()))
    }
}

fn lost(why: &str) -> Error {
    Error::Failed(format!("the connection to the machine was lost before the command ended: {why}"))
}

#[cfg(test)]
mod tests;
