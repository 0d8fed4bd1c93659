//! Networks that machines join, and what passes between them.

pub(crate) mod firewall;
pub(crate) mod names;
pub(crate) mod security_group;
pub(crate) mod vpc;
pub(crate) mod vpc_peering;
