//! Machines whose Secrets change while they run.

use controller_simulation::secret;
use crds::compute::instance::{EnvSource, EnvVar, KeyRef, SecretUpdatePolicy, VolumeMount};
use jiff::Timestamp;

use super::*;

/// The Instance `web` with a variable, or with files, from the Secret `db`.
fn web(policy: SecretUpdatePolicy, mounted: bool) -> Instance {
    let mut web = instance("web", "web:1");
    web.spec.secret_update_policy = policy;
    web.spec.restart_policy = RestartPolicy::Never;
    if mounted {
        web.spec.volumes =
            vec![VolumeMount { mount_path: "/db".to_owned(), secret: Some("db".to_owned()), ..VolumeMount::default() }];
    } else {
        let key = KeyRef { name: "db".to_owned(), key: "password".to_owned(), optional: false };
        let value_from = Some(EnvSource { secret_key_ref: Some(key), ..EnvSource::default() });
        web.spec.env = vec![EnvVar { name: "PASSWORD".to_owned(), value_from, ..EnvVar::default() }];
    }
    web
}

async fn running(policy: SecretUpdatePolicy, mounted: bool) -> (Cloud, Uuid) {
    let cloud = running_cloud().await;
    cloud.create(&secret("db", &[("password", "hunter2"), ("user", "ann")])).await;
    cloud.create(&web(policy, mounted)).await;
    cloud.until_ready::<Instance>("web").await;
    cloud.pass(Duration::from_secs(300)).await;
    let uid = cloud.uid::<Instance>("web").await;
    (cloud, uid)
}

/// The id of the machine, and when it was started.
fn start(cloud: &Cloud, uid: Uuid) -> (String, Timestamp) {
    let machine = &cloud.engine.machines_of(uid)[0];
    assert_eq!(machine.state, MachineState::Running);
    (machine.id.0.clone(), machine.started_at.unwrap())
}

async fn put(cloud: &Cloud, key: &str, text: &str) {
    cloud.change::<Secret>("db", json!({"stringData": {key: text}})).await;
}

fn told(cloud_events: &[String], what: &str) -> usize {
    cloud_events.iter().filter(|event| event.contains(what)).count()
}

