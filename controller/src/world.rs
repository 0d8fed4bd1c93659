//! What all kinds share: the client, the backend, the objects as last told, and the queues.

use std::sync::Arc;

use controller_backend::{Backend, Owner};
use crds::compute::instance::Instance;
use crds::compute::instance_type::InstanceType;
use crds::network::vpc::Vpc;
use crds::storage::volume::Volume;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Options;
use crate::claims::Claims;
use crate::host::Gate;
use crate::runtime::{Failure, Queue, Store, uid_of};

/// What all kinds share.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) options: Options,
    pub(crate) stores: Stores,
    pub(crate) queues: Queues,
    pub(crate) claims: Claims,
    pub(crate) gate: Gate,
}

/// The objects as the apiserver last told them.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    pub(crate) instances: Arc<Store<Instance>>,
    pub(crate) instance_types: Arc<Store<InstanceType>>,
    pub(crate) vpcs: Arc<Store<Vpc>>,
    pub(crate) volumes: Arc<Store<Volume>>,
    pub(crate) secrets: Arc<Store<Secret>>,
    pub(crate) config_maps: Arc<Store<ConfigMap>>,
}

/// The objects to look at, by kind.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    pub(crate) instances: Queue,
    pub(crate) vpcs: Queue,
    pub(crate) volumes: Queue,
}

impl World {
    pub(crate) fn new(client: Client, options: Options) -> Self {
        Self {
            client,
            options,
            stores: Stores::default(),
            queues: Queues::default(),
            claims: Claims::default(),
            gate: Gate::default(),
        }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.options.backend
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

    /// Writes some fields of an object's status, if nobody has changed the object since it was read.
    pub(crate) async fn patch_status<K>(&self, object: &K, status: Value) -> Result<K, Failure>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        let body = json!({"metadata": {"resourceVersion": object.resource_version()}, "status": status});
        api.patch_status(&object.name_any(), &PatchParams::default(), &Patch::Merge(body))
            .await
            .map_err(Failure::api("write the status"))
    }
}
