//! Disks that outlive machines.

pub mod volume;
