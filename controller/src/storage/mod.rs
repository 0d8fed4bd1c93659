//! Disks that outlive machines, and what they were at a moment.

use crds::quantity::Quantity;

pub(crate) mod volume;
pub(crate) mod volume_snapshot;

const MEBIBYTE: u64 = 1 << 20;

/// A size as a quantity for people.
fn size(bytes: u64) -> Quantity {
    if bytes.is_multiple_of(MEBIBYTE) {
        Quantity(format!("{}Mi", bytes / MEBIBYTE))
    } else {
        Quantity(bytes.to_string())
    }
}

/// What is used, in whole mebibytes, so that it doesn't change with every line that a machine writes. A quantity is above
/// zero.
fn used(bytes: u64) -> Option<Quantity> {
    (bytes > 0).then(|| Quantity(format!("{}Mi", bytes.div_ceil(MEBIBYTE))))
}
