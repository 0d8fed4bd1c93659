//! Logs of containers and commands inside them. Docker tells log times only by the second; this reads the time at which
//! each line was written and decides by that.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use controller_backend::{
    Channel, Chunk, Conflict, Consoles, Error, ExecControl, ExecSession, ExecSpec, LogOptions, LogStream, MachineId,
    MachineState, TerminalSize,
};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::abandoned;
use crate::engine::Engine;
use crate::error::translate;
use crate::init;
use crate::machines::{self, id_of};

/// A machine's first lines may be written this long before Docker notes that it has started.
const START_LAG: SignedDuration = SignedDuration::from_secs(2);

/// How long Docker may take to note the exit code after a command's output has ended.
const EXIT_CODE_PAUSE: Duration = Duration::from_millis(10);
const EXIT_CODE_LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct DockerConsoles {
    engine: Arc<Engine>,
}

impl DockerConsoles {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

type Lines = BoxStream<'static, Result<Line, Error>>;

struct Line {
    at: Option<Timestamp>,
    channel: Channel,
    /// With its time in front.
    stamped: Bytes,
    /// Where the text begins.
    text: usize,
}

#[async_trait]
impl Consoles for DockerConsoles {
    async fn logs(&self, id: &MachineId, options: LogOptions) -> Result<LogStream, Error> {
        let what = format!("machine `{id}`");
        let container = self.engine.owned(id).await?;
        let machine = machines::observe(&container).ok_or_else(|| Error::not_found(what.clone()))?;
        let Some(started) = machine.started_at else { return Ok(stream::empty().boxed()) };
        // While it runs, the end that Docker tells of is that of the run before.
        let runs = matches!(machine.state, MachineState::Running | MachineState::Paused);
        let ended_before = container
            .state
            .as_ref()
            .and_then(|state| state.finished_at.as_deref())
            .and_then(machines::parse_time)
            .filter(|ended| runs && *ended < started);
        // Lines from here on are of the last start.
        let boundary = ended_before.map_or(started - START_LAG, |ended| ended.max(started - START_LAG));

        let from = if options.previous { options.since } else { Some(options.since.unwrap_or(boundary).max(boundary)) };
        let mut query = LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true);
        query = query.follow(options.follow && !options.previous);
        if let Some(from) = from {
            query = query.since(i32::try_from(from.as_second()).unwrap_or(i32::MAX));
        }
        // Docker counts from the end of everything; of the part before the last start the count is ours.
        if let (Some(tail), false) = (options.tail, options.previous) {
            query = query.tail(&tail.to_string());
        }
        let client = self.engine.client().await?;
        let lines: Lines = client
            .logs(&id_of(&container).0, Some(query.build()))
            .map(move |output| {
                output.map(line).map_err(|error| translate(&what, &format!("read the log of {what}"), error))
            })
            .boxed();
        let previous = options.previous;
        let wanted = lines.filter(move |line| {
            let wanted = line.as_ref().map_or(true, |line| {
                let late_enough = line.at.is_none_or(|at| from.is_none_or(|from| at >= from));
                let early_enough = !previous || line.at.is_none_or(|at| at < boundary);
                late_enough && early_enough
            });
            std::future::ready(wanted)
        });
        let wanted = if let (Some(tail), true) = (options.tail, previous) {
            last(wanted.boxed(), usize::try_from(tail).unwrap_or(usize::MAX)).await?
        } else {
            wanted.boxed()
        };
        let timestamps = options.timestamps;
        Ok(wanted
            .map(move |line| {
                line.map(|line| Chunk {
                    channel: line.channel,
                    bytes: if timestamps { line.stamped } else { line.stamped.slice(line.text..) },
                })
            })
            .boxed())
    }

