//! Does one step for a VpcPeering: there is none.

use crds::network::vpc_peering::VpcPeering;

use super::Step;
use crate::runtime::{Applied, Failure};

pub(super) fn apply(step: &Step) -> Result<Applied<VpcPeering>, Failure> {
    match *step {}
}
