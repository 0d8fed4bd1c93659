//! Random schedules: what a user may do and what may go wrong, drawn from a seed, on virtual time. However it went, the
//! cloud ends as it does where nothing goes wrong, and on the way no machine runs twice and no data is lost.
//!
//! A schedule is data: a script of one JSON line a step, which can be told, kept and played again.

mod act;
mod draw;
mod judge;
mod keeping;
mod lag;
mod leaving;
mod shrink;
mod step;
mod sweep;
mod taking;
mod text;

pub use draw::draw;
pub use judge::{Failure, judge};
pub(crate) use lag::{Lag, Lagging};
pub use shrink::shrink;
pub use step::{Step, Taking, Thing, read, script};
pub use sweep::{Failed, Sweep, sweep};
