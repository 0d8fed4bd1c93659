//! Decides who is looked at again when something changes: the object itself, and those that it concerns. A change of
//! status alone never wakes its own object, so that a status that tells a number which always changes can't spin.

use std::collections::BTreeSet;
use std::time::Duration;

use controller_backend::Owner;
use crds::compute::cluster_image::ClusterImage;
use crds::compute::image::Image;
use crds::compute::instance::{BackendName, Instance};
use crds::compute::instance_policy::InstancePolicy;
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::compute::instance_type::InstanceType;
use crds::network::security_group::SecurityGroup;
use crds::network::vpc::Vpc;
use crds::network::vpc_peering::VpcPeering;
use crds::status::{READY, is_true};
use crds::storage::volume::{Volume, VolumeSource};
use crds::storage::volume_snapshot::VolumeSnapshot;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Resource, ResourceExt};

use crate::compute::image::{AnyImage, may_use};
use crate::compute::instance::index;
use crate::network::firewall::address;
use crate::runtime::{Changed, Key, Queue, Store, uid_of};
use crate::world::World;

/// How long counts of members may lag: a thousand machines that come at once are counted once, not a thousand times.
const COUNTING: Duration = Duration::from_millis(250);

impl World {
    pub(crate) fn on_instance(&self, changed: &Changed<'_, Instance>) {
        wake_itself(&self.queues.instances, changed);
        let packets = |instance: &Instance| {
            (
                instance.meta().uid.clone(),
                address(instance),
                instance.vpc().to_owned(),
                instance.meta().labels.clone(),
                instance.status.as_ref().map(|status| status.ports.clone()),
                // Where the filter publishes, only what runs is.
                instance
                    .status
                    .as_ref()
                    .filter(|_| self.backend_name(instance) == BackendName::Libvirt)
                    .map(|status| status.phase),
            )
        };
        if changed.old.map(|old| packets(old)) != changed.new.map(|new| packets(new)) {
            self.firewall.nudge();
            self.names.nudge();
        }
        let gone = changed.new.is_none();
        let place = |instance: &Instance| {
            let status = instance.status.as_ref();
            (
                status.and_then(|status| status.ip.clone()),
                status.and_then(|status| status.machine_id.clone()),
                status.map(|status| status.ports.clone()),
                instance.spec.clone(),
                // A Volume may wait until nothing runs on it.
                status.and_then(|status| status.phase),
                status.map(|status| status.volumes.clone()),
            )
        };
        let (old, new) = (changed.old.map(|old| place(old)), changed.new.map(|new| place(new)));
        if old == new {
            return;
        }
        for instance in [changed.old, changed.new].into_iter().flatten() {
            let namespace = instance.namespace().unwrap_or_default();
            if let Some(name) = &instance.spec.image_snapshot {
                let snapshot = Key::new(namespace.clone(), name.clone());
                self.queues.instance_snapshots.wake_after(snapshot, COUNTING);
            } else if self.backend_name(instance) == BackendName::Libvirt {
                let image = |namespace: &str| Key::new(namespace, instance.spec.image.clone());
                self.queues.images.wake_after(image(&namespace), COUNTING);
                self.queues.cluster_images.wake_after(image(""), COUNTING);
            }
            let held = instance.status.iter().flat_map(|status| status.volumes.iter().map(String::as_str));
            let names: BTreeSet<&str> = instance.volumes().into_keys().chain(held).collect();
            for name in names {
                let volume = Key::new(namespace.clone(), name);
                if gone { self.queues.volumes.wake(volume) } else { self.queues.volumes.wake_after(volume, COUNTING) }
            }
        }
        // A Vpc counts who has an address in it.
        let vpc = |instance: &Instance| {
            address(instance).map(|_| Key::new(instance.namespace().unwrap_or_default(), instance.vpc()))
        };
        let (left, joined) = (changed.old.and_then(|old| vpc(old)), changed.new.and_then(|new| vpc(new)));
        if left != joined {
            for vpc in [left, joined].into_iter().flatten() {
                if gone { self.queues.vpcs.wake(vpc) } else { self.queues.vpcs.wake_after(vpc, COUNTING) }
            }
        }
        if let Some(instance) = changed.new.or(changed.old) {
            let name = instance.name_any();
            for snapshot in self.stores.instance_snapshots.in_namespace(&instance.namespace().unwrap_or_default()) {
                let is_ready = snapshot.status.as_ref().is_some_and(|status| status.ready_to_use == Some(true));
                if snapshot.spec.instance.as_deref() == Some(name.as_str()) && !is_ready {
                    self.queues.instance_snapshots.wake(Key::of(snapshot.as_ref()));
                }
            }
        }
        // What it let go of may be what another waits for.
        let let_go = match (&old, &new) {
            (Some(_), None) => true,
            // The machine that held it may be gone only when its successor is there.
            (
                Some((_, machine, ports, spec, _, volumes)),
                Some((_, machine_now, ports_now, spec_now, _, volumes_now)),
            ) => machine != machine_now || ports != ports_now || spec != spec_now || volumes != volumes_now,
            _ => false,
        };
        if let_go {
            for other in self.stores.instances.by_index(index::WAITS, index::FOR_ANOTHER) {
                self.queues.instances.wake(Key::of(other.as_ref()));
            }
        }
        if gone && let Some(old) = changed.old {
            self.claims.release(uid_of(old.as_ref()));
        }
    }

