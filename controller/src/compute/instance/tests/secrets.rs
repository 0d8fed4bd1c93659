//! What becomes of a machine when a Secret changes that it takes something from.

use crds::compute::instance::{EnvFrom, EnvSource, EnvVar, KeyRef, ObjectRef, SecretStatus, SecretUpdatePolicy};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::json;

use super::super::inputs::Sources;
use super::super::secrets::digested;
use super::*;
use crate::digests::tests::under;

fn with(policy: SecretUpdatePolicy) -> InstanceSpec {
    InstanceSpec { secret_update_policy: policy, ..spec() }
}

/// A machine that runs with a Secret `db`, some time after its start.
fn using_db(spec: InstanceSpec) -> Scene {
    let mut scene = scene(spec);
    scene.hold("db", Some("k-1"));
    assert!(names(&scene.converge(Goal::Present)).ends_with(&["RecordSecrets".to_owned(), "Start".to_owned()]));
    scene.observed.now = second(1000);
    assert_eq!(scene.converge(Goal::Present), []);
    scene
}

impl Scene {
    fn hold(&mut self, secret: &str, digest: Option<&str>) {
        self.observed.secrets.insert(secret.to_owned(), digest.map(str::to_owned));
    }

    /// What is done once others had time to come to a change.
    #[track_caller]
    fn converge_gathered(&mut self) -> Vec<Step> {
        assert_eq!(self.converge(Goal::Present), [], "others may come to it");
        self.observed.now = self.observed.now.checked_add(SignedDuration::from_secs(2)).unwrap();
        self.converge(Goal::Present)
    }

    fn is_changed(&self) -> bool {
        self.instance.status.as_ref().unwrap().secrets.iter().any(|secret| secret.changed)
    }
}

const RESTARTED: [&str; 4] = ["AnnounceRestart", "Stop", "RecordSecrets", "Start"];

#[test]
fn a_changed_secret_restarts_the_machine_once_whatever_the_restart_policy() {
    for policy in [RestartPolicy::Always, RestartPolicy::Never] {
        let mut scene = using_db(InstanceSpec { restart_policy: policy, ..with(SecretUpdatePolicy::Restart) });
        scene.hold("db", Some("k-2"));
        let steps = scene.converge_gathered();
        assert_eq!(
            (&steps[0], names(&steps)),
            (&Step::AnnounceRestart(vec!["db".to_owned()]), RESTARTED.map(str::to_owned).to_vec())
        );
        assert_eq!(scene.ready(), ("True", "Running"));
        let status = scene.instance.status.clone().unwrap();
        assert_eq!((status.restart_count, status.restarting_for), (Some(0), Vec::new()));
        scene.observed.now = second(2000);
        assert_eq!(scene.converge(Goal::Present), []);
    }
}

#[test]
fn a_restart_for_a_secret_that_is_cut_off_anywhere_goes_on_and_does_not_take_place_twice() {
    for policy in [RestartPolicy::Always, RestartPolicy::Never] {
        for done in 0..4 {
            let mut scene = using_db(InstanceSpec { restart_policy: policy, ..with(SecretUpdatePolicy::Restart) });
            scene.hold("db", Some("k-2"));
            scene.converge(Goal::Present);
            scene.observed.now = second(1002);
            let taken = scene.converge_cut_off_after(done);
            assert_eq!(names(&taken), RESTARTED, "cut off after {done}");
        }
    }
}

#[test]
fn changes_within_a_second_restart_it_once() {
    let mut scene = using_db(with(SecretUpdatePolicy::Restart));
    scene.hold("tls", Some("k-1"));
    assert_eq!(scene.converge(Goal::Present), []);
    for secret in ["db", "tls"] {
        scene.hold(secret, Some("k-2"));
        assert_eq!(scene.converge(Goal::Present), []);
        scene.observed.now = second(1001);
    }
    scene.hold("db", Some("k-3"));
    let plan = scene.plan(Goal::Present);
    assert_eq!((plan.steps, plan.look_again), (Vec::new(), Some(second(1002))), "they can't put it off");
    scene.observed.now = second(1002);
    assert_eq!(names(&scene.converge(Goal::Present)), RESTARTED);
    scene.observed.now = second(2000);
    assert_eq!(scene.converge(Goal::Present), []);
}

#[test]
fn a_change_that_is_undone_at_once_restarts_nothing() {
    let mut scene = using_db(with(SecretUpdatePolicy::Restart));
    scene.hold("db", Some("k-2"));
    assert_eq!(scene.converge(Goal::Present), []);
    scene.hold("db", Some("k-1"));
    scene.observed.now = second(2000);
    assert_eq!(scene.converge(Goal::Present), []);
    assert!(!scene.is_changed());
}

