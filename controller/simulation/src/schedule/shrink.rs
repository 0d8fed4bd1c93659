//! Makes a failing schedule smaller: what can be left out while it still fails, is. But every [`Step::Settle`] stays: without one, what
//! is changed after it may never have been as it was before, and then the schedule fails because it is another story.

use super::judge::judge;
use super::step::Step;

/// A part of the schedule that still fails, from which no single step can be left out. `budget` bounds how many schedules
/// are played.
#[must_use]
pub fn shrink(steps: &[Step], mut budget: usize) -> Vec<Step> {
    let mut steps = steps.to_vec();
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < steps.len() {
            let end = (at + size).min(steps.len());
            let less: Vec<Step> = steps
                .iter()
                .enumerate()
                .filter(|(place, step)| !(at..end).contains(place) || **step == Step::Settle)
                .map(|(_, step)| step.clone())
                .collect();
            if less.len() == steps.len() {
                at = end;
                continue;
            }
            if budget == 0 {
                return steps;
            }
            budget -= 1;
            if judge(&less).is_err() {
                steps = less;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    steps
}