    pub(crate) fn on_instance_snapshot(&self, changed: &Changed<'_, InstanceSnapshot>) {
        wake_itself(&self.queues.instance_snapshots, changed);
        let Some(snapshot) = changed.new.or(changed.old) else { return };
        let facts = |snapshot: &InstanceSnapshot| {
            let status = snapshot.status.as_ref();
            (
                snapshot.meta().uid.clone(),
                snapshot.meta().deletion_timestamp.is_some(),
                status.is_some_and(|status| is_true(&status.conditions, READY)),
                status.and_then(|status| status.backend),
            )
        };
        if changed.old.map(|old| facts(old)) == changed.new.map(|new| facts(new)) {
            return;
        }
        let (namespace, name) = (snapshot.namespace(), snapshot.name_any());
        self.wake_instances(|instance| {
            instance.namespace() == namespace && instance.spec.image_snapshot.as_ref() == Some(&name)
        });
        for heir in self.stores.instance_snapshots.in_namespace(namespace.as_deref().unwrap_or_default()) {
            if heir.spec.retained.is_some() && heir.spec.retained == snapshot.uid() {
                self.queues.instance_snapshots.wake(Key::of(heir.as_ref()));
            }
        }
        let named = (namespace.unwrap_or_default(), name);
        self.wake_images_of::<Image>(&named);
        self.wake_images_of::<ClusterImage>(&named);
    }

    /// Looks at the images that are to be made from the InstanceSnapshot of this namespace and name.
    fn wake_images_of<I: AnyImage>(&self, (namespace, name): &(String, String)) {
        for image in I::store(&self.stores).all() {
            if image.wish().snapshot == Some((namespace, name)) {
                I::queue(&self.queues).wake(Key::of(image.as_ref()));
            }
        }
    }

    pub(crate) fn on_instance_policy(&self, changed: &Changed<'_, InstancePolicy>) {
        let policies = [changed.old, changed.new];
        self.wake_instances(|instance| {
            let namespace = instance.namespace().unwrap_or_default();
            policies.into_iter().flatten().any(|policy| policy.is_for(&namespace))
        });
    }

    pub(crate) fn on_instance_type(&self, changed: &Changed<'_, InstanceType>) {
        let Some(name) = changed.new.or(changed.old).map(|type_| type_.name_any()) else { return };
        if changed.old.map(|old| &old.spec) == changed.new.map(|new| &new.spec) {
            return;
        }
        let default = &self.options.default_instance_type;
        self.wake_instances(|instance| instance.spec.instance_type.as_ref().unwrap_or(default) == &name);
    }

