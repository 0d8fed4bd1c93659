//! Disks that outlive machines, and what they were at a moment.

use crds::quantity::Quantity;
use crds::storage::volume::VolumeMode;
use uuid::Uuid;

pub(crate) mod volume;
pub(crate) mod volume_snapshot;

const MEBIBYTE: u64 = 1 << 20;

/// Why data can't be adopted, in the same words whether it isn't there or is another namespace's.
pub(crate) fn no_retained_data(uid: &str, namespace: &str) -> String {
    format!(
        "There is no retained data `{uid}` of namespace `{namespace}`. An administrator sees what there is with \
         `cloudctl admin orphans list`, and brings it here with `cloudctl admin orphans adopt`."
    )
}

/// What is told of data that stays.
pub(crate) fn is_retained(uid: Uuid, field: &str) -> String {
    format!("The data stays on the host: it is adopted by `{field}: {uid}`.")
}

/// The mode in the words of the backend.
fn mode(mode: VolumeMode) -> controller_backend::VolumeMode {
    match mode {
        VolumeMode::Filesystem => controller_backend::VolumeMode::Filesystem,
        VolumeMode::Block => controller_backend::VolumeMode::Block,
    }
}

/// A size as a quantity for people.
pub(crate) fn size(bytes: u64) -> Quantity {
    if bytes.is_multiple_of(MEBIBYTE) {
        Quantity(format!("{}Mi", bytes / MEBIBYTE))
    } else {
        Quantity(bytes.to_string())
    }
}

/// What is used, in whole mebibytes, so that it doesn't change with every line that a machine writes. A quantity is above
/// zero.
pub(crate) fn used(bytes: u64) -> Option<Quantity> {
    (bytes > 0).then(|| Quantity(format!("{}Mi", bytes.div_ceil(MEBIBYTE))))
}
