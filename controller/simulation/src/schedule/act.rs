//! Does one step of a schedule to a cloud. What the server refuses is refused; what isn't there is left alone.

use std::fmt::Debug;
use std::time::Duration;

use controller_backend::fake::{FaultKind, Operation};
use crds::compute::cluster_image::ClusterImage;
use crds::compute::image::Image;
use crds::compute::instance::{Instance, PowerState, Resources};
use crds::compute::instance_policy::InstancePolicy;
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::network::security_group::SecurityGroup;
use crds::network::vpc::Vpc;
use crds::network::vpc_peering::VpcPeering;
use crds::quantity::Quantity;
use crds::storage::volume::{Volume, VolumeMode, VolumeSource};
use crds::storage::volume_snapshot::VolumeSnapshot;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::draw::{CAPABILITY, CLUSTER_IMAGE, IMAGE, POLICY};
use super::lag::Lag;
use super::leaving::{self, Asked};
use super::step::{Step, Thing};
use super::taking;
use crate::cloud::{Cloud, DISK_FILE, NAMESPACE};
use crate::crash::Tripwire;
use crate::objects::{
    Reached, asking, cluster_image, copy, image_of_snapshot, instance, instance_policy, instance_snapshot, published,
    restored, secret, security_group, snapshot, virtual_machine, volume, volume_mount, vpc, vpc_peering,
};

/// More mebibytes than any machine comes to have.
const MAX_MEMORY: u64 = 4096;

/// What goes wrong is done to these.
pub(super) struct Stage {
    pub(super) cloud: Cloud,
    pub(super) wire: Tripwire,
    pub(super) lag: Lag,
    pub(super) asked: Asked,
}

impl Stage {
    pub(super) async fn act(&self, step: &Step) -> Result<(), String> {
        let engine = &self.cloud.engine;
        match step {
            Step::Write(thing) => {
                self.write(thing).await;
                // Who was first is told by the second.
                self.cloud.pass(Duration::from_millis(1100)).await;
            }
            Step::Burst(things) => {
                for thing in things {
                    self.write(thing).await;
                    self.cloud.pass(Duration::from_millis(200)).await;
                }
                self.cloud.pass(Duration::from_millis(1100)).await;
            }
            Step::Delete(thing) => {
                self.delete(thing).await;
                self.cloud.pass(Duration::from_millis(1100)).await;
            }
            Step::Leave(thing) => {
                leaving::retain(&self.cloud, thing).await;
                self.delete(thing).await;
                self.cloud.pass(Duration::from_millis(1100)).await;
            }
            Step::Adopt(_) | Step::Purge(_) => self.asked.ask(&self.cloud, step).await,
            Step::Settle => {
                self.mend();
                self.asked.insist(&self.cloud).await?;
            }
            Step::Crash(after) => self.wire.set(self.wire.changes() + after),
            Step::CutOff(after) => self.asked.cut(*after),
            Step::Fault { operation, kind, nth } => {
                let operation = Operation::ALL.into_iter().find(|known| known.to_string() == *operation);
                let operation = operation.ok_or_else(|| format!("no such call of the backend: {step:?}"))?;
                let kind = match kind.as_str() {
                    "Fail" => FaultKind::Fail,
                    "Unavailable" => FaultKind::Unavailable,
                    "LostAnswer" => FaultKind::LostAnswer,
                    _ => return Err(format!("no such kind of fault: {step:?}")),
                };
                match nth {
                    0 => engine.fail_always(operation, kind),
                    nth => engine.fail_nth(operation, *nth, kind),
                }
            }
            Step::Down => engine.go_down(),
            Step::Up => engine.come_up(),
            Step::LoseEvents => engine.lose_events(),
            Step::DoubleEvents => engine.double_events(),
            Step::Lag(millis) => self.lag.set(*millis),
            Step::Cut => self.lag.cut(),
            Step::Dies(number, code) => {
                self.engine_of::<Instance>("instance", *number, |uid| engine.crash(uid, *code)).await
            }
            Step::MachineRemoved(number) => {
                self.engine_of::<Instance>("instance", *number, |uid| engine.remove_by_hand(uid)).await;
            }
            Step::MachineAstray(number) => {
                self.engine_of::<Instance>("instance", *number, |uid| engine.lead_astray(uid)).await;
            }
            Step::NetworkRemoved(number) => {
                self.engine_of::<Vpc>("vpc", *number, |uid| engine.remove_network_by_hand(uid)).await;
            }
            Step::Reboot => engine.reboot(),
            Step::Pass(millis) => self.cloud.pass(Duration::from_millis(*millis)).await,
        }
        Ok(())
    }

    /// Ends everything that went wrong.
    fn mend(&self) {
        self.wire.set(0);
        self.lag.set(0);
        self.cloud.engine.clear_faults();
        self.cloud.engine.deliver_events();
        self.cloud.engine.come_up();
    }

    async fn engine_of<K>(&self, kind: &str, number: usize, accident: impl FnOnce(Uuid))
    where
        K: Reached + Clone + Debug + DeserializeOwned,
    {
        let object = self.cloud.get::<K>(&format!("{kind}{number}")).await;
        if let Some(uid) = object.and_then(|object| object.uid()).and_then(|uid| uid.parse().ok()) {
            accident(uid);
        }
    }

