//! Disks that outlive machines, and what they were at a moment.

pub mod volume;
pub mod volume_snapshot;
