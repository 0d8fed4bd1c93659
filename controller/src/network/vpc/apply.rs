//! Does one step for a Vpc.

use crds::network::vpc::Vpc;
use kube::ResourceExt;
use serde_json::json;

use super::{Step, VpcKind};
use crate::claims::Claim;
use crate::runtime::{Applied, Failure, uid_of};
use crate::world::World;

pub(super) async fn apply(world: &World, vpc: &Vpc, step: &Step) -> Result<Applied<Vpc>, Failure> {
    match step {
        Step::Allocate { cidr, gateway } => {
            if !world.claims.claim(uid_of(vpc), vec![Claim::Range(*cidr)]) {
                return Err(Failure::Stale);
            }
            let status = json!({"phase": "Pending", "cidr": cidr.to_string(), "gateway": gateway.to_string()});
            Ok(Applied::wrote(world.patch_status::<VpcKind>(vpc, status).await?))
        }
        Step::EnsureNetwork(spec) => {
            let network = world.backend().networks.ensure(spec).await.map_err(Failure::backend("make the network"))?;
            Ok(Applied::telling("Created", format!("Made the network {} on {}.", network.cidr, network.bridge)))
        }
        Step::RemoveNetwork => {
            let networks = &world.backend().networks;
            networks.remove(uid_of(vpc)).await.map_err(Failure::backend("remove the network"))?;
            Ok(Applied::telling("Removed", format!("Removed the network of {}.", vpc.name_any())))
        }
    }
}