#[tokio::test(start_paused = true)]
async fn a_machine_is_restarted_once_for_what_it_takes_from_a_secret() {
    for mounted in [false, true] {
        let (cloud, uid) = running(SecretUpdatePolicy::Restart, mounted).await;
        let before = start(&cloud, uid);
        cloud.change::<Secret>("db", json!({"metadata": {"labels": {"a": "b"}}})).await;
        put(&cloud, "password", "hunter2").await;
        cloud.pass(Duration::from_secs(60)).await;
        assert_eq!(start(&cloud, uid), before, "nothing that it takes has changed");

        put(&cloud, "password", "changed").await;
        cloud.pass(Duration::from_secs(20)).await;
        let after = start(&cloud, uid);
        assert!(after.0 == before.0 && after.1 > before.1, "it is the same machine, started again");
        cloud.pass(Duration::from_secs(900)).await;
        assert_eq!(start(&cloud, uid), after, "once");
        let status = cloud.get::<Instance>("web").await.unwrap().status.unwrap();
        assert_eq!((status.restart_count, status.secrets[0].changed), (Some(0), false));
        let events = cloud.events("web").await;
        assert_eq!(told(&events, "SecretChanged x1"), 1, "{events:?}");
        assert!(!cloud.state().await.contains("hunter2"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_taken_a_secret_made_again_and_new_controllers_restart_nothing() {
    let (mut cloud, uid) = running(SecretUpdatePolicy::Restart, false).await;
    let before = start(&cloud, uid);
    put(&cloud, "user", "bob").await;
    cloud.api::<Secret>().delete("db", &Default::default()).await.unwrap();
    cloud.pass(Duration::from_secs(60)).await;
    cloud.create(&secret("db", &[("password", "hunter2")])).await;
    cloud.pass(Duration::from_secs(60)).await;
    cloud.kill();
    cloud.start();
    cloud.pass(Duration::from_secs(900)).await;
    assert_eq!(start(&cloud, uid), before);

    cloud.kill();
    put(&cloud, "password", "changed").await;
    cloud.start();
    cloud.pass(Duration::from_secs(60)).await;
    assert!(start(&cloud, uid).1 > before.1, "what changed while nobody looked counts");
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_changes_restarts_it_twice_at_most_and_the_last_one_counts() {
    let (cloud, uid) = running(SecretUpdatePolicy::Restart, false).await;
    let mut starts = std::collections::BTreeSet::from([start(&cloud, uid).1]);
    for change in 0..20 {
        put(&cloud, "password", &format!("change {change}")).await;
        cloud.pass(Duration::from_secs(1)).await;
        starts.extend(cloud.engine.machines_of(uid)[0].started_at);
    }
    cloud.pass(Duration::from_secs(300)).await;
    starts.insert(start(&cloud, uid).1);
    assert_eq!(starts.len(), 3, "{starts:?}");
    let status = cloud.get::<Instance>("web").await.unwrap().status.unwrap();
    assert!(!status.secrets[0].changed);
}

#[tokio::test(start_paused = true)]
async fn by_default_it_goes_on_and_says_that_a_secret_has_changed() {
    let (cloud, uid) = running(SecretUpdatePolicy::Ignore, false).await;
    let before = start(&cloud, uid);
    put(&cloud, "password", "changed").await;
    let is_told = |web: &Instance| web.status.as_ref().unwrap().secrets[0].changed;
    cloud.until("web", "to say that a Secret has changed", is_told).await;
    cloud.pass(Duration::from_secs(900)).await;
    assert_eq!(start(&cloud, uid), before);
    assert_eq!(told(&cloud.events("web").await, "SecretChanged x1"), 1);
    put(&cloud, "password", "hunter2").await;
    cloud.until("web", "to have what it was started with", |web: &Instance| !is_told(web)).await;
}

/// Whether the machine finds a file with exactly this in it.
fn finds(cloud: &Cloud, uid: Uuid, text: &str) -> bool {
    cloud.engine.files_of(uid).iter().any(|file| file == text.as_bytes())
}

fn is_told(web: &Instance) -> bool {
    web.status.as_ref().unwrap().secrets[0].changed
}

#[tokio::test(start_paused = true)]
async fn a_machine_whose_instance_waits_finds_changed_files_and_is_restarted_for_them_later() {
    let no_image = (json!({"image": "nowhere:1"}), json!({"image": "web:1"}), "ImageNotFound");
    let no_vpc = (json!({"vpc": "nowhere"}), json!({"vpc": null}), "DependencyMissing");
    let capabilities = json!({"capabilities": {"add": ["SYS_ADMIN"]}});
    let not_allowed = (json!({"securityContext": capabilities}), json!({"securityContext": null}), "NotAllowed");
    for (wish, wished_before, reason) in [no_image, no_vpc, not_allowed] {
        for policy in [SecretUpdatePolicy::Ignore, SecretUpdatePolicy::Restart] {
            let (cloud, uid) = running(policy, true).await;
            let before = start(&cloud, uid);
            cloud.change::<Instance>("web", json!({"spec": wish})).await;
            cloud.until_condition::<Instance>("web", "Ready", "False", Some(reason)).await;
            put(&cloud, "password", "changed").await;
            cloud.until("web", "to say that a Secret has changed", is_told).await;
            cloud.pass(Duration::from_secs(60)).await;
            assert!(finds(&cloud, uid, "changed") && !finds(&cloud, uid, "hunter2"), "{reason}");
            assert_eq!(start(&cloud, uid), before, "what couldn't be started again as the spec says goes on");
            assert_eq!(told(&cloud.events("web").await, "SecretChanged x1"), 1, "{reason}, {policy:?}");

            cloud.change::<Instance>("web", json!({"spec": wished_before})).await;
            cloud.until_ready::<Instance>("web").await;
            cloud.pass(Duration::from_secs(60)).await;
            let restarts = policy == SecretUpdatePolicy::Restart;
            assert_eq!(start(&cloud, uid).1 > before.1, restarts, "{reason}, {policy:?}");
            assert_eq!(is_told(&cloud.get::<Instance>("web").await.unwrap()), !restarts);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_waits_for_another_secret_finds_changed_files_and_keeps_those_of_what_is_missing() {
    let mut cloud = running_cloud().await;
    cloud.create(&secret("db", &[("password", "hunter2")])).await;
    cloud.create(&secret("tls", &[("key", "quiet")])).await;
    let mut web = web(SecretUpdatePolicy::Restart, true);
    let mount = VolumeMount { mount_path: "/tls".to_owned(), secret: Some("tls".to_owned()), ..VolumeMount::default() };
    web.spec.volumes.push(mount);
    cloud.create(&web).await;
    cloud.until_ready::<Instance>("web").await;
    cloud.pass(Duration::from_secs(300)).await;
    let uid = cloud.uid::<Instance>("web").await;
    let before = start(&cloud, uid);

    cloud.api::<Secret>().delete("tls", &Default::default()).await.unwrap();
    for (killed, text) in [(false, "changed"), (true, "changed again")] {
        if killed {
            cloud.kill();
        }
        put(&cloud, "password", text).await;
        if killed {
            cloud.start();
        }
        cloud.pass(Duration::from_secs(60)).await;
        assert!(finds(&cloud, uid, text) && finds(&cloud, uid, "quiet"), "killed: {killed}");
        assert_eq!(start(&cloud, uid), before, "it couldn't be started again");
    }
    let web = cloud.until_condition::<Instance>("web", "Ready", "False", Some("DependencyMissing")).await;
    assert_eq!(message(&web), "Waiting for Secret `tls`.");
    cloud.create(&secret("tls", &[("key", "loud")])).await;
    cloud.until_ready::<Instance>("web").await;
    cloud.pass(Duration::from_secs(60)).await;
    assert!(finds(&cloud, uid, "changed again") && finds(&cloud, uid, "loud") && !finds(&cloud, uid, "quiet"));
    assert!(start(&cloud, uid).1 > before.1);
}
