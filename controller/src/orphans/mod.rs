//! Data without an object: what a Volume, VolumeSnapshot or InstanceSnapshot has left behind, or what a restore has
//! orphaned. It is listed, adopted by its uid, and purged by its uid; nothing else ever removes it.
//!
//! Each adoption ends with an object that names the data; from there on it is the controllers' work. Cut off before, the
//! data is still an orphan.

mod data;

use std::collections::BTreeMap;
use std::fmt::Debug;

use controller_backend::{Backend, Error as BackendError, Owner};
use crds::compute::instance_snapshot::{InstanceSnapshot, InstanceSnapshotSpec};
use crds::storage::volume::{DeletionPolicy, Volume, VolumeMode, VolumeSource, VolumeSpec};
use crds::storage::volume_snapshot::{VolumeSnapshot, VolumeSnapshotSpec};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::runtime::uid_of;

use data::Backends;
pub use data::Data;

/// Lists, adopts and purges data without an object.
#[derive(Clone)]
pub struct Orphans {
    client: Client,
    backends: Backends,
}

/// Data without an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Whose it was; the uid is the data's name from now on.
    pub owner: Owner,
    /// Its size.
    pub size_bytes: u64,
    /// What kind of data it is.
    pub data: Data,
    /// Whether it was left behind on purpose.
    pub retained: bool,
    /// When it was taken, where that is known.
    pub taken_at: Option<Timestamp>,
    /// The object that is about to adopt it, such as ``Volume `shop/data` ``.
    pub claimed_by: Option<String>,
}

/// Where data goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The namespace; its own if this is absent.
    pub namespace: Option<String>,
    /// The name of the new object; the old one if this is absent.
    pub name: Option<String>,
}

/// The object that was made to adopt data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Why an orphan is left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrphanError {
    /// There is none of this uid.
    #[error("there is no data `{uid}` without an object")]
    Missing {
        /// The uid.
        uid: Uuid,
    },
    /// It has an object.
    #[error("the data `{uid}` is that of {owner}")]
    Owned {
        /// The uid.
        uid: Uuid,
        /// The object.
        owner: String,
    },
    /// Somebody was quicker.
    #[error("the data `{uid}` is about to be adopted by {heir}")]
    Claimed {
        /// The uid.
        uid: Uuid,
        /// The object.
        heir: String,
    },
    /// The backend refused or failed.
    #[error("{action}")]
    Backend {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: BackendError,
    },
    /// The apiserver refused or failed.
    #[error("{action}")]
    Api {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: Box<kube::Error>,
    },
}

fn backend(action: &'static str) -> impl FnOnce(BackendError) -> OrphanError {
    move |source| OrphanError::Backend { action, source }
}

fn api(action: &'static str) -> impl FnOnce(kube::Error) -> OrphanError {
    move |source| OrphanError::Api { action, source: Box::new(source) }
}

/// The objects that data may belong to, or is about to.
#[derive(Debug, Default)]
struct Objects {
    /// By uid.
    owners: BTreeMap<Uuid, String>,
    /// By kind, and the namespace and the uid that they name.
    heirs: BTreeMap<(String, String, String), String>,
}

impl Objects {
    fn add<K: Resource<DynamicType = ()>>(&mut self, objects: &[K], retained: impl Fn(&K) -> Option<&String>) {
        for object in objects {
            let namespace = object.namespace().unwrap_or_default();
            let shown = format!("{} `{namespace}/{}`", K::kind(&()), object.name_any());
            if let Some(uid) = retained(object) {
                self.heirs.insert((K::kind(&()).into_owned(), namespace, uid.clone()), shown.clone());
            }
            self.owners.insert(uid_of(object), shown);
        }
    }

    fn heir(&self, owner: &Owner) -> Option<String> {
        // One of another kind or namespace would wait for ever.
        self.heirs.get(&(owner.kind.clone(), owner.namespace.clone(), owner.uid.to_string())).cloned()
    }
}

impl Orphans {
    /// Orphans of this installation, on its host and, if that is another, at what runs its virtual machines.
    #[must_use]
    pub fn new(client: Client, host: Backend, virtual_machines: Option<Backend>) -> Self {
        Self { client, backends: Backends { host, virtual_machines } }
    }

    /// All of them, by kind, namespace and name.
    ///
    /// # Errors
    /// The backend or the apiserver fails.
    pub async fn list(&self) -> Result<Vec<Orphan>, OrphanError> {
        // The objects come last: what is made in between has one.
        let data = self.backends.list().await?;
        let objects = self.objects().await?;
        let mut orphans: Vec<Orphan> =
            data.into_iter().filter(|orphan| !objects.owners.contains_key(&orphan.owner.uid)).collect();
        for orphan in &mut orphans {
            orphan.claimed_by = objects.heir(&orphan.owner);
        }
        orphans.sort_by(|one, other| {
            let key = |owner: &Owner| (owner.kind.clone(), owner.namespace.clone(), owner.name.clone(), owner.uid);
            key(&one.owner).cmp(&key(&other.owner))
        });
        Ok(orphans)
    }

