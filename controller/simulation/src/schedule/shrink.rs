//! Makes a failing schedule smaller: what can be left out while it still fails, is. But it must go on telling the same story:
//! every [`Step::Settle`] stays, as without one, what is changed after it may never have been as it was before; and what the user
//! wishes is left out only while the first thing that ends differently is the same, as accidents may take away for good
//! what is no longer wished back.

use super::judge::{Failure, judge};
use super::step::Step;

/// A part of the schedule that still fails like this, from which no single step can be left out. `budget` bounds how many
/// schedules are played.
#[must_use]
pub fn shrink(steps: &[Step], failure: &Failure, mut budget: usize) -> Vec<Step> {
    let still_fails = |less: &[Step]| judge(less).is_err();
    let fails_alike = |less: &[Step]| judge(less).is_err_and(|other| other.first() == failure.first());
    let steps = without(steps, |step| !step.is_wished(), &mut budget, still_fails);
    without(&steps, |step| *step != Step::Settle, &mut budget, fails_alike)
}

/// The steps without as many as possible of those that may go.
fn without(
    steps: &[Step],
    may_go: impl Fn(&Step) -> bool,
    budget: &mut usize,
    fails: impl Fn(&[Step]) -> bool,
) -> Vec<Step> {
    let mut steps = steps.to_vec();
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < steps.len() {
            let end = (at + size).min(steps.len());
            let goes = |place: usize, step: &Step| (at..end).contains(&place) && may_go(step);
            let less: Vec<Step> = steps
                .iter()
                .enumerate()
                .filter(|(place, step)| !goes(*place, step))
                .map(|(_, step)| step.clone())
                .collect();
            if less.len() == steps.len() {
                at = end;
                continue;
            }
            if *budget == 0 {
                return steps;
            }
            *budget -= 1;
            if fails(&less) {
                steps = less;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    steps
}