    pub(crate) fn on_any_image<I: AnyImage>(&self, changed: &Changed<'_, I>) {
        wake_itself(I::queue(&self.queues), changed);
        let Some(image) = changed.new.or(changed.old) else { return };
        let facts = |image: &I| {
            (
                image.meta().uid.clone(),
                image.meta().deletion_timestamp.is_some(),
                image.status().is_some_and(|status| is_true(&status.conditions, READY)),
                image.wish().min_disk.cloned(),
            )
        };
        if changed.old.map(|old| facts(old)) == changed.new.map(|new| facts(new)) {
            return;
        }
        self.wake_instances(|instance| may_use(self, instance, image.as_ref()));
    }

    pub(crate) fn on_vpc(&self, changed: &Changed<'_, Vpc>) {
        wake_itself(&self.queues.vpcs, changed);
        let Some(vpc) = changed.new.or(changed.old) else { return };
        let facts = |vpc: &Vpc| {
            let status = vpc.status.clone().unwrap_or_default();
            (
                vpc.meta().uid.clone(),
                vpc.meta().deletion_timestamp.is_some(),
                is_true(&status.conditions, READY),
                status.cidr,
                status.gateway,
            )
        };
        if changed.old.map(|old| facts(old)) == changed.new.map(|new| facts(new)) {
            return;
        }
        self.firewall.nudge();
        self.names.nudge();
        self.wake_rule_makers();
        let (namespace, name) = (vpc.namespace(), vpc.name_any());
        self.wake_instances(|instance| instance.namespace() == namespace && instance.vpc() == name);
        if changed.new.is_none() {
            self.claims.release(uid_of(vpc.as_ref()));
            for other in self.stores.vpcs.all() {
                if other.status.as_ref().is_none_or(|status| !is_true(&status.conditions, READY)) {
                    self.queues.vpcs.wake(Key::of(other.as_ref()));
                }
            }
        }
    }

    pub(crate) fn on_security_group(&self, changed: &Changed<'_, SecurityGroup>) {
        wake_itself(&self.queues.security_groups, changed);
        let rules = |group: &SecurityGroup| (group.meta().uid.clone(), group.spec.clone());
        if changed.old.map(|old| rules(old)) != changed.new.map(|new| rules(new)) {
            self.firewall.nudge();
            // Others may name it.
            self.wake_rule_makers();
        }
    }

    pub(crate) fn on_vpc_peering(&self, changed: &Changed<'_, VpcPeering>) {
        wake_itself(&self.queues.vpc_peerings, changed);
        let sides = |peering: &VpcPeering| {
            (peering.meta().uid.clone(), peering.meta().deletion_timestamp.is_some(), peering.spec.clone())
        };
        if changed.old.map(|old| sides(old)) != changed.new.map(|new| sides(new)) {
            self.firewall.nudge();
            // The other side may wait for it.
            self.wake_rule_makers();
        }
    }

    /// Looks at everything whose status says whether its rules are in force.
    pub(crate) fn wake_rule_makers(&self) {
        for key in self.stores.security_groups.keys() {
            self.queues.security_groups.wake(key);
        }
        for key in self.stores.vpc_peerings.keys() {
            self.queues.vpc_peerings.wake(key);
        }
    }

