//! What Instances are found by: the Vpc that they have an address in, the Volumes that they have or want, and whether they
//! wait for what another has.

use std::collections::BTreeSet;

use crds::compute::instance::Instance;
use crds::status::{READY, condition};
use kube::ResourceExt;

use crate::runtime::Entry;

/// By `namespace/name` of the Vpc that it has an address in.
pub(crate) const VPC: &str = "vpc";
/// By `namespace/name` of a Volume that it mounts, or still has.
pub(crate) const VOLUME: &str = "volume";
/// By `FOR_ANOTHER`.
pub(crate) const WAITS: &str = "waits";
/// It waits for something that another Instance may have.
pub(crate) const FOR_ANOTHER: &str = "for another";

pub(crate) fn entries(instance: &Instance) -> BTreeSet<Entry> {
    let namespace = instance.namespace().unwrap_or_default();
    let mut entries = BTreeSet::new();
    let mounted = instance.volumes().into_keys();
    let held = instance.status.iter().flat_map(|status| status.volumes.iter().map(String::as_str));
    entries.extend(mounted.chain(held).map(|name| (VOLUME, format!("{namespace}/{name}"))));
    let Some(status) = &instance.status else { return entries };
    if status.ip.is_some() {
        entries.insert((VPC, format!("{namespace}/{}", instance.vpc())));
    }
    let reason = condition(&status.conditions, READY).map(|ready| ready.reason.as_str());
    if matches!(reason, Some("PortTaken" | "VolumeInUse" | "AddressesExhausted" | "PortsExhausted")) {
        entries.insert((WAITS, FOR_ANOTHER.to_owned()));
    }
    entries
}
