//! The rules of memory that a machine is given while it runs, at the fake engine: its guest takes it at once, unless it was
//! told to take none. Only a machine with a disk of its own has a guest.

use super::world::FakeMachine;
use crate::{MachineMemory, MachineState};

impl FakeMachine {
    /// It starts with all of its memory, and with room for more.
    pub(super) fn begin_with_memory(&mut self) {
        let resources = self.machine.resources;
        let memory = MachineMemory { taken_bytes: resources.memory_bytes, most_bytes: resources.most_memory() };
        self.machine.memory = self.spec.first_boot.as_ref().map(|_| memory);
    }

    /// The guest takes what it was given; whether that was any.
    pub(super) fn take_memory(&mut self) -> bool {
        let given = self.machine.resources.memory_bytes;
        let is_awake = self.machine.state == MachineState::Running && !self.ignores_memory;
        let Some(memory) = self.machine.memory.as_mut().filter(|memory| is_awake && memory.taken_bytes != given) else {
            return false;
        };
        memory.taken_bytes = given;
        true
    }
}
