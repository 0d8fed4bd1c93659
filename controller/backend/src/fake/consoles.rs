//! Logs and commands at the fake engine. A followed log of a machine that runs ends when the machine's does: it is
//! given as it is now.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use tokio::io::AsyncReadExt;

use super::faults::Operation;
use super::machines::{ours, wrong_state};
use super::{View, shell};
use crate::{
    Channel, Chunk, Consoles, Error, ExecControl, ExecSession, ExecSpec, LogOptions, LogStream, MachineId,
    MachineState, TerminalSize,
};

/// How much of a command's input is held before its writer waits.
const INPUT_BUFFER: usize = 64 * 1024;

#[async_trait]
impl Consoles for View {
    async fn logs(&self, id: &MachineId, options: LogOptions) -> Result<LogStream, Error> {
        self.perform(Operation::Logs, |world, installation| {
            let fake = ours(world, installation, id)?;
            let runs_now = fake.machine.started_at;
            let last_run = fake.log.iter().map(|entry| entry.run).max();
            let wanted = fake.log.iter().filter(|entry| {
                let current = Some(entry.run) == last_run && runs_now.is_some_and(|started| entry.at >= started);
                current != options.previous && options.since.is_none_or(|since| entry.at >= since)
            });
            let mut chunks: Vec<Result<Chunk, Error>> = wanted
                .map(|entry| {
                    let bytes = if options.timestamps {
                        let mut line = format!("{:.9} ", entry.at).into_bytes();
                        line.extend_from_slice(&entry.line);
                        Bytes::from(line)
                    } else {
                        entry.line.clone()
                    };
                    Ok(Chunk { channel: entry.channel, bytes })
                })
                .collect();
            if let Some(tail) = options.tail {
                let surplus = chunks.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
                chunks.drain(..surplus);
            }
            Ok(stream::iter(chunks).boxed())
        })
    }

    async fn exec(&self, id: &MachineId, spec: ExecSpec) -> Result<ExecSession, Error> {
        self.perform(Operation::Exec, |world, installation| {
            let fake = ours(world, installation, id)?;
            if fake.machine.state != MachineState::Running {
                return Err(wrong_state(id, &fake.machine.state));
            }
            if spec.command.is_empty() {
                return Err(Error::invalid("no command was given"));
            }
            let outcome = shell::run(&spec.command);
            let lines = outcome.lines.into_iter().map(move |(channel, bytes)| {
                Ok(Chunk { channel: if spec.tty { Channel::Stdout } else { channel }, bytes })
            });
            let (writer, reader) = tokio::io::duplex(INPUT_BUFFER);
            let copied = stream::unfold((reader, outcome.copies_input && spec.stdin), |(mut reader, on)| async move {
                let mut buffer = vec![0; 4096];
                if !on {
                    return None;
                }
                match reader.read(&mut buffer).await {
                    Ok(0) => None,
                    Ok(length) => {
                        buffer.truncate(length);
                        Some((Ok(Chunk { channel: Channel::Stdout, bytes: Bytes::from(buffer) }), (reader, on)))
                    }
                    Err(source) => Some((Err(Error::failed("read input", source)), (reader, false))),
                }
            });
            Ok(ExecSession {
                input: spec.stdin.then(|| Box::pin(writer) as _),
                output: stream::iter(lines).chain(copied).boxed(),
                control: Box::new(Ended { code: outcome.code }),
            })
        })
    }

    async fn console(&self, _id: &MachineId) -> Result<ExecSession, Error> {
        Err(Error::invalid("a container has no console: run a shell in it, with `cloudctl exec -it NAME -- sh`"))
    }
}

struct Ended {
    code: Option<i64>,
}

#[async_trait]
impl ExecControl for Ended {
    async fn resize(&self, _: TerminalSize) -> Result<(), Error> {
        Ok(())
    }

    async fn exit_code(&self) -> Result<Option<i64>, Error> {
        Ok(self.code)
    }
}