    async fn write(&self, thing: &Thing) {
        match thing {
            Thing::Vpc(number) => {
                let range = format!("10.77.{}.0/24", number % super::draw::EACH);
                self.apply(&vpc(&format!("vpc{number}"), Some(&range))).await;
            }
            Thing::SecurityGroup { number, vpc, port } => {
                self.apply(&security_group(&format!("group{number}"), &format!("vpc{vpc}"), *port)).await;
            }
            Thing::VpcPeering { number, vpc, peer } => {
                let (vpc, peer) = (format!("vpc{vpc}"), format!("vpc{peer}"));
                self.apply(&vpc_peering(&format!("peering{number}"), &vpc, &peer)).await;
            }
            Thing::Volume { number, size, snapshot, volume: origin, block } => {
                let (name, size) = (format!("volume{number}"), format!("{size}Mi"));
                let named = |kind: &str, number: &Option<usize>| number.map(|number| format!("{kind}{number}"));
                let (snapshot, origin) = (named("snapshot", snapshot), named("volume", origin));
                let source = VolumeSource { snapshot, volume: origin, ..VolumeSource::default() };
                let is_copy = source.snapshot.is_some() || source.volume.is_some();
                let mut wanted = if is_copy { copy(&name, &size, source) } else { volume(&name, &size) };
                if *block {
                    wanted.spec.volume_mode = VolumeMode::Block;
                }
                self.apply(&wanted).await;
            }
            Thing::Snapshot(number) => {
                self.apply(&snapshot(&format!("snapshot{number}"), &format!("volume{number}"))).await;
            }
            Thing::InstanceSnapshot(number) => {
                let of = format!("instance{number}");
                self.apply(&instance_snapshot(&format!("instancesnapshot{number}"), &of)).await;
            }
            Thing::ClusterImage => self.apply(&cluster_image(CLUSTER_IMAGE, DISK_FILE)).await,
            Thing::Image => self.apply(&crate::objects::image(IMAGE)).await,
            Thing::ImageOfSnapshot(number) => {
                let snapshot = format!("instancesnapshot{number}");
                self.apply(&image_of_snapshot(&format!("copy{number}"), &snapshot)).await;
            }
            Thing::Secret { number, value } => {
                self.apply(&secret(&taking::name(*number), &[(taking::KEY, &taking::text(*number, *value))])).await;
            }
            Thing::InstancePolicy => {
                self.apply(&instance_policy(POLICY, NAMESPACE, CAPABILITY)).await;
            }
            Thing::Instance {
                number,
                vpc,
                image,
                snapshot,
                cpu,
                memory,
                mounts,
                publishes,
                is_virtual,
                power,
                takes,
                asks,
            } => {
                let name = format!("instance{number}");
                let mut wanted = if *is_virtual { virtual_machine(&name, image) } else { instance(&name, image) };
                if let Some(snapshot) = snapshot {
                    wanted = restored(wanted, &format!("instancesnapshot{snapshot}"));
                }
                wanted.spec.vpc = vpc.map(|vpc| format!("vpc{vpc}"));
                let cpu = Some(Quantity::from(format!("{cpu}m").as_str()));
                let mebibytes = |amount: u64| (*memory > 0).then(|| Quantity::from(format!("{amount}Mi").as_str()));
                let (memory, max_memory) = (mebibytes(*memory), mebibytes(MAX_MEMORY));
                wanted.spec.resources = Some(Resources { cpu, memory, max_memory, disk: None });
                if *mounts {
                    wanted.spec.volumes = vec![volume_mount(&format!("volume{number}"), "/dev/data")];
                }
                if *publishes {
                    wanted.spec.ports = vec![published(8000, i32::try_from(8000 + number).ok())];
                }
                taking::take(&mut wanted, takes);
                if *asks {
                    wanted = asking(wanted, CAPABILITY);
                }
                wanted.spec.power_state = match power.as_str() {
                    "Stopped" => PowerState::Stopped,
                    "Paused" => PowerState::Paused,
                    _ => PowerState::Running,
                };
                self.apply(&wanted).await;
            }
        }
    }

    async fn delete(&self, thing: &Thing) {
        match thing {
            Thing::Vpc(number) => self.remove::<Vpc>(&format!("vpc{number}")).await,
            Thing::SecurityGroup { number, .. } => self.remove::<SecurityGroup>(&format!("group{number}")).await,
            Thing::VpcPeering { number, .. } => self.remove::<VpcPeering>(&format!("peering{number}")).await,
            Thing::Volume { number, .. } => self.remove::<Volume>(&format!("volume{number}")).await,
            Thing::Snapshot(number) => self.remove::<VolumeSnapshot>(&format!("snapshot{number}")).await,
            Thing::InstanceSnapshot(number) => {
                self.remove::<InstanceSnapshot>(&format!("instancesnapshot{number}")).await;
            }
            Thing::ClusterImage => self.remove::<ClusterImage>(CLUSTER_IMAGE).await,
            Thing::Image => self.remove::<Image>(IMAGE).await,
            Thing::ImageOfSnapshot(number) => self.remove::<Image>(&format!("copy{number}")).await,
            Thing::Secret { number, .. } => self.remove::<Secret>(&taking::name(*number)).await,
            Thing::InstancePolicy => self.remove::<InstancePolicy>(POLICY).await,
            Thing::Instance { number, .. } => self.remove::<Instance>(&format!("instance{number}")).await,
        }
    }

    async fn apply<K>(&self, object: &K)
    where
        K: Reached + Resource + Clone + Debug + Serialize + DeserializeOwned,
    {
        let how = PatchParams::apply("user").force();
        let _ = self.cloud.api::<K>().patch(&object.name_any(), &how, &Patch::Apply(object)).await;
    }

    async fn remove<K>(&self, name: &str)
    where
        K: Reached + Clone + Debug + DeserializeOwned,
    {
        let _ = self.cloud.api::<K>().delete(name, &DeleteParams::default()).await;
    }
}
