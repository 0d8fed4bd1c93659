//! Logs of machines and commands inside them, by the uid of the Instance: what the apiserver's connect subresources
//! `log`, `exec` and `console` are answered with.

use controller_backend::{Backend, Error, ExecSession, ExecSpec, LogOptions, LogStream, Machine, MachineState};
use uuid::Uuid;

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
