//! Machines that ask for more than the bounds that hold for every machine.

use crds::compute::instance::{Capabilities, SecurityContext};
use crds::compute::instance_policy::{Allowance, InstancePolicy, InstancePolicySpec};

use super::*;

fn router() -> InstanceSpec {
    let capabilities = Capabilities { add: vec!["NET_ADMIN".to_owned()], drop: Vec::new() };
    let context = SecurityContext { capabilities: Some(capabilities), ..SecurityContext::default() };
    InstanceSpec { security_context: Some(context), ..spec() }
}

fn policy(namespace: &str, allow: Allowance) -> Arc<InstancePolicy> {
    Arc::new(InstancePolicy::new("net", InstancePolicySpec { namespaces: vec![namespace.to_owned()], allow }))
}

fn net_admin() -> Allowance {
    Allowance { capabilities: vec!["NET_ADMIN".to_owned()], ..Allowance::default() }
}

impl Scene {
    fn under(&mut self, policies: &[Arc<InstancePolicy>]) {
        self.observed.bounds = Bounds::of("shop", policies);
    }
}

#[test]
fn more_than_the_common_bounds_takes_a_policy_for_the_namespace() {
    let mut scene = scene(router());
    assert_eq!(names(&scene.converge(Goal::Present)), [""; 0]);
    assert_eq!(scene.ready(), ("False", "NotAllowed"));
    assert!(scene.message().contains("`shop` may not have the capability NET_ADMIN."), "{}", scene.message());
    scene.under(&[policy("other", net_admin())]);
    assert_eq!(names(&scene.converge(Goal::Present)), [""; 0]);
    for namespaces in ["shop", "*"] {
        let mut scene = scene.clone();
        scene.under(&[policy(namespaces, net_admin())]);
        assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate", "Create", "Start"]);
        assert!(scene.machine().security.add.contains("NET_ADMIN"));
    }
}

#[test]
fn policies_add_up_and_one_that_goes_counts_no_more() {
    let context = SecurityContext {
        devices: vec!["/dev/net/tun".to_owned()],
        process_limit: Some(10_000),
        ..router().security_context.unwrap()
    };
    let mut scene = scene(InstanceSpec { security_context: Some(context), ..spec() });
    let devices = Allowance { devices: vec!["/dev/net/tun".to_owned()], ..Allowance::default() };
    let processes = Allowance { processes: Some(20_000), ..Allowance::default() };
    scene.under(&[policy("shop", devices), policy("*", processes)]);
    assert_eq!(names(&scene.converge(Goal::Present)), [""; 0]);
    assert!(scene.message().contains("may not have the capability NET_ADMIN."), "{}", scene.message());
    let mut going = (*policy("shop", net_admin())).clone();
    going.metadata.deletion_timestamp = Some(Time(second(0)));
    scene.under(&[Arc::new(going)]);
    assert_eq!(names(&scene.converge(Goal::Present)), [""; 0]);
    let all = "the capability NET_ADMIN, the device /dev/net/tun, 10000 processes";
    assert!(scene.message().contains(all), "{}", scene.message());
}

#[test]
fn less_than_the_common_bounds_is_free() {
    let capabilities = Capabilities { add: Vec::new(), drop: vec!["ALL".to_owned()] };
    let context =
        SecurityContext { capabilities: Some(capabilities), process_limit: Some(10), ..SecurityContext::default() };
    let mut scene = scene(InstanceSpec { security_context: Some(context), ..spec() });
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate", "Create", "Start"]);
    assert_eq!(scene.machine().security.process_limit, 10);
}

#[test]
fn a_machine_is_stopped_when_its_leave_is_taken_away_and_started_when_it_is_given_back() {
    for restart_policy in [RestartPolicy::Always, RestartPolicy::Never] {
        let mut scene = scene(InstanceSpec { restart_policy, ..router() });
        scene.under(&[policy("shop", net_admin())]);
        scene.converge(Goal::Present);
        scene.under(&[]);
        assert_eq!(names(&scene.converge(Goal::Present)), ["Stop"]);
        assert_eq!(scene.ready(), ("False", "NotAllowed"));
        scene.under(&[policy("shop", net_admin())]);
        assert_eq!(names(&scene.converge(Goal::Present)), ["Start"]);
        assert_eq!(scene.ready(), ("True", "Running"));
    }
}

