//! Logs of machines, commands inside them and connections to their ports, by the uid of the Instance: what the
//! apiserver's connect subresources `log`, `exec`, `console`, `portforward` and `metrics` are answered with.

use std::io;
use std::time::Duration;

use controller_backend::{
    Backend, Conflict, Error, ExecSession, ExecSpec, LogOptions, LogStream, Machine, MachineState, Usage,
};
use tokio::net::TcpStream;
use uuid::Uuid;

/// How long a machine may take to answer a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no connection to a port.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// There is no machine that could be connected to.
    #[error(transparent)]
    Machine(#[from] Error),
    /// The machine runs, and this port of it can't be reached.
    #[error("port {port} can't be reached: {source}")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
}

/// Finds the machine of an Instance and connects to it.
#[derive(Debug, Clone)]
pub struct Streams {
    backends: Vec<Backend>,
}

impl Streams {
    /// Streams of these backends' machines.
    #[must_use]
    pub fn new(backends: Vec<Backend>) -> Self {
        Self { backends }
    }

    /// What the Instance's machine wrote.
    ///
    /// # Errors
    /// `NotFound` if the Instance has no machine now.
    pub async fn log(&self, instance: Uuid, options: LogOptions) -> Result<LogStream, Error> {
        let (backend, machine) = self.machine(instance).await?;
        backend.consoles.logs(&machine.id, options).await
    }

    /// Runs a command inside the Instance's machine.
    ///
    /// # Errors
    /// `NotFound` if the Instance has no machine now, `Conflict` (`State`) if it is not running.
    pub async fn exec(&self, instance: Uuid, spec: ExecSpec) -> Result<ExecSession, Error> {
        let (backend, machine) = self.machine(instance).await?;
        backend.consoles.exec(&machine.id, spec).await
    }

    /// The console of the Instance's machine.
    ///
    /// # Errors
    /// `NotFound` if the Instance has no machine now, `Conflict` (`State`) if it is not running or somebody else is at its
    /// console, `Invalid` if it has none.
    pub async fn console(&self, instance: Uuid) -> Result<ExecSession, Error> {
        let (backend, machine) = self.machine(instance).await?;
        backend.consoles.console(&machine.id).await
    }

    /// What the Instance's machine has used.
    ///
    /// # Errors
    /// `NotFound` if the Instance has no machine now, `Conflict` (`State`) if it is not running.
    pub async fn usage(&self, instance: Uuid) -> Result<Usage, Error> {
        let (backend, machine) = self.machine(instance).await?;
        backend.machines.usage(&machine.id).await
    }

    /// Connects to a TCP port of the Instance's machine, at its address in the Vpc.
    ///
    /// # Errors
    /// `Machine` if the Instance has no machine that runs, `Port` if nobody answers there.
    pub async fn dial(&self, instance: Uuid, port: u16) -> Result<TcpStream, DialError> {
        let (_, machine) = self.machine(instance).await?;
        let what = format!("machine `{}`", machine.id);
        if machine.state != MachineState::Running {
            let state = if machine.state == MachineState::Paused { "paused" } else { "not running" };
            return Err(Error::conflict(Conflict::State { what, state: state.to_owned() }).into());
        }
        let attachment = machine.attachment.ok_or_else(|| Error::not_found(format!("address of {what}")))?;
        let connect = TcpStream::connect((attachment.address, port));
        let connected = tokio::time::timeout(PATIENCE, connect).await.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", PATIENCE.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        });
        let stream = connected.map_err(|source| DialError::Port { port, source })?;
        // What is passed on comes in pieces already.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// The one that runs, or else the newest.
    async fn machine(&self, instance: Uuid) -> Result<(&Backend, Machine), Error> {
        let mut unavailable = None;
        for backend in &self.backends {
            // Where it is not is also where nobody may answer.
            let machines = match backend.machines.find(instance).await {
                Ok(machines) => machines,
                Err(error) => {
                    unavailable = Some(error);
                    continue;
                }
            };
            let best = machines.into_iter().max_by_key(|machine| {
                (matches!(machine.state, MachineState::Running | MachineState::Paused), machine.created_at)
            });
            if let Some(machine) = best {
                return Ok((backend, machine));
            }
        }
        Err(unavailable.unwrap_or_else(|| Error::not_found("machine of this Instance yet")))
    }
}
