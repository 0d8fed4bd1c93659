//! What all kinds share: the clients, the backend, the objects as last told, and the queues.

use std::sync::Arc;

use controller_backend::{Backend, DiskImages, MachineSnapshot, Owner};
use crds::compute::cluster_image::ClusterImage;
use crds::compute::image::Image;
use crds::compute::instance::{BackendName, Instance};
use crds::compute::instance_policy::InstancePolicy;
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::compute::instance_type::InstanceType;
use crds::network::security_group::SecurityGroup;
use crds::network::vpc::Vpc;
use crds::network::vpc_peering::VpcPeering;
use crds::storage::volume::Volume;
use crds::storage::volume_snapshot::VolumeSnapshot;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Options;
use crate::claims::Claims;
use crate::clients::Clients;
use crate::compute::instance;
use crate::digests::Digests;
use crate::host::Gate;
use crate::network::firewall::Firewall;
use crate::network::names::NameService;
use crate::runtime::{Failure, Kind, Queue, Store, uid_of};

/// What all kinds share.
pub(crate) struct World {
    pub(crate) clients: Clients,
    pub(crate) options: Options,
    pub(crate) stores: Stores,
    pub(crate) queues: Queues,
    pub(crate) claims: Claims,
    pub(crate) gate: Gate,
    pub(crate) digests: Digests,
    pub(crate) firewall: Firewall,
    pub(crate) names: NameService,
}

/// The objects as the apiserver last told them.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    pub(crate) instances: Arc<Store<Instance>>,
    pub(crate) instance_snapshots: Arc<Store<InstanceSnapshot>>,
    pub(crate) instance_policies: Arc<Store<InstancePolicy>>,
    pub(crate) instance_types: Arc<Store<InstanceType>>,
    pub(crate) images: Arc<Store<Image>>,
    pub(crate) cluster_images: Arc<Store<ClusterImage>>,
    pub(crate) vpcs: Arc<Store<Vpc>>,
    pub(crate) security_groups: Arc<Store<SecurityGroup>>,
    pub(crate) vpc_peerings: Arc<Store<VpcPeering>>,
    pub(crate) volumes: Arc<Store<Volume>>,
    pub(crate) volume_snapshots: Arc<Store<VolumeSnapshot>>,
    pub(crate) secrets: Arc<Store<Secret>>,
    pub(crate) config_maps: Arc<Store<ConfigMap>>,
}

/// The objects to look at, by kind.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    pub(crate) instances: Queue,
    pub(crate) instance_snapshots: Queue,
    pub(crate) images: Queue,
    pub(crate) cluster_images: Queue,
    pub(crate) vpcs: Queue,
    pub(crate) security_groups: Queue,
    pub(crate) vpc_peerings: Queue,
    pub(crate) volumes: Queue,
    pub(crate) volume_snapshots: Queue,
}

impl World {
    pub(crate) fn new(clients: Clients, options: Options) -> Self {
        Self {
            clients,
            options,
            stores: Stores { instances: Arc::new(Store::indexed(instance::index::entries)), ..Stores::default() },
            queues: Queues::default(),
            claims: Claims::default(),
            gate: Gate::default(),
            digests: Digests::default(),
            firewall: Firewall::default(),
            names: NameService::default(),
        }
    }

    /// What the host has: networks, volumes, and containers.
    pub(crate) fn backend(&self) -> &Backend {
        &self.options.backend
    }

    /// What runs this Instance, by name.
    pub(crate) fn backend_name(&self, instance: &Instance) -> BackendName {
        instance.backend(self.options.backend_name)
    }

    /// What runs this Instance.
    pub(crate) fn backend_of(&self, instance: &Instance) -> Result<&Backend, Failure> {
        self.backend_named(self.backend_name(instance))
    }

    /// What runs Instances with this `backend`.
    pub(crate) fn backend_named(&self, name: BackendName) -> Result<&Backend, Failure> {
        match name {
            BackendName::Docker => Ok(&self.options.backend),
            BackendName::Libvirt => self.options.virtual_machines.as_ref().ok_or(Failure::NoVirtualMachines),
        }
    }

    /// All that run Instances.
    pub(crate) fn backends(&self) -> impl Iterator<Item = (BackendName, &Backend)> {
        backends(&self.options.backend, self.options.virtual_machines.as_ref())
    }

    /// Where disk images are kept.
    pub(crate) fn disk_images(&self) -> Result<&dyn DiskImages, Failure> {
        let machines = self.options.virtual_machines.as_ref();
        machines.and_then(|backend| backend.disk_images.as_deref()).ok_or(Failure::NoVirtualMachines)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// The marks of what stands behind an object.
    pub(crate) fn owner<K: Resource<DynamicType = ()>>(&self, object: &K) -> Owner {
        Owner {
            installation: self.options.installation,
            kind: K::kind(&()).into_owned(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: uid_of(object),
        }
    }

    /// How the controller of a kind reaches the objects in the namespace of this one.
    pub(crate) fn api<K: Kind>(&self, beside: &K::Object) -> Api<K::Object> {
        K::api(self.clients.of_kind::<K>(), &beside.namespace().unwrap_or_default())
    }

    /// Writes some fields of an object's status, if nobody has changed the object since it was read.
    pub(crate) async fn patch_status<K: Kind>(&self, object: &K::Object, status: Value) -> Result<K::Object, Failure> {
        patch_status(&self.api::<K>(object), object, status).await
    }
}

/// All that run Instances, by their names.
pub(crate) fn backends<'a>(
    host: &'a Backend,
    virtual_machines: Option<&'a Backend>,
) -> impl Iterator<Item = (BackendName, &'a Backend)> {
    std::iter::once((BackendName::Docker, host)).chain(virtual_machines.map(|backend| (BackendName::Libvirt, backend)))
}

/// Whether Instances of this backend are made from the snapshot: one engine may stand for two.
pub(crate) fn runs(name: BackendName, snapshot: &MachineSnapshot) -> bool {
    snapshot.disk_bytes.is_some() == (name == BackendName::Libvirt)
}

/// Writes some fields of an object's status, if nobody has changed the object since it was read.
pub(crate) async fn patch_status<K>(api: &Api<K>, object: &K, status: Value) -> Result<K, Failure>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let body = json!({"metadata": {"resourceVersion": object.resource_version()}, "status": status});
    api.patch_status(&object.name_any(), &PatchParams::default(), &Patch::Merge(body))
        .await
        .map_err(Failure::api("write the status"))
}
