//! Networks that machines join, and what passes between them.

pub mod security_group;
pub mod vpc;
pub mod vpc_peering;