#[test]
fn a_machine_that_is_within_its_bounds_goes_on_while_more_is_asked_for() {
    let mut scene = running(spec());
    scene.instance.spec = router();
    assert_eq!(names(&scene.converge(Goal::Present)), [""; 0]);
    assert_eq!(scene.ready(), ("False", "NotAllowed"));
    assert_eq!(scene.machine().state, MachineState::Running);
}

#[test]
fn what_a_machine_has_counts_and_not_what_is_asked_for_by_now() {
    let mut scene = scene(router());
    scene.under(&[policy("shop", net_admin())]);
    scene.converge(Goal::Present);
    // It asks for another, and keeps what it has until it is made anew.
    let context = scene.instance.spec.security_context.as_mut().unwrap();
    context.capabilities.as_mut().unwrap().add = vec!["SYS_TIME".to_owned()];
    assert_eq!(names(&scene.converge(Goal::Present)), [""; 0]);
    scene.under(&[]);
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop"]);
    scene.instance.spec.security_context = None;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Remove", "Create", "Start"]);
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn a_machine_that_has_too_much_is_stopped_also_when_what_is_asked_for_can_not_be_had() {
    let mut scene = scene(router());
    scene.under(&[policy("shop", net_admin())]);
    scene.converge(Goal::Present);
    scene.under(&[]);
    // Keys are for virtual machines.
    scene.instance.spec = InstanceSpec { ssh_authorized_keys: vec!["ssh-ed25519 A".to_owned()], ..spec() };
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop"]);
    assert_eq!(scene.ready(), ("False", "Invalid"));
}

#[test]
fn a_machine_that_has_too_much_is_removed_before_anything_is_waited_for() {
    let mut scene = scene(router());
    scene.under(&[policy("shop", net_admin())]);
    scene.converge(Goal::Present);
    scene.under(&[]);
    scene.instance.spec.security_context = None;
    scene.observed.network = Target::Missing;
    assert_eq!(names(&scene.plan(Goal::Present).steps), ["Stop", "Remove"]);
}

#[test]
fn a_machine_that_stays_gets_its_network_and_name_back_whatever_its_instance_waits_for() {
    let asks = |scene: &mut Scene| scene.instance.spec = router();
    let may_no_longer = |scene: &mut Scene| {
        scene.under(&[policy("shop", net_admin())]);
        scene.instance.spec = router();
        scene.converge(Goal::Present);
        scene.under(&[]);
    };
    let is_stopped = |scene: &mut Scene| scene.instance.spec.power_state = PowerState::Stopped;
    let lacks_a_type = |scene: &mut Scene| scene.observed.size = Target::Missing;
    for waits in [asks, may_no_longer, is_stopped, lacks_a_type] as [fn(&mut Scene); 4] {
        let mut scene = running(spec());
        waits(&mut scene);
        scene.converge(Goal::Present);
        let before = scene.machine().clone();
        scene.machine().name = "mine".to_owned();
        scene.machine().attachment = None;
        assert_eq!(names(&scene.converge(Goal::Present)), ["Restore"]);
        assert_eq!(*scene.machine(), before);
    }
}

#[test]
fn an_address_of_another_network_is_not_given_back() {
    let mut scene = running(spec());
    scene.instance.spec = router();
    scene.machine().attachment = None;
    let range = Some(("10.9.0.0/24".parse().unwrap(), "10.9.0.1".parse().unwrap()));
    scene.observed.network = Target::Ready(Network { uid: Uuid::from_u128(77), range });
    assert_eq!(names(&scene.converge(Goal::Present)), [""; 0]);
}
