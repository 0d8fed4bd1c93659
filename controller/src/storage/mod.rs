//! Disks that outlive machines.

pub(crate) mod volume;
