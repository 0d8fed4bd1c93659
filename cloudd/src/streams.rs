//! Joins the apiserver's port for logs, sessions and connections to the controller's, in the one process that has both. Translates
//! words; decides nothing.

use async_trait::async_trait;
use bytes::Bytes;
use controller_backend::{Channel, Error, ExecSpec};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use apiserver::{
    Dialled, ExecOptions, ExecSession, Exit, LogOptions, LogStream, Output, StreamError, StreamTarget, Streams,
    TerminalSize, Usage,
};
use controller::streams::DialError;

/// Pieces of input, or sizes, that may wait for a slow program.
const WAITING: usize = 16;

/// Answers from the controllers' backend.
pub(crate) struct BackendStreams(pub(crate) controller::streams::Streams);

fn uid(target: &StreamTarget) -> Result<Uuid, StreamError> {
    target.uid.parse().map_err(|_| StreamError::NotFound(format!("`{}` is no uid", target.uid)))
}

#[async_trait]
impl Streams for BackendStreams {
    async fn log(&self, target: &StreamTarget, options: LogOptions) -> Result<LogStream, StreamError> {
        let wanted = controller_backend::LogOptions {
            follow: options.follow,
            tail: options.tail,
            since: options.since,
            timestamps: options.timestamps,
            previous: options.previous,
        };
        let target = target.clone();
        let chunks = self.0.log(uid(&target)?, wanted).await.map_err(|error| refusal(&target, &error))?;
        Ok(chunks.map_ok(|chunk| chunk.bytes).map_err(move |error| refusal(&target, &error)).boxed())
    }

    async fn exec(&self, target: &StreamTarget, options: ExecOptions) -> Result<ExecSession, StreamError> {
        let session = if options.command.is_empty() {
            self.0.console(uid(target)?).await
        } else {
            let spec = ExecSpec { command: options.command, tty: options.tty, stdin: options.stdin };
            self.0.exec(uid(target)?, spec).await
        };
        let session = session.map_err(|error| refusal(target, &error))?;

        // Both pumps end with the session, also while a program that reads nothing holds them up.
        let mut pumps = Vec::new();
        let stdin = session.input.map(|mut input| {
            let (send, mut pieces) = mpsc::channel::<Bytes>(WAITING);
            let pump = tokio::spawn(async move {
                while let Some(piece) = pieces.recv().await {
                    if input.write_all(&piece).await.is_err() || input.flush().await.is_err() {
                        break;
                    }
                }
                // End of file for the program; one that has ended already doesn't mind.
                let _ = input.shutdown().await;
            });
            pumps.push(AbortOnDropHandle::new(pump));
            send
        });
        let control = std::sync::Arc::new(session.control);
        let resize = options.tty.then(|| {
            let (send, mut sizes) = mpsc::channel::<TerminalSize>(WAITING);
            let control = control.clone();
            let pump = tokio::spawn(async move {
                while let Some(TerminalSize { width, height }) = sizes.recv().await {
                    // A terminal of another size is no reason to end the session.
                    let _ = control.resize(controller_backend::TerminalSize { width, height }).await;
                }
            });
            pumps.push(AbortOnDropHandle::new(pump));
            send
        });
        let (about, asked) = (target.clone(), target.clone());
        let output = session
            .output
            .map_ok(|chunk| match chunk.channel {
                Channel::Stdout => Output::Stdout(chunk.bytes),
                Channel::Stderr => Output::Stderr(chunk.bytes),
            })
            .map_err(move |error| refusal(&about, &error))
            .boxed();
        let exit = async move {
            let code = control.exit_code().await.map_err(|error| refusal(&asked, &error))?;
            drop(pumps);
            let code = code.and_then(|code| i32::try_from(code).ok());
            let unknown = || StreamError::Unavailable("the command's exit code is not known".to_owned());
            code.map(Exit::Code).ok_or_else(unknown)
        }
        .boxed();
        Ok(ExecSession { stdin, output, resize, exit })
    }

    async fn usage(&self, target: &StreamTarget) -> Result<Usage, StreamError> {
        let used = self.0.usage(uid(target)?).await.map_err(|error| refusal(target, &error))?;
        Ok(Usage { at: used.at, cpu: used.cpu, memory_bytes: used.memory_bytes })
    }

    async fn dial(&self, target: &StreamTarget, port: u16) -> Result<Dialled, StreamError> {
        match self.0.dial(uid(target)?, port).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(DialError::Machine(error)) => Err(refusal(target, &error)),
            Err(error @ DialError::Port { .. }) => {
                Err(StreamError::Refused(format!("{} `{}`: {error}", target.kind, target.name)))
            }
        }
    }
}

/// An error of the backend, in words for the user.
fn refusal(target: &StreamTarget, error: &Error) -> StreamError {
    let text = format!("{} `{}`: {error}", target.kind, target.name);
    match error {
        Error::NotFound { .. } => StreamError::NotFound(text),
        Error::Conflict { .. } => StreamError::NotRunning(text),
        Error::Invalid { .. } => StreamError::Invalid(text),
        _ => StreamError::Unavailable(text),
    }
}
