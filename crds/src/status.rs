//! What every kind's status has in common: conditions, as kstatus reads them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Condition: reality equals the spec. Waiting tools finish on it, also for a machine that is stopped on purpose.
pub const READY: &str = "Ready";
/// Condition: the object serves (a machine runs and passes its health check).
pub const AVAILABLE: &str = "Available";
/// Condition: it needs the user; waiting alone won't help.
pub const STALLED: &str = "Stalled";

/// Condition: nothing can be written past the size.
pub const SIZE_ENFORCED: &str = "SizeEnforced";

/// The condition of this type, if there is one.
#[must_use]
pub fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of this type is there and `True`.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    condition(conditions, type_).is_some_and(|condition| condition.status == "True")
}
