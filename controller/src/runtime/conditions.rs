//! Decides how a condition is written: `lastTransitionTime` moves only when `status` does, so that a condition which
//! says the same is the same. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What a condition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It can't be known at the moment.
    Unknown,
}

impl Truth {
    /// As the wire spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// When and about what the conditions are written.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The time.
    pub now: Timestamp,
    /// The generation of the object that was looked at.
    pub generation: Option<i64>,
}

/// Sets the condition of this type, in place where it is there already.
pub fn set(conditions: &mut Vec<Condition>, type_: &str, truth: Truth, reason: &str, message: &str, moment: Moment) {
    let mut condition = Condition {
        type_: type_.to_owned(),
        status: truth.as_str().to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: moment.generation,
        last_transition_time: Time(whole_seconds(moment.now)),
    };
    match conditions.iter_mut().find(|known| known.type_ == type_) {
        Some(known) => {
            if known.status == condition.status {
                condition.last_transition_time = known.last_transition_time.clone();
            }
            *known = condition;
        }
        None => conditions.push(condition),
    }
}

/// Removes the condition of this type.
pub fn clear(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

/// The time as the wire carries it: whole seconds.
#[must_use]
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(second: i64) -> Moment {
        Moment { now: Timestamp::from_second(second).unwrap(), generation: Some(1) }
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_does() {
        let mut conditions = Vec::new();
        set(&mut conditions, "Ready", Truth::False, "Provisioning", "", moment(1));
        set(&mut conditions, "Ready", Truth::False, "PortTaken", "", moment(2));
        assert_eq!(conditions[0].last_transition_time.0.as_second(), 1);
        assert_eq!(conditions[0].reason, "PortTaken");
        set(&mut conditions, "Ready", Truth::True, "Running", "", moment(3));
        assert_eq!(conditions[0].last_transition_time.0.as_second(), 3);
        assert_eq!(conditions.len(), 1);
    }
}
