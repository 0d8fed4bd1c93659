//! The port for machines whose mounts change while they exist: those with a disk of their own, which must not be made anew
//! for that. What it brings about now and what at the next start, [`Mounts`] tells.

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use crate::{Error, MachineId, Mount, MountSource};

/// Changes what machines mount.
///
/// # Guarantees
/// - Every operation can be repeated, and cut off anywhere: [`Machine::mounts`](crate::Machine::mounts) tells what is left to do.
/// - A volume counts as the machine's from before it can be written to until it can't be any more, whatever was cut off.
#[async_trait]
pub trait Mounting: Send + Sync {
    /// Defines what a machine mounts from its next start on. What it mounts now doesn't change.
    ///
    /// # Errors
    /// `NotFound` names the volume or file set that is missing. `Invalid` if a device would be there twice.
    async fn define(&self, id: &MachineId, mounts: &[Mount]) -> Result<(), Error>;

    /// Plugs a device that is defined into a machine that runs; one that has it already is told how large it is by now.
    async fn attach(&self, id: &MachineId, volume: Uuid) -> Result<(), Error>;

    /// Asks a machine that runs to let go of a device, and waits a moment for that.
    async fn detach(&self, id: &MachineId, volume: Uuid) -> Result<Detached, Error>;
}

/// What came of asking a machine to let go of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detached {
    /// It hasn't got it.
    Gone,
    /// It still has it. It may let go later, and should be asked again.
    Held,
}

/// What a machine mounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Mounts {
    /// From its next start on.
    pub defined: Vec<Mount>,
    /// Now; `None` while it does not run.
    pub live: Option<Vec<Mount>>,
    /// Which of the volumes are devices: they are plugged in and out of a machine that runs. All else changes at a start.
    pub devices: Vec<Uuid>,
    /// Devices that have grown since the machine was told their size.
    pub outgrown: Vec<Uuid>,
}

impl Mounts {
    /// The device that this mounts, if it does.
    pub fn device(&self, mount: &Mount) -> Option<Uuid> {
        match mount.source {
            MountSource::Volume(uid) if self.devices.contains(&uid) => Some(uid),
            _ => None,
        }
    }
}
