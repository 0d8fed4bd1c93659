//! The port for what people do with a machine's inside: reading its log, running a command. Nothing here changes what
//! the machine is.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::io::AsyncWrite;

use crate::{Error, MachineId};

/// Logs of machines and commands inside them.
#[async_trait]
pub trait Consoles: Send + Sync {
    /// What the machine wrote, oldest first; with `follow`, until it ends.
    async fn logs(&self, id: &MachineId, options: LogOptions) -> Result<LogStream, Error>;

    /// Runs a command inside a running machine. `Conflict` (`State`) if it is not running.
    async fn exec(&self, id: &MachineId, spec: ExecSpec) -> Result<ExecSession, Error>;

    /// The keyboard and screen of a running machine that has any, for one at a time; until the machine ends.
    ///
    /// # Errors
    /// `Conflict` (`State`) if it is not running or somebody else is there, `Invalid` if it has none.
    async fn console(&self, id: &MachineId) -> Result<ExecSession, Error>;
}

/// Pieces of output as they come; a piece is not always a whole line.
pub type LogStream = BoxStream<'static, Result<Chunk, Error>>;

/// Which part of a machine's output is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on with what comes.
    pub follow: bool,
    /// Only so many of the last lines.
    pub tail: Option<u64>,
    /// Only what was written at or after this.
    pub since: Option<Timestamp>,
    /// Each line begins with the time at which it was written, in RFC 3339 with nanoseconds, and a space.
    pub timestamps: bool,
    /// What was written before the machine's last start, instead of after it.
    pub previous: bool,
}

/// Where output was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it was written.
    pub channel: Channel,
    /// What was written.
    pub bytes: Bytes,
}

/// A command to run inside a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Whether it gets a terminal; then all output is on one channel.
    pub tty: bool,
    /// Whether it gets an input.
    pub stdin: bool,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// A command that runs. Dropping it lets go of the command without killing it.
pub struct ExecSession {
    /// The command's input, if it was asked for. Shutting it down is end of file.
    pub input: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    /// What it writes, until it ends.
    pub output: LogStream,
    /// The rest.
    pub control: Box<dyn ExecControl>,
}

impl fmt::Debug for ExecSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ExecSession").field("input", &self.input.is_some()).finish_non_exhaustive()
    }
}

/// What can be done to a command that runs.
#[async_trait]
pub trait ExecControl: Send + Sync {
    /// Changes the size of its terminal.
    async fn resize(&self, size: TerminalSize) -> Result<(), Error>;

    /// Its exit code; `None` while it runs. Known once the output has ended.
    async fn exit_code(&self) -> Result<Option<i64>, Error>;
}
