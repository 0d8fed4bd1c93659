//! Networks that machines join.

pub(crate) mod vpc;