    pub(crate) fn on_volume(&self, changed: &Changed<'_, Volume>) {
        wake_itself(&self.queues.volumes, changed);
        let Some(volume) = changed.new.or(changed.old) else { return };
        let facts = |volume: &Volume| {
            (
                volume.meta().uid.clone(),
                volume.meta().deletion_timestamp.is_some(),
                volume.status.as_ref().is_some_and(|status| is_true(&status.conditions, READY)),
                // A virtual machine that runs is told of it.
                volume.status.as_ref().and_then(|status| status.size.clone()),
            )
        };
        if changed.old.map(|old| facts(old)) == changed.new.map(|new| facts(new)) {
            return;
        }
        let (namespace, name) = (volume.namespace(), volume.name_any());
        self.wake_instances(|instance| {
            instance.namespace() == namespace && instance.volumes().contains_key(name.as_str())
        });
        let uid = volume.uid();
        self.wake_copies(namespace.as_deref(), |source| {
            source.volume.as_deref() == Some(name.as_str()) || source.retained.is_some() && source.retained == uid
        });
        for snapshot in self.stores.volume_snapshots.in_namespace(&namespace.unwrap_or_default()) {
            if snapshot.spec.volume.as_deref() == Some(name.as_str()) {
                self.queues.volume_snapshots.wake(Key::of(snapshot.as_ref()));
            }
        }
    }

    pub(crate) fn on_volume_snapshot(&self, changed: &Changed<'_, VolumeSnapshot>) {
        wake_itself(&self.queues.volume_snapshots, changed);
        let Some(snapshot) = changed.new.or(changed.old) else { return };
        let facts = |snapshot: &VolumeSnapshot| {
            (snapshot.meta().uid.clone(), snapshot.status.as_ref().and_then(|status| status.ready_to_use))
        };
        if changed.old.map(|old| facts(old)) == changed.new.map(|new| facts(new)) {
            return;
        }
        let name = snapshot.name_any();
        let namespace = snapshot.namespace();
        self.wake_copies(namespace.as_deref(), |source| source.snapshot.as_deref() == Some(name.as_str()));
        for heir in self.stores.volume_snapshots.in_namespace(&namespace.unwrap_or_default()) {
            if heir.spec.retained.is_some() && heir.spec.retained == snapshot.uid() {
                self.queues.volume_snapshots.wake(Key::of(heir.as_ref()));
            }
        }
    }

    /// Looks at the Volumes that are to be made from something.
    fn wake_copies(&self, namespace: Option<&str>, concerned: impl Fn(&VolumeSource) -> bool) {
        for volume in self.stores.volumes.in_namespace(namespace.unwrap_or_default()) {
            if volume.spec.source.as_ref().is_some_and(&concerned) {
                self.queues.volumes.wake(Key::of(volume.as_ref()));
            }
        }
    }

    pub(crate) fn on_secret(&self, changed: &Changed<'_, Secret>) {
        let Some(secret) = changed.new.or(changed.old) else { return };
        if changed.old.map(|old| &old.data) == changed.new.map(|new| &new.data) {
            return;
        }
        let (namespace, name) = (secret.namespace(), secret.name_any());
        self.wake_instances(|instance| instance.namespace() == namespace && secrets(instance).any(|used| used == name));
    }

    pub(crate) fn on_config_map(&self, changed: &Changed<'_, ConfigMap>) {
        let Some(map) = changed.new.or(changed.old) else { return };
        let content = |map: &ConfigMap| (map.data.clone(), map.binary_data.clone());
        if changed.old.map(|old| content(old)) == changed.new.map(|new| content(new)) {
            return;
        }
        let (namespace, name) = (map.namespace(), map.name_any());
        self.wake_instances(|instance| {
            instance.namespace() == namespace && config_maps(instance).any(|used| used == name)
        });
    }

    /// Something happened to what bears these marks.
    pub(crate) fn on_backend(&self, owner: &Owner) {
        let key = Key::new(owner.namespace.clone(), owner.name.clone());
        match owner.kind.as_str() {
            "Instance" if has(&self.stores.instances, &key, owner) => self.queues.instances.nudge(key),
            "Vpc" if has(&self.stores.vpcs, &key, owner) => self.queues.vpcs.nudge(key),
            "VolumeSnapshot" if has(&self.stores.volume_snapshots, &key, owner) => {
                self.queues.volume_snapshots.nudge(key);
            }
            "InstanceSnapshot" if has(&self.stores.instance_snapshots, &key, owner) => {
                self.queues.instance_snapshots.nudge(key);
            }
            "Volume" if has(&self.stores.volumes, &key, owner) => self.queues.volumes.nudge(key),
            _ => {}
        }
    }

