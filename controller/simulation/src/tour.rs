//! The story that the crash tests tell: two Vpcs that are peers, a SecurityGroup, a Volume with a snapshot and copies,
//! two Instances, and a snapshot of one with what is made from it come, change, and go.

use crds::compute::instance::{EnvFrom, Instance, ObjectRef, SecretUpdatePolicy};
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::network::security_group::SecurityGroup;
use crds::network::vpc::Vpc;
use crds::network::vpc_peering::VpcPeering;
use crds::storage::volume::{Volume, VolumeSource};
use crds::storage::volume_snapshot::VolumeSnapshot;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use crate::objects::{
    copy, instance, instance_snapshot, published, restored, secret, security_group, snapshot, volume, volume_mount,
    vpc, vpc_peering,
};
use crate::story::{Diary, settled};
use crate::{Cloud, INSTALLATION};

/// Tells the whole story to a cloud whose controllers run.
pub async fn tell(cloud: &Cloud) -> Diary {
    make(cloud).await;
    let data = cloud.uid::<Volume>("page").await;
    let (made, incarnation) = (settled(cloud).await, cloud.engine.volume_incarnation(INSTALLATION, data));
    change(cloud).await;
    let changed = settled(cloud).await;
    assert_eq!(cloud.engine.volume_incarnation(INSTALLATION, data), incarnation, "the data is kept");
    for name in ["restored", "cloned"] {
        let uid = cloud.uid::<Volume>(name).await;
        assert_eq!(cloud.engine.volume_incarnation(INSTALLATION, uid), incarnation, "{name} has the data");
    }
    let (client, again) = (cloud.uid::<Instance>("client").await, cloud.uid::<Instance>("again").await);
    let data = cloud.engine.machine_disk(client);
    assert!(data.is_some() && cloud.engine.machine_disk(again) == data, "what is restored has the data");
    delete(cloud).await;
    Diary { made, changed, gone: settled(cloud).await }
}

async fn make(cloud: &Cloud) {
    // The Instances come first: they wait for what isn't there yet.
    let mut web = instance("web", "web:1");
    web.spec.vpc = Some("tour".to_owned());
    web.spec.ports = vec![published(8080, Some(8088)), published(9090, None)];
    web.spec.volumes = vec![volume_mount("page", "/www")];
    web.spec.volumes.push(crds::compute::instance::VolumeMount {
        mount_path: "/etc/web".to_owned(),
        config_map: Some("web".to_owned()),
        ..Default::default()
    });
    let mut client = instance("client", "client:1");
    client.spec.vpc = Some("tour".to_owned());
    client.spec.secret_update_policy = SecretUpdatePolicy::Restart;
    let word = ObjectRef { name: "word".to_owned(), optional: false };
    client.spec.env_from = vec![EnvFrom { secret_ref: Some(word), ..EnvFrom::default() }];
    cloud.create(&secret("word", &[("WORD", "first")])).await;
    let from_snapshot = VolumeSource { snapshot: Some("before".to_owned()), ..VolumeSource::default() };
    cloud.create(&copy("restored", "96Mi", from_snapshot)).await;
    let from_volume = VolumeSource { volume: Some("page".to_owned()), ..VolumeSource::default() };
    cloud.create(&copy("cloned", "64Mi", from_volume)).await;
    cloud.create(&snapshot("before", "page")).await;
    let mut again = restored(instance("again", ""), "client-before");
    again.spec.vpc = Some("tour".to_owned());
    cloud.create(&again).await;
    cloud.create(&instance_snapshot("client-before", "client")).await;
    cloud.create(&web).await;
    cloud.create(&client).await;
    cloud.create(&security_group("web", "tour", 8080)).await;
    cloud.create(&vpc_peering("tour", "tour", "beside")).await;
    cloud.create(&vpc("tour", Some("10.77.0.0/24"))).await;
    cloud.create(&vpc("beside", Some("10.78.0.0/24"))).await;
    cloud.create(&volume("page", "64Mi")).await;
    cloud
        .create(&ConfigMap {
            metadata: ObjectMeta { name: Some("web".to_owned()), ..ObjectMeta::default() },
            data: Some([("web.conf".to_owned(), "listen 8080".to_owned())].into()),
            ..ConfigMap::default()
        })
        .await;
    cloud.until_ready::<Vpc>("tour").await;
    cloud.until_ready::<Volume>("page").await;
    cloud.until_ready::<VolumeSnapshot>("before").await;
    cloud.until_ready::<Volume>("restored").await;
    cloud.until_ready::<Volume>("cloned").await;
    cloud.until_ready::<Instance>("web").await;
    cloud.until_ready::<Instance>("client").await;
    cloud.until_ready::<InstanceSnapshot>("client-before").await;
    cloud.until_ready::<Instance>("again").await;
    cloud.until_ready::<SecurityGroup>("web").await;
    cloud.until_ready::<VpcPeering>("tour").await;
}

