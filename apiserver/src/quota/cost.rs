//! What one object counts for.

use std::collections::BTreeSet;

use super::{Amounts, Quantity};

/// What an object counts for, by the names that quotas limit.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    pub(super) amounts: Amounts,
    /// What it is charged for, though nobody can say how much.
    pub(super) unknown: BTreeSet<String>,
}

impl Cost {
    pub(super) fn of(&self, name: &str) -> Quantity {
        self.amounts.get(name).copied().unwrap_or(Quantity::ZERO)
    }

    /// A name under which it would count for less than nothing.
    pub(super) fn negative(&self) -> Option<&str> {
        self.amounts.iter().find(|(_, amount)| amount.is_negative()).map(|(name, _)| name.as_str())
    }
}
