//! In whatever situation, planning comes to an end, and what is told is so.

use proptest::prelude::*;

use super::*;

prop_compose! {
    fn any_spec()(
        power in prop_oneof![Just(PowerState::Running), Just(PowerState::Stopped), Just(PowerState::Paused)],
        policy in prop_oneof![Just(RestartPolicy::Always), Just(RestartPolicy::OnFailure), Just(RestartPolicy::Never)],
        default_vpc in any::<bool>(),
        port in prop_oneof![Just(None), Just(Some(published(None))), Just(Some(published(Some(20003))))],
        volume in any::<bool>(),
        check in prop_oneof![Just(None), Just(Some(OnFailure::None)), Just(Some(OnFailure::Restart))],
        restart in any::<bool>(),
    ) -> InstanceSpec {
        let mount = VolumeMount { mount_path: "/data".to_owned(), volume: Some("data".to_owned()), ..VolumeMount::default() };
        InstanceSpec {
            power_state: power,
            restart_policy: policy,
            restart_token: restart.then(|| "again".to_owned()),
            vpc: (!default_vpc).then(|| "main".to_owned()),
            ports: port.into_iter().collect(),
            volumes: if volume { vec![mount] } else { Vec::new() },
            health_check: check.and_then(|on_failure| checked(on_failure).health_check),
            ..spec()
        }
    }
}

fn any_state() -> impl Strategy<Value = MachineState> {
    prop_oneof![
        Just(MachineState::Created),
        Just(MachineState::Running),
        Just(MachineState::Paused),
        Just(MachineState::Dead),
        (prop_oneof![Just(0_i64), Just(1), Just(137)], -700_i64..1).prop_map(|(code, at)| exited(code, at)),
    ]
}

prop_compose! {
    fn any_scene()(
        spec in any_spec(),
        settled_before in any::<bool>(),
        states in proptest::collection::vec((any_state(), any::<bool>()), 0..3),
        has_image in any::<bool>(),
        missing_network in any::<bool>(),
        missing_volume in any::<bool>(),
        missing_input in proptest::bool::weighted(0.2),
        rival in proptest::bool::weighted(0.2),
        files in any::<bool>(),
        failing in any::<bool>(),
        small in any::<bool>(),
        taken in any::<bool>(),
        crashes in 0_i32..4,
        held in any::<bool>(),
        astray in any::<bool>(),
    ) -> Scene {
        let mut scene = scene(InstanceSpec { power_state: PowerState::Running, ..spec.clone() });
        scene.observed.held = held.then(BTreeSet::new);
        if settled_before {
            scene.converge(Goal::Present);
            if failing && scene.observed.probing.is_some() {
                set_health(&mut scene, Health::Failing("no answer".to_owned()));
            }
        }
        let template = scene.observed.machines.pop();
        if let Some(template) = template {
            for (number, (state, same)) in states.into_iter().enumerate() {
                let mut machine = template.clone();
                machine.id = MachineId(format!("m{number}"));
                machine.started_at = Some(second(-900));
                machine.state = state;
                if astray {
                    machine.name = format!("mine{number}");
                    machine.attachment = None;
                }
                if !same {
                    machine.spec_hash = "other".to_owned();
                }
                scene.observed.machines.push(machine);
            }
        }
        scene.instance.spec = spec;
        scene.instance.metadata.generation = Some(2);
        if !has_image {
            scene.observed.image = None;
        }
        if missing_network {
            scene.observed.network = Target::Missing;
        }
        if missing_volume && let Some(volume) = scene.observed.volumes.get_mut("data") {
            *volume = Target::Missing;
        }
        if missing_input {
            scene.observed.inputs.missing.insert("Secret `db`".to_owned());
        }
        if rival {
            scene.observed.rivals.insert("data".to_owned(), "other".to_owned());
        }
        if files {
            let set = file_set();
            scene.observed.inputs.files.push(set);
            (scene.observed.files_in_place, scene.observed.files_up_to_date) = (false, false);
            scene.observed.files_left = true;
        }
        if small {
            scene.observed.size = Target::Ready(Resources { cpu_millis: 250, memory_bytes: 1 << 27, max_memory_bytes: None });
        }
        if taken {
            let port = HostPort { port: 20003, protocol: Protocol::Tcp, address: "127.0.0.1".parse().unwrap() };
            scene.observed.supply.ports.push((port, None));
        }
        if crashes > 0 {
            scene.status().crash_count = Some(crashes);
        }
        scene
    }
}

proptest! {
    /// The model panics when a step touches a machine that was not observed to be ours.
    #[test]
    fn planning_again_after_applying_plans_nothing(mut scene in any_scene(), absent in any::<bool>()) {
        let goal = if absent { Goal::Absent } else { Goal::Present };
        scene.converge(goal);
        let again = scene.plan(goal);
        prop_assert_eq!(&again.steps, &Vec::new());
        if absent {
            prop_assert!(again.waiting.is_none());
            prop_assert!(scene.observed.machines.is_empty() && !scene.observed.files_left);
        }
    }

    #[test]
    fn the_report_says_ready_only_of_what_is_as_the_spec_says(mut scene in any_scene()) {
        scene.converge(Goal::Present);
        let running = scene.observed.machines.iter().filter(|machine| machine.state == MachineState::Running).count();
        let (truth, reason) = scene.ready();
        if reason == "Running" {
            prop_assert_eq!((truth, running), ("True", 1));
        }
        if scene.instance.spec.power_state == PowerState::Stopped {
            prop_assert_eq!((truth, reason, running), ("True", "Stopped", 0));
        }
        prop_assert!(scene.observed.machines.len() <= 1);
    }
}
