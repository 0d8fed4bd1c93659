//! Does one step for a SecurityGroup: there is none.

use crds::network::security_group::SecurityGroup;

use super::Step;
use crate::runtime::{Applied, Failure};

pub(super) fn apply(step: &Step) -> Result<Applied<SecurityGroup>, Failure> {
    match *step {}
}