    async fn exec(&self, id: &MachineId, spec: ExecSpec) -> Result<ExecSession, Error> {
        let what = format!("machine `{id}`");
        if spec.command.is_empty() {
            return Err(Error::invalid("no command was given"));
        }
        // A frozen machine begins nothing.
        let _released = self.engine.held.released(id).await;
        let container = self.engine.owned(id).await?;
        let container_id = id_of(&container).0;
        let machine = machines::observe(&container).ok_or_else(|| Error::not_found(what.clone()))?;
        if machine.state != MachineState::Running {
            let state = if machine.state == MachineState::Paused { "paused" } else { "not running" };
            return Err(Error::conflict(Conflict::State { what, state: state.to_owned() }));
        }
        let client = self.engine.client().await?;
        let options = CreateExecOptions {
            attach_stdin: Some(spec.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(spec.tty),
            cmd: Some(init::command(&container, spec.command)),
            ..CreateExecOptions::default()
        };
        let action = format!("run a command in {what}");
        let failed = |error| match machines::is_state_conflict(&error) {
            // Somebody else paused or ended it just now.
            true => machines::wrong_state(id, "not running", Some(error)),
            false => translate(&what, &action, error),
        };
        let created = client.create_exec(&id.0, options).await.map_err(failed)?;
        let start = StartExecOptions { detach: false, tty: spec.tty, output_capacity: None };
        let started = client.start_exec(&created.id, Some(start)).await;
        let (output, input) = match started.map_err(failed)? {
            StartExecResults::Attached { output, input } => (output, input),
            StartExecResults::Detached => return Err(Error::failed(action, "Docker did not attach")),
        };
        let output = output.map(move |piece| {
            let (channel, bytes) = parts(piece.map_err(|error| translate(&what, &action, error))?);
            Ok(Chunk { channel, bytes })
        });
        Ok(ExecSession {
            input: spec.stdin.then_some(input),
            output: output.boxed(),
            control: Box::new(Running {
                client,
                id: created.id,
                container: container_id,
                has_ended: AtomicBool::new(false),
            }),
        })
    }

    async fn console(&self, _id: &MachineId) -> Result<ExecSession, Error> {
        Err(Error::invalid("a container has no console: run a shell in it, with `cloudctl exec -it NAME -- sh`"))
    }
}

fn parts(output: LogOutput) -> (Channel, Bytes) {
    let channel = if matches!(output, LogOutput::StdErr { .. }) { Channel::Stderr } else { Channel::Stdout };
    (channel, output.into_bytes())
}

fn line(output: LogOutput) -> Line {
    let (channel, stamped) = parts(output);
    let stamp = stamped.iter().position(|byte| *byte == b' ');
    let at = stamp.and_then(|end| std::str::from_utf8(&stamped[..end]).ok()?.parse().ok());
    // What does not begin with a time is all text.
    let text = if at.is_some() { stamp.map_or(0, |end| end + 1) } else { 0 };
    Line { at, channel, stamped, text }
}

/// The last lines of a log that ends.
async fn last(mut lines: Lines, count: usize) -> Result<Lines, Error> {
    let mut kept: VecDeque<Line> = VecDeque::new();
    while let Some(line) = lines.next().await {
        kept.push_back(line?);
        if kept.len() > count {
            kept.pop_front();
        }
    }
    Ok(stream::iter(kept.into_iter().map(Ok)).boxed())
}

struct Running {
    client: Docker,
    id: String,
    container: String,
    has_ended: AtomicBool,
}

impl Drop for Running {
    /// Nobody is left who could read from the command, write to it or learn how it ends.
    fn drop(&mut self) {
        if self.has_ended.load(Ordering::Relaxed) {
            return;
        }
        // Without a runtime the process itself is ending, and a look at the command would come too late.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (client, id, container) = (self.client.clone(), self.id.clone(), self.container.clone());
        runtime.spawn(async move { abandoned::end(&client, &id, &container).await });
    }
}

#[async_trait]
impl ExecControl for Running {
    async fn resize(&self, size: TerminalSize) -> Result<(), Error> {
        let options = ResizeExecOptions { height: size.height, width: size.width };
        let resized = self.client.resize_exec(&self.id, options).await;
        resized.map_err(|error| translate("command", "resize a command's terminal", error))
    }

    async fn exit_code(&self) -> Result<Option<i64>, Error> {
        // A command may go on after it has closed its output; the one who asks ends the wait by letting go.
        let mut pause = EXIT_CODE_PAUSE;
        loop {
            let state = self.client.inspect_exec(&self.id).await;
            let state = state.map_err(|error| translate("command", "learn a command's exit code", error))?;
            if state.running != Some(true) {
                self.has_ended.store(true, Ordering::Relaxed);
                return Ok(state.exit_code);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(EXIT_CODE_LONGEST_PAUSE);
        }
    }
}
