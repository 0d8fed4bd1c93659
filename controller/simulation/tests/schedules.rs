//! Random schedules of wishes and accidents: however it went, all ends as it does where nothing goes wrong.
//! `just simulate` plays more of them.

use std::time::Duration;

use controller_simulation::schedule::{Sweep, sweep};

#[test]
fn whatever_goes_wrong_all_ends_as_it_does_where_nothing_goes_wrong() {
    let wanted = Sweep { from: 0, seeds: 1000, limit: Duration::from_secs(120), threads: 1, keep_going: false };
    match sweep(wanted) {
        Ok(played) => eprintln!("{played} schedules were played"),
        Err(failed) => panic!("{failed}"),
    }
}
