//! Networks that machines join.

pub mod vpc;
