//! Objects as a user writes them, in few words, and where each kind is.

use crds::compute::cluster_image::{ClusterImage, ClusterImageSource, ClusterImageSpec, SnapshotReference};
use crds::compute::image::{Image, ImageFormat, ImageSource, ImageSpec};
use crds::compute::instance::{
    BackendName, Capabilities, CloudInit, Instance, InstanceSpec, Port, Publish, SecurityContext, VolumeMount,
};
use crds::compute::instance_policy::{Allowance, InstancePolicy, InstancePolicySpec};
use crds::compute::instance_snapshot::{InstanceSnapshot, InstanceSnapshotSpec};
use crds::network::security_group::{IngressRule, RuleProtocol, SecurityGroup, SecurityGroupSpec};
use crds::network::vpc::{Vpc, VpcSpec};
use crds::network::vpc_peering::{Peer, VpcPeering, VpcPeeringSpec};
use crds::quantity::Quantity;
use crds::storage::volume::{DeletionPolicy, Volume, VolumeMode, VolumeSource, VolumeSpec};
use crds::storage::volume_snapshot::{VolumeSnapshot, VolumeSnapshotSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Secret};
use kube::{Api, Client, Resource};

use crate::cloud::{DISK_CHECKSUM, DISK_URL, NAMESPACE};

/// A kind that the tours know the place of.
pub trait Reached: Resource<DynamicType = ()> + Sized {
    /// The way to its objects.
    fn api(client: Client) -> Api<Self>;
}

macro_rules! reached {
    ($($kind:ty),+ => $api:expr) => {
        $(impl Reached for $kind {
            fn api(client: Client) -> Api<Self> {
                $api(client)
            }
        })+
    };
}

reached!(
    Instance,
    Image,
    InstanceSnapshot,
    Vpc,
    SecurityGroup,
    VpcPeering,
    Volume,
    VolumeSnapshot,
    ConfigMap,
    Event,
    Secret
    => |client| Api::namespaced(client, NAMESPACE)
);

reached!(ClusterImage, InstancePolicy => Api::all);

/// A Secret with these keys and texts.
#[must_use]
pub fn secret(name: &str, texts: &[(&str, &str)]) -> Secret {
    let texts = texts.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned()));
    let mut secret = Secret { string_data: Some(texts.collect()), ..Secret::default() };
    secret.metadata.name = Some(name.to_owned());
    secret
}

/// A disk that is imported from this file.
#[must_use]
pub fn cluster_image(name: &str, path: &str) -> ClusterImage {
    let source = ClusterImageSource { path: Some(path.to_owned()), ..ClusterImageSource::default() };
    ClusterImage::new(name, ClusterImageSpec { source, ..ClusterImageSpec::default() })
}

/// A disk of the namespace that is downloaded.
#[must_use]
pub fn image(name: &str) -> Image {
    let (url, checksum) = (Some(DISK_URL.to_owned()), Some(DISK_CHECKSUM.to_owned()));
    image_from(name, ImageSource { url, checksum, snapshot: None })
}

/// A disk of the namespace that is made from this InstanceSnapshot.
#[must_use]
pub fn image_of_snapshot(name: &str, snapshot: &str) -> Image {
    image_from(name, ImageSource { snapshot: Some(snapshot.to_owned()), ..ImageSource::default() })
}

fn image_from(name: &str, source: ImageSource) -> Image {
    let (format, max_size) = (ImageFormat::Qcow2, Quantity::from("1Gi"));
    Image::new(name, ImageSpec { source, format, max_size, min_disk: None, deletion_protection: false })
}

/// A disk of everybody that is made from this InstanceSnapshot.
#[must_use]
pub fn cluster_image_of_snapshot(name: &str, snapshot: &str) -> ClusterImage {
    let snapshot = Some(SnapshotReference { namespace: NAMESPACE.to_owned(), name: snapshot.to_owned() });
    let source = ClusterImageSource { snapshot, ..ClusterImageSource::default() };
    ClusterImage::new(name, ClusterImageSpec { source, ..ClusterImageSpec::default() })
}

/// A disk that is downloaded from there.
#[must_use]
pub fn downloaded_image(name: &str, url: &str, checksum: &str) -> ClusterImage {
    let (url, checksum) = (Some(url.to_owned()), Some(checksum.to_owned()));
    let source = ClusterImageSource { url, checksum, ..ClusterImageSource::default() };
    ClusterImage::new(name, ClusterImageSpec { source, ..ClusterImageSpec::default() })
}

/// A small virtual machine made from the image of this name.
#[must_use]
pub fn virtual_machine(name: &str, image: &str) -> Instance {
    let mut machine = instance(name, image);
    machine.spec.backend = Some(BackendName::Libvirt);
    machine.spec.cloud_init = Some(CloudInit { user_data: Some("#cloud-config".to_owned()), network_config: None });
    machine
}

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
            source: None,
            deletion_policy: DeletionPolicy::Delete,
            deletion_protection: false,
        },
    )
}

/// A Volume of this size that is a device.
#[must_use]
pub fn block_volume(name: &str, size: &str) -> Volume {
    let mut volume = volume(name, size);
    volume.spec.volume_mode = VolumeMode::Block;
    volume
}

/// The same, made from something.
#[must_use]
pub fn copy(name: &str, size: &str, source: VolumeSource) -> Volume {
    let mut volume = volume(name, size);
    volume.spec.source = Some(source);
    volume
}

/// A snapshot of a Volume.
#[must_use]
pub fn snapshot(name: &str, volume: &str) -> VolumeSnapshot {
    let spec = VolumeSnapshotSpec {
        volume: Some(volume.to_owned()),
        retained: None,
        deletion_policy: DeletionPolicy::Delete,
        deletion_protection: false,
    };
    VolumeSnapshot::new(name, spec)
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

/// The same Instance, asking for a capability that not everybody has.
#[must_use]
pub fn asking(mut instance: Instance, capability: &str) -> Instance {
    let capabilities = Capabilities { add: vec![capability.to_owned()], drop: Vec::new() };
    let context = SecurityContext { capabilities: Some(capabilities), ..SecurityContext::default() };
    instance.spec.security_context = Some(context);
    instance
}

/// An InstancePolicy that lets the Instances of a namespace have a capability.
#[must_use]
pub fn instance_policy(name: &str, namespace: &str, capability: &str) -> InstancePolicy {
    let allow = Allowance { capabilities: vec![capability.to_owned()], ..Allowance::default() };
    InstancePolicy::new(name, InstancePolicySpec { namespaces: vec![namespace.to_owned()], allow })
}

/// A snapshot of an Instance.
#[must_use]
pub fn instance_snapshot(name: &str, instance: &str) -> InstanceSnapshot {
    let spec = InstanceSnapshotSpec { instance: Some(instance.to_owned()), ..InstanceSnapshotSpec::default() };
    InstanceSnapshot::new(name, spec)
}

/// The same Instance, made from this InstanceSnapshot instead.
#[must_use]
pub fn restored(mut instance: Instance, snapshot: &str) -> Instance {
    instance.spec.image = String::new();
    instance.spec.image_snapshot = Some(snapshot.to_owned());
    instance
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
