//! Each controller has the rights that it uses, and no others. With less they would fail: a right that a service account
//! lacks ends the test that needs it.

use std::collections::BTreeSet;

use controller::orphans::Adoption;
use controller::rights::{self, Right};
use controller_simulation::record::{Used, used};
use controller_simulation::schedule::{judge, read};
use controller_simulation::{
    Cloud, Tripwire, instance, instance_snapshot, retained_tour, snapshot, tour, virtual_tour, volume,
};
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::storage::volume::{DeletionPolicy, Volume};
use crds::storage::volume_snapshot::VolumeSnapshot;

/// Whether the code that all accounts have in common does this only after it lost a race, or when the same happens again:
/// used by one, it is needed by all.
fn is_anybodys(right: &Right, verb: &str) -> bool {
    match (right.group.as_str(), right.resource.as_str()) {
        (crds::GROUP, _) => verb == "get",
        ("", "events") => verb != "create",
        ("", "configmaps") => verb == "patch",
        _ => false,
    }
}

/// The user changes an Instance whose controller hasn't heard of it when it writes down how the machine ended; then the
/// controllers die, and tell of the next end what they don't know to have told already.
const LOST_RACES: &str = r#"
{"Write":{"Vpc":0}}
{"Write":{"Instance":{"number":0,"vpc":0,"image":"web:1","snapshot":null,"cpu":100,"mounts":false,"publishes":false,"is_virtual":false,"power":"Running"}}}
"Settle"
{"Lag":5000}
{"Write":{"Instance":{"number":0,"vpc":0,"image":"web:1","snapshot":null,"cpu":150,"mounts":false,"publishes":false,"is_virtual":false,"power":"Running"}}}
{"Dies":[0,137]}
{"Pass":1000}
"Settle"
{"Crash":1}
{"Dies":[0,137]}
"Settle"
"#;

/// Leaves a Volume and snapshots behind, and adopts all of them.
async fn adopt_what_is_left(cloud: &Cloud) {
    let (mut left, mut copy) = (volume("left", "64Mi"), snapshot("left", "left"));
    let mut disk = instance_snapshot("left", "left");
    disk.spec.deletion_policy = DeletionPolicy::Retain;
    cloud.create(&instance("left", "web:1")).await;
    cloud.create(&disk).await;
    cloud.until_ready::<InstanceSnapshot>("left").await;
    cloud.delete::<InstanceSnapshot>("left").await;
    cloud.until_gone::<InstanceSnapshot>("left").await;
    left.spec.deletion_policy = DeletionPolicy::Retain;
    copy.spec.deletion_policy = DeletionPolicy::Retain;
    cloud.create(&left).await;
    cloud.until_ready::<Volume>("left").await;
    cloud.create(&copy).await;
    cloud.until_ready::<VolumeSnapshot>("left").await;
    cloud.delete::<VolumeSnapshot>("left").await;
    cloud.until_gone::<VolumeSnapshot>("left").await;
    cloud.delete::<Volume>("left").await;
    cloud.until_gone::<Volume>("left").await;
    let orphans = cloud.orphans(&Tripwire::default());
    let list = orphans.list().await.expect("orphans are listed");
    assert_eq!(list.len(), 3);
    for orphan in list {
        orphans.adopt(orphan.owner.uid, &Adoption::default()).await.expect("it is adopted");
    }
}

fn is_used(all: &BTreeSet<Used>, (right, account, namespace): (&Right, &str, &str), verb: &str) -> bool {
    let user = format!("system:serviceaccount:{}:{account}", controller::NAMESPACE);
    let is_anybodys = is_anybodys(right, verb);
    all.iter().any(|used| {
        used.verb == verb
            && used.group == right.group
            && (used.user == user || is_anybodys)
            && (used.resource == right.resource || is_anybodys && right.group == crds::GROUP)
            && (namespace.is_empty() || used.namespace == namespace)
            && (right.name.is_empty() || used.name == right.name)
    })
}

#[test]
fn no_right_is_given_that_nothing_uses() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut cloud = Cloud::new().await;
        cloud.start();
        tour::tell(&cloud).await;
        virtual_tour::tell(&cloud).await;
        retained_tour::tell(&cloud).await;
        adopt_what_is_left(&cloud).await;
    });
    judge(&read(LOST_RACES).unwrap()).unwrap();
    let accounts = rights::accounts();
    let given = accounts.iter().flat_map(|account| {
        let everywhere = account.everywhere.iter().map(|right| (right, account.name.as_str(), ""));
        everywhere.chain(account.at_home.iter().map(|right| (right, account.name.as_str(), controller::NAMESPACE)))
    });
    let all = used();
    let idle: Vec<String> = given
        .flat_map(|given| given.0.verbs.iter().map(move |verb| (given, *verb)))
        .filter(|(given, verb)| !is_used(&all, *given, verb))
        .map(|((right, account, _), verb)| format!("{account}: {verb} {} {}", right.resource, right.name))
        .collect();
    assert_eq!(idle, [""; 0]);
}
