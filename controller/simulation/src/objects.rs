//! Objects as a user writes them, in few words.

use crds::compute::instance::{Instance, InstanceSpec, Port, Publish, VolumeMount};
use crds::network::security_group::{IngressRule, RuleProtocol, SecurityGroup, SecurityGroupSpec};
use crds::network::vpc::{Vpc, VpcSpec};
use crds::network::vpc_peering::{Peer, VpcPeering, VpcPeeringSpec};
use crds::quantity::Quantity;
use crds::storage::volume::{DeletionPolicy, Volume, VolumeMode, VolumeSpec};

/// A Vpc with this range.
#[must_use]
pub fn vpc(name: &str, cidr: Option<&str>) -> Vpc {
    Vpc::new(name, VpcSpec { cidr: cidr.map(str::to_owned), ..VpcSpec::default() })
}

/// A SecurityGroup of every machine in a Vpc that lets in one port.
#[must_use]
pub fn security_group(name: &str, vpc: &str, port: i32) -> SecurityGroup {
    let rule = IngressRule { protocol: Some(RuleProtocol::Tcp), port: Some(port), ..IngressRule::default() };
    SecurityGroup::new(
        name,
        SecurityGroupSpec { vpc: vpc.to_owned(), ingress: vec![rule], ..SecurityGroupSpec::default() },
    )
}

/// A VpcPeering of two Vpcs of one namespace.
#[must_use]
pub fn vpc_peering(name: &str, vpc: &str, peer: &str) -> VpcPeering {
    let peer = Peer { namespace: None, vpc: peer.to_owned() };
    VpcPeering::new(name, VpcPeeringSpec { vpc: vpc.to_owned(), peer, deletion_protection: false })
}

/// A Volume of this size.
#[must_use]
pub fn volume(name: &str, size: &str) -> Volume {
    Volume::new(
        name,
        VolumeSpec {
            size: Quantity::from(size),
            volume_mode: VolumeMode::Filesystem,
            deletion_policy: DeletionPolicy::Delete,
            deletion_protection: false,
        },
    )
}

/// A small Instance of this image.
#[must_use]
pub fn instance(name: &str, image: &str) -> Instance {
    let spec = InstanceSpec {
        image: image.to_owned(),
        instance_type: Some("nano".to_owned()),
        termination_grace_period_seconds: 10,
        ..InstanceSpec::default()
    };
    Instance::new(name, spec)
}

/// A port that is published, at this port of the host or one that the server picks.
#[must_use]
pub fn published(port: i32, at: Option<i32>) -> Port {
    Port { port, publish: Some(Publish { port: at, address: None }), ..Port::default() }
}

/// A Volume mounted at this path.
#[must_use]
pub fn volume_mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { mount_path: path.to_owned(), volume: Some(volume.to_owned()), ..VolumeMount::default() }
}
