//! What goes wrong around a cloud, and that it mends itself: woken by events where there are any, at the latest by the
//! slow resync; each time with a clear word in the status.

mod disk_images;
mod frozen_guests;
mod full_disks;
mod images;
mod memory;
mod policies;
mod secrets;
mod strangers;
mod volumes;

use std::sync::atomic::Ordering;
use std::time::Duration;

use controller_backend::fake::{FaultKind, Operation, Program};
use controller_backend::{MachineSpec, MachineState, Owner, Protocol, Publish, Resources, SecurityContext};
use controller_simulation::{Cloud, INSTALLATION, instance, published, volume, volume_mount, vpc};
use crds::compute::instance::{ExecCheck, HealthCheck, Instance, InstancePhase, OnFailure, RestartPolicy};
use crds::network::vpc::Vpc;
use crds::status::{READY, condition};
use crds::storage::volume::{DeletionPolicy, Volume};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::json;
use uuid::Uuid;

async fn running_cloud() -> Cloud {
    let mut cloud = Cloud::new().await;
    cloud.start();
    cloud
}

/// A cloud in which the Instance `web` runs.
async fn with_web() -> (Cloud, Uuid) {
    let cloud = running_cloud().await;
    cloud.create(&instance("web", "web:1")).await;
    cloud.until_ready::<Instance>("web").await;
    let uid = cloud.uid::<Instance>("web").await;
    (cloud, uid)
}

fn message(instance: &Instance) -> String {
    condition(&instance.status.as_ref().unwrap().conditions, READY).unwrap().message.clone()
}

async fn until_running(cloud: &Cloud, uid: Uuid) -> Duration {
    let start = cloud.clock.elapsed();
    for _ in 0..7000 {
        if cloud.engine.machines_of(uid).iter().any(|machine| machine.state == MachineState::Running) {
            return cloud.clock.elapsed() - start;
        }
        cloud.pass(Duration::from_millis(100)).await;
    }
    panic!("it never runs again: {}", cloud.state().await);
}