#[test]
fn of_many_changes_in_a_row_the_last_one_counts() {
    let mut scene = using_db(with(SecretUpdatePolicy::Restart));
    scene.hold("db", Some("k-2"));
    assert_eq!(names(&scene.converge_gathered()), RESTARTED);
    for change in 3..20 {
        scene.hold("db", Some(&format!("k-{change}")));
        scene.observed.now = second(1002 + change);
        let plan = scene.plan(Goal::Present);
        assert_eq!((plan.steps, plan.look_again), (Vec::new(), Some(second(1032))));
        assert_eq!(scene.converge(Goal::Present), []);
        assert!(scene.is_changed(), "it says so while it waits");
    }
    scene.observed.now = second(1032);
    assert_eq!(names(&scene.converge(Goal::Present)), RESTARTED);
    assert!(!scene.is_changed());
}

#[test]
fn by_default_a_changed_secret_is_told_once_and_counts_from_the_next_start_on() {
    let mut scene = using_db(with(SecretUpdatePolicy::default()));
    scene.hold("db", Some("k-2"));
    let plan = scene.plan(Goal::Present);
    assert_eq!(plan.steps, []);
    let notes = scene.report(Some(&plan), None, Goal::Present);
    let words = "Secret `db` has changed since the machine was started: `cloudctl restart web` has it begin with what it \
                 holds now.";
    assert_eq!(notes, [Note::normal("SecretChanged", words)]);
    assert!(scene.is_changed());
    assert_eq!(scene.ready(), ("True", "Running"));
    assert_eq!(scene.report(Some(&plan), None, Goal::Present), [], "it isn't told again");
    scene.instance.spec.restart_token = Some("one".to_owned());
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop", "RecordSecrets", "RecordRestart", "Start"]);
    assert!(!scene.is_changed());
}

#[test]
fn a_secret_that_is_deleted_and_made_again_as_it_was_changes_nothing() {
    let mut scene = using_db(with(SecretUpdatePolicy::Restart));
    for digest in [None, Some("k-1")] {
        scene.hold("db", digest);
        assert_eq!(scene.converge(Goal::Present), []);
        assert!(!scene.is_changed());
    }
    scene.hold("db", None);
    scene.converge(Goal::Present);
    scene.hold("db", Some("k-2"));
    assert_eq!(names(&scene.converge_gathered()), RESTARTED);
}

#[test]
fn an_optional_secret_that_comes_is_a_change() {
    let mut scene = scene(with(SecretUpdatePolicy::Restart));
    scene.hold("db", None);
    scene.converge(Goal::Present);
    scene.observed.now = second(1000);
    scene.hold("db", Some("k-1"));
    assert_eq!(names(&scene.converge_gathered()), RESTARTED);
}

#[test]
fn what_was_started_before_anybody_looked_or_under_another_key_is_taken_as_it_is() {
    for known in [Vec::new(), vec![("db", "old-1")]] {
        let mut scene = running(with(SecretUpdatePolicy::Restart));
        scene.observed.now = second(1000);
        scene.status().secrets = known
            .iter()
            .map(|(name, digest)| SecretStatus {
                name: (*name).to_owned(),
                digest: Some((*digest).to_owned()),
                ..SecretStatus::default()
            })
            .collect();
        scene.hold("db", Some("k-1"));
        assert_eq!(scene.converge(Goal::Present), []);
        scene.hold("db", Some("k-2"));
        assert_eq!(names(&scene.converge_gathered()), RESTARTED);
    }
}

#[test]
fn what_has_ended_or_is_stopped_is_not_started_for_a_secret() {
    let mut ended =
        using_db(InstanceSpec { restart_policy: RestartPolicy::Never, ..with(SecretUpdatePolicy::Restart) });
    ended.machine().state = exited(0, 1000);
    ended.converge(Goal::Present);
    ended.hold("db", Some("k-2"));
    assert_eq!(ended.converge(Goal::Present), []);
    assert_eq!(ended.ready(), ("True", "Completed"));

    let mut stopped = using_db(with(SecretUpdatePolicy::Restart));
    stopped.instance.spec.power_state = PowerState::Stopped;
    stopped.converge(Goal::Present);
    stopped.hold("db", Some("k-2"));
    assert_eq!(stopped.converge(Goal::Present), []);
    stopped.instance.spec.power_state = PowerState::Running;
    assert_eq!(names(&stopped.converge(Goal::Present)), ["RecordSecrets", "Start"]);
}

#[test]
fn a_virtual_machine_is_restarted_and_not_made_anew() {
    let mut scene = virtual_scene();
    scene.instance.spec.secret_update_policy = SecretUpdatePolicy::Restart;
    scene.converge(Goal::Present);
    scene.hold("db", Some("k-1"));
    scene.observed.now = second(1000);
    assert_eq!(scene.converge(Goal::Present), []);
    scene.hold("db", Some("k-2"));
    assert_eq!(names(&scene.converge_gathered()), RESTARTED);
}

struct Shelf(Secret);

impl Sources for Shelf {
    fn secret(&self, name: &str) -> Option<Arc<Secret>> {
        (name == "db").then(|| self.0.clone().into())
    }

    fn config_map(&self, _: &str) -> Option<Arc<ConfigMap>> {
        None
    }
}

