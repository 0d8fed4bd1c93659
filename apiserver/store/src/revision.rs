//! The number that orders every committed write of one store.

use std::fmt;

/// A point in the history of a store: the number of its last committed write. What clients see as `resourceVersion`.
///
/// Revisions are dense (no number is skipped) and grow in commit order. [`Revision::ZERO`] is the empty store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// Before the first write.
    pub const ZERO: Revision = Revision(0);

    /// The revision that the next write gets.
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }

    /// The revision before this one; zero stays zero.
    pub fn before(self) -> Revision {
        Revision(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
