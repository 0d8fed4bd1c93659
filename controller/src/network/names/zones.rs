//! Decides who is found by which name in which Vpc, from the Vpcs and Instances as they are declared. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use controller_backend::{Owner, Zone, Zones, dns_names};
use crds::compute::instance::Instance;
use crds::network::vpc::Vpc;
use kube::ResourceExt;
use uuid::Uuid;

use crate::network::firewall::address;
use crate::runtime::uid_of;

/// The names; `owner` tells the marks of an Instance, from which its names are made.
pub(super) fn zones(vpcs: &[Arc<Vpc>], instances: &[Arc<Instance>], owner: impl Fn(&Instance) -> Owner) -> Zones {
    let mut zones = Zones::default();
    let mut places: BTreeMap<(String, String), Uuid> = BTreeMap::new();
    for vpc in vpcs {
        let Some(status) = &vpc.status else { continue };
        let (Some(range), Some(gateway)) = (&status.cidr, &status.gateway) else { continue };
        let (Ok(range), Ok(gateway)) = (range.parse(), gateway.parse()) else { continue };
        let uid = uid_of(vpc.as_ref());
        places.insert((vpc.namespace().unwrap_or_default(), vpc.name_any()), uid);
        zones.networks.insert(uid, Zone { gateway, range, forwards: !vpc.spec.internal, hosts: BTreeMap::new() });
    }
    for instance in instances {
        let Some(address) = address(instance) else { continue };
        let place = (instance.namespace().unwrap_or_default(), instance.vpc().to_owned());
        if let Some(zone) = places.get(&place).and_then(|uid| zones.networks.get_mut(uid)) {
            zone.hosts.insert(address, dns_names(&owner(instance)));
        }
    }
    zones
}
