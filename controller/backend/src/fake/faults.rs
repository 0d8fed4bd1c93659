//! Decides which call of a port fails, and whether before or after it took effect. Pure.

use std::collections::BTreeMap;
use std::fmt;

use crate::Error;

/// A call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the method of the port with the same name")]
pub enum Operation {
    ListMachines,
    FindMachines,
    CreateMachine,
    StartMachine,
    StopMachine,
    PauseMachine,
    UnpauseMachine,
    ResizeMachine,
    RestoreMachine,
    RemoveMachine,
    MachineUsage,
    DefineMounts,
    AttachVolume,
    DetachVolume,
    ListNetworks,
    FindNetwork,
    EnsureNetwork,
    RemoveNetwork,
    OccupiedRanges,
    FirewallHolds,
    ApplyFirewall,
    ServeNames,
    HoldPorts,
    ListVolumes,
    FindVolume,
    EnsureVolume,
    RemoveVolume,
    RetainVolume,
    HandOverVolume,
    PurgeVolume,
    ListSnapshots,
    FindSnapshot,
    EnsureSnapshot,
    RemoveSnapshot,
    RetainSnapshot,
    HandOverSnapshot,
    PurgeSnapshot,
    ListMachineSnapshots,
    FindMachineSnapshot,
    EnsureMachineSnapshot,
    RemoveMachineSnapshot,
    RetainMachineSnapshot,
    HandOverMachineSnapshot,
    PurgeMachineSnapshot,
    ThawMachine,
    ListDiskImages,
    FindDiskImage,
    EnsureDiskImage,
    RemoveDiskImage,
    ResolveImage,
    PullImage,
    ListFiles,
    EnsureFiles,
    RemoveFiles,
    Logs,
    Exec,
    Identity,
    Reachable,
    Capacity,
}

impl Operation {
    /// Every call there is.
    pub const ALL: [Self; Self::Capacity as usize + 1] = [
        Self::ListMachines,
        Self::FindMachines,
        Self::CreateMachine,
        Self::StartMachine,
        Self::StopMachine,
        Self::PauseMachine,
        Self::UnpauseMachine,
        Self::ResizeMachine,
        Self::RestoreMachine,
        Self::RemoveMachine,
        Self::MachineUsage,
        Self::DefineMounts,
        Self::AttachVolume,
        Self::DetachVolume,
        Self::ListNetworks,
        Self::FindNetwork,
        Self::EnsureNetwork,
        Self::RemoveNetwork,
        Self::OccupiedRanges,
        Self::FirewallHolds,
        Self::ApplyFirewall,
        Self::ServeNames,
        Self::HoldPorts,
        Self::ListVolumes,
        Self::FindVolume,
        Self::EnsureVolume,
        Self::RemoveVolume,
        Self::RetainVolume,
        Self::HandOverVolume,
        Self::PurgeVolume,
        Self::ListSnapshots,
        Self::FindSnapshot,
        Self::EnsureSnapshot,
        Self::RemoveSnapshot,
        Self::RetainSnapshot,
        Self::HandOverSnapshot,
        Self::PurgeSnapshot,
        Self::ListMachineSnapshots,
        Self::FindMachineSnapshot,
        Self::EnsureMachineSnapshot,
        Self::RemoveMachineSnapshot,
        Self::RetainMachineSnapshot,
        Self::HandOverMachineSnapshot,
        Self::PurgeMachineSnapshot,
        Self::ThawMachine,
        Self::ListDiskImages,
        Self::FindDiskImage,
        Self::EnsureDiskImage,
        Self::RemoveDiskImage,
        Self::ResolveImage,
        Self::PullImage,
        Self::ListFiles,
        Self::EnsureFiles,
        Self::RemoveFiles,
        Self::Logs,
        Self::Exec,
        Self::Identity,
        Self::Reachable,
        Self::Capacity,
    ];

    /// Whether it can change the world.
    pub fn is_change(self) -> bool {
        matches!(
            self,
            Self::CreateMachine
                | Self::StartMachine
                | Self::StopMachine
                | Self::PauseMachine
                | Self::UnpauseMachine
                | Self::ResizeMachine
                | Self::RestoreMachine
                | Self::RemoveMachine
                | Self::DefineMounts
                | Self::AttachVolume
                | Self::DetachVolume
                | Self::EnsureNetwork
                | Self::RemoveNetwork
                | Self::ApplyFirewall
                | Self::HoldPorts
                | Self::EnsureVolume
                | Self::RemoveVolume
                | Self::RetainVolume
                | Self::HandOverVolume
                | Self::PurgeVolume
                | Self::EnsureSnapshot
                | Self::RemoveSnapshot
                | Self::RetainSnapshot
                | Self::HandOverSnapshot
                | Self::PurgeSnapshot
                | Self::EnsureMachineSnapshot
                | Self::RemoveMachineSnapshot
                | Self::RetainMachineSnapshot
                | Self::HandOverMachineSnapshot
                | Self::PurgeMachineSnapshot
                | Self::ThawMachine
                | Self::EnsureDiskImage
                | Self::RemoveDiskImage
                | Self::PullImage
                | Self::EnsureFiles
                | Self::RemoveFiles
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// A fault that is to strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which calls; `None` is every call that can change the world.
    pub operation: Option<Operation>,
    /// How many of these calls are let through first, counted from when the fault was injected.
    pub skip: u64,
    /// How often it strikes.
    pub times: Times,
    /// What it does.
    pub kind: FaultKind,
}

/// How often a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Once, then it is gone.
    Once,
    /// Until the faults are cleared.
    Forever,
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The call fails without effect.
    Fail,
    /// The call fails without effect, as it does when the engine does not answer.
    Unavailable,
    /// The call takes effect, and the caller never learns it: a crash or a lost answer.
    LostAnswer,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Pass,
    FailBefore(Error),
    FailAfter(Error),
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    armed: Vec<Fault>,
    calls: BTreeMap<Operation, u64>,
}

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) {
        self.armed.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.armed.clear();
    }

    pub(super) fn calls(&self) -> &BTreeMap<Operation, u64> {
        &self.calls
    }

    /// Counts the call and says what becomes of it. The first fault that is due strikes; all that match count it.
    pub(super) fn strike(&mut self, operation: Operation) -> Verdict {
        *self.calls.entry(operation).or_default() += 1;
        let mut struck = None;
        for (index, fault) in self.armed.iter_mut().enumerate() {
            let matches = fault.operation.map_or(operation.is_change(), |wanted| wanted == operation);
            if !matches {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if struck.is_none() {
                struck = Some(index);
            }
        }
        let Some(index) = struck else { return Verdict::Pass };
        let fault = self.armed[index];
        if fault.times == Times::Once {
            self.armed.remove(index);
        }
        match fault.kind {
            FaultKind::Fail => Verdict::FailBefore(Error::failed(operation.to_string(), "a fault that was asked for")),
            FaultKind::Unavailable => Verdict::FailBefore(super::unavailable()),
            FaultKind::LostAnswer => Verdict::FailAfter(super::unavailable()),
        }
    }
}