    /// An image came to the host. Whoever isn't settled may have waited for it.
    pub(crate) fn on_image(&self) {
        self.wake_instances(|instance| {
            instance.status.as_ref().is_some_and(|status| status.machine_id.is_none() || status.next_pull.is_some())
        });
    }

    /// Looks at everything: events may have been missed. What others depend on comes first.
    pub(crate) fn wake_everything(&self) {
        self.firewall.nudge();
        self.wake_rule_makers();
        for key in self.stores.images.keys() {
            self.queues.images.wake(key);
        }
        for key in self.stores.cluster_images.keys() {
            self.queues.cluster_images.wake(key);
        }
        for key in self.stores.vpcs.keys() {
            self.queues.vpcs.wake(key);
        }
        for key in self.stores.volumes.keys() {
            self.queues.volumes.wake(key);
        }
        for key in self.stores.volume_snapshots.keys() {
            self.queues.volume_snapshots.wake(key);
        }
        for key in self.stores.instance_snapshots.keys() {
            self.queues.instance_snapshots.wake(key);
        }
        for key in self.stores.instances.keys() {
            self.queues.instances.wake(key);
        }
    }

    fn wake_instances(&self, concerned: impl Fn(&Instance) -> bool) {
        for instance in self.stores.instances.all() {
            if concerned(&instance) {
                self.queues.instances.wake(Key::of(instance.as_ref()));
            }
        }
    }
}

fn has<K: Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>, key: &Key, owner: &Owner) -> bool {
    store.get(&key.namespace, &key.name).is_some_and(|object| uid_of(object.as_ref()) == owner.uid)
}

fn wake_itself<K: Resource<DynamicType = ()>>(queue: &Queue, changed: &Changed<'_, K>) {
    let Some(new) = changed.new else { return };
    let told = |object: &K| {
        let meta = object.meta();
        (
            meta.uid.clone(),
            meta.generation,
            meta.deletion_timestamp.clone(),
            meta.finalizers.clone(),
            meta.labels.clone(),
            meta.annotations.clone(),
        )
    };
    if changed.old.is_none_or(|old| told(old) != told(new)) {
        queue.wake(Key::new(
            new.meta().namespace.clone().unwrap_or_default(),
            new.meta().name.clone().unwrap_or_default(),
        ));
    }
}

/// The names of the Secrets that an Instance refers to.
fn secrets(instance: &Instance) -> impl Iterator<Item = &str> {
    let spec = &instance.spec;
    let variables = spec.env.iter().filter_map(|variable| variable.value_from.as_ref()?.secret_key_ref.as_ref());
    let whole = spec.env_from.iter().filter_map(|source| source.secret_ref.as_ref());
    let mounts = spec.volumes.iter().filter_map(|mount| mount.secret.as_deref());
    variables.map(|key| key.name.as_str()).chain(whole.map(|object| object.name.as_str())).chain(mounts)
}

/// The names of the ConfigMaps that an Instance refers to.
fn config_maps(instance: &Instance) -> impl Iterator<Item = &str> {
    let spec = &instance.spec;
    let variables = spec.env.iter().filter_map(|variable| variable.value_from.as_ref()?.config_map_key_ref.as_ref());
    let whole = spec.env_from.iter().filter_map(|source| source.config_map_ref.as_ref());
    let mounts = spec.volumes.iter().filter_map(|mount| mount.config_map.as_deref());
    variables.map(|key| key.name.as_str()).chain(whole.map(|object| object.name.as_str())).chain(mounts)
}