#[test]
fn only_what_is_taken_from_a_secret_counts() {
    let key = |name: &str, key: &str| EnvVar {
        name: key.to_uppercase(),
        value_from: Some(EnvSource {
            secret_key_ref: Some(KeyRef { name: name.to_owned(), key: key.to_owned(), optional: true }),
            ..EnvSource::default()
        }),
        ..EnvVar::default()
    };
    let whole =
        EnvFrom { secret_ref: Some(ObjectRef { name: "db".to_owned(), optional: false }), ..EnvFrom::default() };
    let mount = VolumeMount { mount_path: "/s".to_owned(), secret: Some("db".to_owned()), ..VolumeMount::default() };
    let some = scene(InstanceSpec { env: vec![key("db", "password"), key("nobody", "x")], ..spec() }).instance;
    let all = scene(InstanceSpec { env: vec![key("db", "password")], env_from: vec![whole], ..spec() }).instance;
    let mounted = scene(InstanceSpec { volumes: vec![mount], ..spec() }).instance;
    let of = |instance: &Instance, secret: serde_json::Value| {
        digested(instance, &Shelf(serde_json::from_value(secret).unwrap()), &under("k"))
    };
    let before = json!({"metadata": {"resourceVersion": "1"}, "data": {"password": "aHVzaA==", "user": "YQ=="}});
    let other_user = json!({"metadata": {"resourceVersion": "2"}, "data": {"password": "aHVzaA==", "user": "Yg=="}});
    let other_password = json!({"data": {"password": "bG91ZA==", "user": "YQ=="}});
    let labelled = json!({"metadata": {"labels": {"a": "b"}}, "data": {"password": "aHVzaA==", "user": "YQ=="}});

    assert_eq!(of(&some, before.clone()), of(&some, other_user.clone()));
    assert_ne!(of(&some, before.clone()), of(&some, other_password));
    assert_eq!(of(&some, before.clone())["nobody"], None);
    for instance in [&all, &mounted] {
        assert_ne!(of(instance, before.clone()), of(instance, other_user.clone()));
        assert_eq!(of(instance, before.clone()), of(instance, labelled.clone()));
    }
    assert!(!format!("{:?}", of(&all, before)).contains("hush"));
}

/// A machine with files that aren't up to date any more, whose Instance waits for its network.
fn waiting(policy: SecretUpdatePolicy) -> Scene {
    let mut scene = using_db(with(policy));
    scene.observed.network = Target::Missing;
    scene.converge(Goal::Present);
    scene.observed.inputs.files.push(file_set());
    (scene.observed.files_in_place, scene.observed.files_up_to_date) = (false, false);
    scene
}

#[test]
fn a_machine_that_runs_finds_the_files_of_now_while_its_instance_waits() {
    let mut scene = waiting(SecretUpdatePolicy::Ignore);
    assert_eq!(names(&scene.converge(Goal::Present)), ["RefreshFiles"], "none is made or removed");
    assert_eq!(scene.ready(), ("False", "DependencyMissing"));
    let network = Network { uid: NETWORK, range: Some(("10.0.0.0/24".parse().unwrap(), "10.0.0.1".parse().unwrap())) };
    scene.observed.network = Target::Ready(network);
    assert_eq!(names(&scene.converge(Goal::Present)), ["EnsureFiles"], "now they are exactly as they should be");

    for state in [MachineState::Paused, exited(0, 1000)] {
        let mut scene = waiting(SecretUpdatePolicy::Ignore);
        scene.machine().state = state;
        assert_eq!(scene.converge(Goal::Present), [], "it reads nothing");
    }
}

#[test]
fn the_files_of_now_are_there_before_an_image_is_fetched_that_may_take_long_or_fail() {
    let mut scene = using_db(InstanceSpec { image: "nginx:1".to_owned(), ..spec() });
    scene.instance.spec.image = "nginx:2".to_owned();
    scene.observed.image = None;
    scene.observed.inputs.files.push(file_set());
    (scene.observed.files_in_place, scene.observed.files_up_to_date) = (false, false);
    let plan = scene.plan(Goal::Present);
    assert_eq!(names(&plan.steps), ["RefreshFiles", "Pull"]);
    scene.report(Some(&plan), None, Goal::Present);
    assert_eq!(scene.ready(), ("False", "PullingImage"));
}

#[test]
fn a_restart_for_a_secret_waits_with_its_instance_and_says_so_once() {
    let mut scene = waiting(SecretUpdatePolicy::Restart);
    scene.converge(Goal::Present);
    scene.hold("db", Some("k-2"));
    let plan = scene.plan(Goal::Present);
    assert_eq!(plan.steps, []);
    let words = "Secret `db` has changed since the machine was started: it begins with what it holds now once its Instance \
                 waits for nothing else.";
    assert_eq!(scene.report(Some(&plan), None, Goal::Present), [Note::normal("SecretChanged", words)]);
    assert!(scene.is_changed());
    assert_eq!(scene.report(Some(&plan), None, Goal::Present), []);
}
