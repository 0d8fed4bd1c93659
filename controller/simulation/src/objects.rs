//! Objects as a user writes them, in few words.

use crds::compute::instance::{Instance, InstanceSpec, Port, Publish, VolumeMount};
use crds::network::vpc::{Vpc, VpcSpec};
use crds::quantity::Quantity;
use crds::storage::volume::{DeletionPolicy, Volume, VolumeMode, VolumeSpec};

/// A Vpc with this range.
#[must_use]
pub fn vpc(name: &str, cidr: Option<&str>) -> Vpc {
    Vpc::new(name, VpcSpec { cidr: cidr.map(str::to_owned), ..VpcSpec::default() })
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