    /// Makes an object that adopts the data of this uid.
    ///
    /// # Errors
    /// There is none, it is somebody's, or the object isn't accepted; it is an orphan still.
    pub async fn adopt(&self, uid: Uuid, adoption: &Adoption) -> Result<Adopted, OrphanError> {
        let orphan = self.unclaimed(uid).await?;
        let namespace = adoption.namespace.clone().unwrap_or_else(|| orphan.owner.namespace.clone());
        let name = adoption.name.clone().unwrap_or_else(|| orphan.owner.name.clone());
        let (retained, deletion_policy) = (Some(uid.to_string()), DeletionPolicy::Retain);
        match orphan.data {
            Data::Volume(mode) => {
                let spec = VolumeSpec {
                    size: orphan.size(),
                    volume_mode: match mode {
                        controller_backend::VolumeMode::Filesystem => VolumeMode::Filesystem,
                        controller_backend::VolumeMode::Block => VolumeMode::Block,
                    },
                    source: Some(VolumeSource { retained, ..VolumeSource::default() }),
                    deletion_policy,
                    deletion_protection: false,
                };
                self.hand_to(&orphan, &namespace, Volume::new(&name, spec)).await?;
            }
            Data::VolumeSnapshot => {
                let spec = VolumeSnapshotSpec { volume: None, retained, deletion_policy, deletion_protection: false };
                self.hand_to(&orphan, &namespace, VolumeSnapshot::new(&name, spec)).await?;
            }
            Data::InstanceSnapshot(_) => {
                let spec =
                    InstanceSnapshotSpec { instance: None, retained, deletion_policy, deletion_protection: false };
                self.hand_to(&orphan, &namespace, InstanceSnapshot::new(&name, spec)).await?;
            }
        }
        Ok(Adopted { kind: orphan.owner.kind, namespace, name })
    }

    /// Removes the data of this uid for good, and tells what it was.
    ///
    /// # Errors
    /// There is none, or it is somebody's.
    pub async fn purge(&self, uid: Uuid) -> Result<Orphan, OrphanError> {
        let orphan = self.unclaimed(uid).await?;
        self.retain(&orphan).await?;
        self.backends.purge(&orphan).await.map_err(|error| {
            if error.is_not_found() { OrphanError::Missing { uid } } else { backend("purge the data")(error) }
        })?;
        tracing::warn!(owner = %orphan.owner, %uid, "data without an object was purged");
        Ok(orphan)
    }

    async fn unclaimed(&self, uid: Uuid) -> Result<Orphan, OrphanError> {
        let Some(orphan) = self.list().await?.into_iter().find(|orphan| orphan.owner.uid == uid) else {
            return Err(match self.objects().await?.owners.remove(&uid) {
                Some(owner) => OrphanError::Owned { uid, owner },
                None => OrphanError::Missing { uid },
            });
        };
        match orphan.claimed_by {
            Some(heir) => Err(OrphanError::Claimed { uid, heir }),
            None => Ok(orphan),
        }
    }

    /// Brings the data into the namespace and makes its object, if that is accepted.
    async fn hand_to<K>(&self, orphan: &Orphan, namespace: &str, object: K) -> Result<(), OrphanError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let objects: Api<K> = Api::namespaced(self.client.clone(), namespace);
        // The data stays where it is if there is no such namespace, or the name or a quota is used up.
        let try_only = PostParams { dry_run: true, ..PostParams::default() };
        objects.create(&try_only, &object).await.map_err(api("make the object that adopts it"))?;
        self.retain(orphan).await?;
        if orphan.owner.namespace != namespace {
            let handed = self.backends.hand_over(orphan, namespace).await;
            handed.map_err(backend("bring the data into the namespace"))?;
        }
        objects.create(&PostParams::default(), &object).await.map_err(api("make the object that adopts it"))?;
        tracing::info!(owner = %orphan.owner, uid = %orphan.owner.uid, namespace, "data without an object was adopted");
        Ok(())
    }

    /// What a restore has orphaned is not marked yet.
    async fn retain(&self, orphan: &Orphan) -> Result<(), OrphanError> {
        if orphan.retained {
            return Ok(());
        }
        self.backends.retain(orphan).await.map_err(backend("retain the data"))
    }

    /// As a most-recent read has them.
    async fn objects(&self) -> Result<Objects, OrphanError> {
        let mut objects = Objects::default();
        let volumes = self.all::<Volume>("list the Volumes").await?;
        objects.add(&volumes, |volume| volume.spec.source.as_ref().and_then(|source| source.retained.as_ref()));
        let snapshots = self.all::<VolumeSnapshot>("list the VolumeSnapshots").await?;
        objects.add(&snapshots, |snapshot| snapshot.spec.retained.as_ref());
        let snapshots = self.all::<InstanceSnapshot>("list the InstanceSnapshots").await?;
        objects.add(&snapshots, |snapshot| snapshot.spec.retained.as_ref());
        Ok(objects)
    }

    async fn all<K>(&self, action: &'static str) -> Result<Vec<K>, OrphanError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let listed = Api::<K>::all(self.client.clone()).list(&ListParams::default()).await;
        listed.map(|list| list.items).map_err(api(action))
    }
}

impl Debug for Orphans {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Orphans").finish_non_exhaustive()
    }
}