async fn change(cloud: &Cloud) {
    cloud.change::<Instance>("web", json!({"spec": {"image": "web:2"}})).await;
    cloud.change::<Instance>("client", json!({"spec": {"resources": {"cpu": "125m"}}})).await;
    cloud.change::<SecurityGroup>("web", json!({"spec": {"ingress": [{"protocol": "ICMP"}]}})).await;
    cloud.delete::<VpcPeering>("tour").await;
    cloud.change::<Volume>("page", json!({"spec": {"size": "128Mi"}})).await;
    cloud.until_ready::<Instance>("web").await;
    cloud.until_ready::<Instance>("client").await;
    cloud.until_ready::<Volume>("page").await;
    cloud.until_gone::<VpcPeering>("tour").await;
    let started_with = |client: &Instance| client.status.as_ref().and_then(|status| status.secrets[0].digest.clone());
    let first = started_with(&cloud.get::<Instance>("client").await.expect("it is there"));
    cloud.change::<Secret>("word", json!({"stringData": {"WORD": "second"}})).await;
    cloud.until::<Instance>("client", "to be restarted", |client| started_with(client) != first).await;
    cloud.until_ready::<Instance>("client").await;
}

async fn delete(cloud: &Cloud) {
    cloud.delete::<SecurityGroup>("web").await;
    cloud.delete::<Vpc>("beside").await;
    cloud.delete::<Vpc>("tour").await;
    cloud.delete::<Volume>("page").await;
    cloud.until_condition::<Vpc>("tour", "Ready", "False", Some("InUse")).await;
    cloud.until_condition::<Volume>("page", "Ready", "False", Some("InUse")).await;
    cloud.delete::<Instance>("client").await;
    cloud.until_gone::<Instance>("client").await;
    // It outlives what it is of, and not what is made from it.
    cloud.until_ready::<InstanceSnapshot>("client-before").await;
    cloud.delete::<InstanceSnapshot>("client-before").await;
    cloud.until_condition::<InstanceSnapshot>("client-before", "Ready", "False", Some("InUse")).await;
    cloud.delete::<Instance>("again").await;
    cloud.until_gone::<Instance>("again").await;
    cloud.until_gone::<InstanceSnapshot>("client-before").await;
    cloud.delete::<Instance>("web").await;
    cloud.until_gone::<Instance>("web").await;
    cloud.until_gone::<Vpc>("tour").await;
    cloud.until_gone::<Vpc>("beside").await;
    cloud.until_gone::<SecurityGroup>("web").await;
    cloud.until_gone::<Volume>("page").await;
    // It outlives what it is of.
    cloud.until_ready::<VolumeSnapshot>("before").await;
    cloud.delete::<VolumeSnapshot>("before").await;
    cloud.delete::<Volume>("restored").await;
    cloud.delete::<Volume>("cloned").await;
    cloud.until_gone::<VolumeSnapshot>("before").await;
    cloud.until_gone::<Volume>("restored").await;
    cloud.until_gone::<Volume>("cloned").await;
    cloud.api::<Secret>().delete("word", &Default::default()).await.expect("the deletion is accepted");
    cloud.api::<ConfigMap>().delete("web", &Default::default()).await.expect("the deletion is accepted");
}