/// What `Ready` of an Instance says, each time that it says something else.
fn verdicts(history: &[Instance]) -> Vec<String> {
    let ready = |web: &Instance| {
        let status = web.status.as_ref()?;
        let ready = condition(&status.conditions, READY)?;
        Some(format!("{} {} {:?}", ready.status, ready.reason, status.phase?))
    };
    let mut verdicts: Vec<String> = history.iter().filter_map(ready).collect();
    verdicts.dedup();
    verdicts
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_a_vpc_gets_the_default_one() {
    let (cloud, _) = with_web().await;
    let vpc = cloud.until_ready::<Vpc>("default").await;
    assert_eq!(vpc.status.unwrap().cidr.as_deref(), Some("10.128.0.0/20"));
    assert_eq!(vpc.metadata.annotations, None);
}

#[tokio::test(start_paused = true)]
async fn a_vpc_is_looked_at_when_somebody_comes_or_goes_and_not_when_a_machine_changes() {
    let (cloud, _) = with_web().await;
    cloud.pass(Duration::from_secs(2)).await;
    let looks = || cloud.engine.calls()[&Operation::FindNetwork];
    let before = looks();
    cloud.change::<Instance>("web", json!({"spec": {"env": [{"name": "COLOUR", "value": "red"}]}})).await;
    cloud.until_ready::<Instance>("web").await;
    cloud.pass(Duration::from_secs(2)).await;
    assert_eq!(looks(), before);
    cloud.create(&instance("other", "web:1")).await;
    cloud.until_ready::<Instance>("other").await;
    cloud.until("default", "to have two members", |vpc: &Vpc| vpc.status.as_ref().unwrap().members == Some(2)).await;
    cloud.delete::<Instance>("web").await;
    cloud.until("default", "to have one member", |vpc: &Vpc| vpc.status.as_ref().unwrap().members == Some(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_renamed_and_disconnected_machine_is_itself_again() {
    let (cloud, uid) = with_web().await;
    let before = cloud.engine.machines_of(uid);
    for is_told in [true, false] {
        if !is_told {
            cloud.engine.lose_events();
        }
        cloud.engine.lead_astray(uid);
        assert_ne!(cloud.engine.machines_of(uid), before);
        cloud.pass(Duration::from_secs(if is_told { 1 } else { 1300 })).await;
        assert_eq!(cloud.engine.machines_of(uid), before, "told of it: {is_told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_machine_is_back_at_once_woken_by_the_event() {
    let (cloud, uid) = with_web().await;
    cloud.engine.crash(uid, 137);
    assert!(until_running(&cloud, uid).await < Duration::from_secs(1));
    let web =
        cloud.until("web", "restarted", |web: &Instance| web.status.as_ref().unwrap().restart_count == Some(1)).await;
    assert_eq!(web.status.unwrap().last_exit.unwrap().reason, "Killed");
}

#[tokio::test(start_paused = true)]
async fn a_removed_machine_is_back_at_once_with_its_address() {
    let (cloud, uid) = with_web().await;
    let before = cloud.get::<Instance>("web").await.unwrap().status.unwrap().ip;
    cloud.engine.remove_by_hand(uid);
    assert!(until_running(&cloud, uid).await < Duration::from_secs(1));
    cloud.until_ready::<Instance>("web").await;
    assert_eq!(cloud.get::<Instance>("web").await.unwrap().status.unwrap().ip, before);
}

#[tokio::test(start_paused = true)]
async fn what_events_missed_the_resync_catches() {
    let (cloud, uid) = with_web().await;
    cloud.engine.lose_events();
    cloud.engine.crash(uid, 137);
    assert!(until_running(&cloud, uid).await <= Duration::from_secs(605));
}

#[tokio::test(start_paused = true)]
async fn a_program_that_keeps_crashing_is_started_after_longer_and_longer_pauses() {
    let cloud = running_cloud().await;
    cloud.engine.add_image("crasher:1", Program::Exits(1));
    cloud.create(&instance("crasher", "crasher:1")).await;
    cloud.until_condition::<Instance>("crasher", "Ready", "False", Some("BackOff")).await;
    cloud.pass(Duration::from_secs(3600)).await;
    let status = cloud.get::<Instance>("crasher").await.unwrap().status.unwrap();
    let restarts = status.restart_count.unwrap();
    // 0, 10, 20, 40, 80, 160, then every 300 s.
    assert!((14..=18).contains(&restarts), "{restarts} restarts in an hour");
    assert!(status.next_restart.is_some());
    assert_eq!(status.phase, Some(InstancePhase::Failed));
    let events = cloud.events("crasher").await;
    assert_eq!(events.iter().filter(|event| event.starts_with("Started ")).count(), 1, "{events:?}");
    assert!(events.contains(&format!("Started x{restarts}")), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_stops_answering_is_said_and_got_over() {
    let (cloud, uid) = with_web().await;
    cloud.engine.go_down();
    cloud.change::<Instance>("web", json!({"spec": {"powerState": "Stopped"}})).await;
    let web = cloud.until_condition::<Instance>("web", "Ready", "Unknown", Some("BackendUnavailable")).await;
    assert_eq!(web.status.unwrap().phase, Some(InstancePhase::Running));
    cloud.engine.come_up();
    cloud.until_condition::<Instance>("web", "Ready", "True", Some("Stopped")).await;
    assert!(matches!(cloud.engine.machines_of(uid)[0].state, MachineState::Exited(_)));
}

#[tokio::test(start_paused = true)]
async fn controllers_that_start_without_an_engine_go_on_when_it_comes() {
    let mut cloud = Cloud::new().await;
    cloud.engine.go_down();
    cloud.start();
    cloud.create(&instance("web", "web:1")).await;
    cloud.until_condition::<Instance>("web", "Ready", "Unknown", Some("BackendUnavailable")).await;
    cloud.engine.come_up();
    cloud.until_ready::<Instance>("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_taken_port_is_named_and_used_as_soon_as_it_is_free() {
    let cloud = running_cloud().await;
    let at = Publish { address: "127.0.0.1".parse().unwrap(), port: 8080 };
    cloud.engine.occupy_port(Protocol::Tcp, at);
    let mut web = instance("web", "web:1");
    web.spec.ports = vec![published(80, Some(8080))];
    cloud.create(&web).await;
    let web = cloud.until_condition::<Instance>("web", "Ready", "False", Some("PortTaken")).await;
    assert_eq!(message(&web), "TCP port 127.0.0.1:8080 is taken by another process on the host.");
    let before = cloud.engine.changes();
    cloud.pass(Duration::from_secs(300)).await;
    assert!(cloud.engine.changes() - before <= 16, "it must not be tried in a hot loop");
    cloud.engine.release_port(Protocol::Tcp, at);
    let web = cloud.until_ready::<Instance>("web").await;
    assert_eq!(web.status.unwrap().published.as_deref(), Some("127.0.0.1:8080"));
}

#[tokio::test(start_paused = true)]
async fn a_picked_port_that_is_taken_is_replaced_by_another() {
    let cloud = running_cloud().await;
    let mut web = instance("web", "web:1");
    web.spec.ports = vec![published(80, None)];
    cloud.create(&web).await;
    let picked = cloud.until_ready::<Instance>("web").await.status.unwrap().ports[0].published_port.unwrap();
    cloud.delete::<Instance>("web").await;
    cloud.until_gone::<Instance>("web").await;
    let at = Publish { address: "127.0.0.1".parse().unwrap(), port: u16::try_from(picked).unwrap() };
    cloud.engine.occupy_port(Protocol::Tcp, at);
    cloud.create(&web).await;
    let again = cloud.until_ready::<Instance>("web").await.status.unwrap().ports[0].published_port.unwrap();
    assert_ne!(again, picked);
}

#[tokio::test(start_paused = true)]
async fn two_instances_that_want_one_port_get_it_one_after_the_other() {
    let cloud = running_cloud().await;
    let mut first = instance("first", "web:1");
    first.spec.ports = vec![published(80, Some(8080))];
    cloud.create(&first).await;
    cloud.until_ready::<Instance>("first").await;
    let mut second = instance("second", "web:1");
    second.spec.ports = first.spec.ports.clone();
    cloud.create(&second).await;
    let waiting = cloud.until_condition::<Instance>("second", "Ready", "False", Some("PortTaken")).await;
    assert_eq!(message(&waiting), "TCP port 127.0.0.1:8080 is taken by Instance `first`.");
    cloud.delete::<Instance>("first").await;
    cloud.until_ready::<Instance>("second").await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_what_is_being_made_is_no_news() {
    let cloud = running_cloud().await;
    cloud.engine.fail_always(Operation::EnsureNetwork, FaultKind::Fail);
    cloud.create(&vpc("main", Some("10.9.0.0/24"))).await;
    cloud.until_condition::<Vpc>("main", "Ready", "False", Some("BackendFailed")).await;
    let mut web = instance("web", "web:1");
    web.spec.vpc = Some("main".to_owned());
    cloud.create(&web).await;
    cloud.until_condition::<Instance>("web", "Ready", "False", Some("DependencyNotReady")).await;
    cloud.pass(Duration::from_secs(60)).await;
    cloud.engine.clear_faults();
    cloud.until_ready::<Instance>("web").await;
    let mut events = cloud.events("web").await;
    events.sort();
    assert_eq!(events, ["Created x1", "Started x1"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named_and_goes_on_the_moment_it_exists() {
    let cloud = running_cloud().await;
    let spec = json!({
        "apiVersion": "thecloud.dev/v1alpha1", "kind": "Instance", "metadata": {"name": "web"},
        "spec": {
            "image": "web:1", "vpc": "main", "instanceType": "tiny",
            "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
            "envFrom": [{"configMapRef": {"name": "settings"}}],
            "volumes": [{"mountPath": "/data", "volume": "data"}, {"mountPath": "/etc/db", "secret": "db"}],
        },
    });
    cloud.create(&serde_json::from_value::<Instance>(spec).unwrap()).await;
    let says = |words: &'static str| {
        move |web: &Instance| {
            web.status.as_ref().is_some_and(|status| condition(&status.conditions, READY).is_some())
                && message(web) == words
        }
    };
    let words = "Waiting for Vpc `main`, InstanceType `tiny`, Volume `data`.";
    cloud.until("web", words, says(words)).await;
    cloud.create(&vpc("main", Some("10.9.0.0/24"))).await;
    let words = "Waiting for InstanceType `tiny`, Volume `data`.";
    cloud.until("web", words, says(words)).await;
    cloud.create(&volume("data", "64Mi")).await;
    cloud.change::<Instance>("web", json!({"spec": {"instanceType": "small"}})).await;
    let words = "Waiting for ConfigMap `settings`, Secret `db`.";
    cloud.until("web", words, says(words)).await;
    let settings = json!({"metadata": {"name": "settings"}, "data": {"COLOUR": "blue"}});
    cloud.create(&serde_json::from_value::<ConfigMap>(settings).unwrap()).await;
    let secret = json!({"metadata": {"name": "db"}, "stringData": {"user": "web"}});
    cloud.create(&serde_json::from_value::<Secret>(secret).unwrap()).await;
    let words = "Waiting for key `password` in Secret `db`.";
    cloud.until("web", words, says(words)).await;
    let before = cloud.clock.elapsed();
    cloud.change::<Secret>("db", json!({"stringData": {"password": "hunter2"}})).await;
    cloud.until_ready::<Instance>("web").await;
    assert!(cloud.clock.elapsed() - before < Duration::from_secs(1));
    assert!(!cloud.state().await.contains("hunter2"));
    assert!(!cloud.events("web").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_the_host_restarted_everything_runs_again() {
    let cloud = running_cloud().await;
    cloud.create(&volume("data", "64Mi")).await;
    let mut web = instance("web", "web:1");
    web.spec.volumes = vec![volume_mount("data", "/data")];
    cloud.create(&web).await;
    cloud.until_ready::<Instance>("web").await;
    let uid = cloud.uid::<Instance>("web").await;
    cloud.engine.reboot();
    assert!(until_running(&cloud, uid).await < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn vpcs_that_overlap_are_told_apart_by_age() {
    let cloud = running_cloud().await;
    cloud.create(&vpc("old", Some("10.9.0.0/24"))).await;
    cloud.until_ready::<Vpc>("old").await;
    cloud.create(&vpc("young", Some("10.9.0.0/16"))).await;
    let young = cloud.until_condition::<Vpc>("young", "Ready", "False", Some("CidrOverlap")).await;
    let words = condition(&young.status.unwrap().conditions, READY).unwrap().message.clone();
    assert_eq!(words, "Range 10.9.0.0/16 overlaps 10.9.0.0/24 of Vpc `old`.");
    cloud.delete::<Vpc>("old").await;
    cloud.until_ready::<Vpc>("young").await;
}

#[tokio::test(start_paused = true)]
async fn vpcs_made_at_once_get_ranges_of_their_own() {
    let cloud = running_cloud().await;
    cloud.engine.add_route("10.128.0.0/16".parse().unwrap(), "eth1");
    let mut ranges = std::collections::BTreeSet::new();
    for number in 0..40 {
        cloud.create(&vpc(&format!("vpc-{number}"), None)).await;
    }
    for number in 0..40 {
        let vpc = cloud.until_ready::<Vpc>(&format!("vpc-{number}")).await;
        assert!(ranges.insert(vpc.status.unwrap().cidr.unwrap()));
    }
    assert!(ranges.iter().all(|range| !range.starts_with("10.128.")), "{ranges:?}");
}

#[tokio::test(start_paused = true)]
async fn fifty_instances_made_at_once_get_addresses_and_ports_of_their_own() {
    let cloud = running_cloud().await;
    cloud.create(&vpc("main", Some("10.9.0.0/26"))).await;
    for number in 0..50 {
        let mut wanted = instance(&format!("web-{number}"), "web:1");
        wanted.spec.vpc = Some("main".to_owned());
        wanted.spec.ports = vec![published(80, None)];
        cloud.create(&wanted).await;
    }
    let (mut addresses, mut ports) = Default::default();
    let seen = |set: &mut std::collections::BTreeSet<String>, value: Option<String>| set.insert(value.unwrap());
    for number in 0..50 {
        let web = cloud.until_ready::<Instance>(&format!("web-{number}")).await.status.unwrap();
        assert!(seen(&mut addresses, web.ip) && seen(&mut ports, web.published));
    }
    let main = cloud.until("main", "counted", |vpc: &Vpc| vpc.status.as_ref().unwrap().members == Some(50)).await;
    assert_eq!(main.status.unwrap().phase.as_deref(), Some("Ready"));
}

#[tokio::test(start_paused = true)]
async fn a_failing_health_check_is_said_and_restarts_the_machine_if_asked_to() {
    let cloud = running_cloud().await;
    let mut web = instance("web", "web:1");
    let exec = ExecCheck { command: vec!["false".to_owned()] };
    web.spec.health_check = Some(HealthCheck {
        exec: Some(exec),
        period_seconds: 5,
        timeout_seconds: 1,
        failure_threshold: 2,
        ..HealthCheck::default()
    });
    cloud.create(&web).await;
    cloud.until_condition::<Instance>("web", "Available", "False", Some("Unhealthy")).await;
    cloud.until_ready::<Instance>("web").await;
    let restart = serde_json::to_value(OnFailure::Restart).unwrap();
    cloud.change::<Instance>("web", json!({"spec": {"healthCheck": {"onFailure": restart}}})).await;
    let web =
        cloud.until("web", "restarted", |web: &Instance| web.status.as_ref().unwrap().restart_count == Some(2)).await;
    assert_eq!(web.status.unwrap().last_exit.unwrap().reason, "Unhealthy");
    cloud.change::<Instance>("web", json!({"spec": {"healthCheck": {"exec": {"command": ["true"]}}}})).await;
    cloud.until_condition::<Instance>("web", "Available", "True", Some("Healthy")).await;
}

#[tokio::test(start_paused = true)]
async fn a_settled_cloud_writes_nothing_and_hardly_looks() {
    let cloud = running_cloud().await;
    cloud.create(&vpc("main", Some("10.9.0.0/20"))).await;
    for number in 0..100 {
        let mut wanted = instance(&format!("web-{number}"), "web:1");
        wanted.spec.vpc = Some("main".to_owned());
        cloud.create(&wanted).await;
    }
    for number in 0..100 {
        cloud.until_ready::<Instance>(&format!("web-{number}")).await;
    }
    cloud.pass(Duration::from_secs(120)).await;
    let (looks, changes) = (cloud.metrics.reconcile_count("Instance"), cloud.engine.changes());
    let first = cloud.get::<Instance>("web-0").await.unwrap().metadata.resource_version;
    let revision = cloud.revision();
    cloud.pass(Duration::from_secs(1800)).await;
    let looked = cloud.metrics.reconcile_count("Instance") - looks;
    assert!((250..=350).contains(&looked), "each is looked at every ten minutes, not {looked} times in all");
    assert_eq!(cloud.engine.changes(), changes);
    assert_eq!(cloud.get::<Instance>("web-0").await.unwrap().metadata.resource_version, first);
    // The Lease is renewed every 10 s, and nothing else is written.
    assert!(cloud.revision() - revision <= 182, "{} writes in half an hour", cloud.revision() - revision);
}

#[tokio::test(start_paused = true)]
async fn a_shipped_type_that_the_user_deleted_does_not_come_back() {
    let mut cloud = running_cloud().await;
    cloud.pass(Duration::from_secs(5)).await;
    assert_eq!(cloud.instance_types().await.len(), 6);
    cloud.delete_instance_type("nano").await;
    cloud.kill();
    cloud.start();
    cloud.pass(Duration::from_secs(60)).await;
    assert_eq!(cloud.instance_types().await, ["large", "medium", "micro", "small", "xlarge"]);
}

#[tokio::test(start_paused = true)]
async fn rules_that_somebody_took_away_are_back_within_a_minute() {
    let (cloud, _) = with_web().await;
    let rules = cloud.engine.firewall(INSTALLATION);
    assert!(!rules.networks.is_empty());
    cloud.engine.lose_firewall(INSTALLATION);
    cloud.pass(Duration::from_secs(61)).await;
    assert_eq!(cloud.engine.firewall(INSTALLATION), rules);
}
