//! Logs of machines and commands inside them, by the uid of the Instance: what the apiserver's connect subresources
//! `log` and `exec` are answered with.

use controller_backend::{Backend, Error, ExecSession, ExecSpec, LogOptions, LogStream, Machine, MachineState};
use uuid::Uuid;

/// Finds the machine of an Instance and connects to it.
#[derive(Debug, Clone)]
pub struct Streams {
    backend: Backend,
}

impl Streams {
    /// Streams of this backend's machines.
    #[must_use]
    pub fn new(backend: Backend) -> Self {
        Self { backend }
    }

    /// What the Instance's machine wrote.
    ///
    /// # Errors
    /// `NotFound` if the Instance has no machine now.
    pub async fn log(&self, instance: Uuid, options: LogOptions) -> Result<LogStream, Error> {
        let machine = self.machine(instance).await?;
        self.backend.consoles.logs(&machine.id, options).await
    }

    /// Runs a command inside the Instance's machine.
    ///
    /// # Errors
    /// `NotFound` if the Instance has no machine now, `Conflict` (`State`) if it is not running.
    pub async fn exec(&self, instance: Uuid, spec: ExecSpec) -> Result<ExecSession, Error> {
        let machine = self.machine(instance).await?;
        self.backend.consoles.exec(&machine.id, spec).await
    }

    /// The one that runs, or else the newest.
    async fn machine(&self, instance: Uuid) -> Result<Machine, Error> {
        let machines = self.backend.machines.find(instance).await?;
        machines
            .into_iter()
            .max_by_key(|machine| {
                (matches!(machine.state, MachineState::Running | MachineState::Paused), machine.created_at)
            })
            .ok_or_else(|| Error::not_found("machine of this Instance yet"))
    }
}
