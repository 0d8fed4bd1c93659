//! What differs for an Instance that is a virtual machine.

use crds::quantity::Quantity;

use super::*;

#[test]
fn a_virtual_machine_is_made_from_the_uid_of_its_image_once_that_is_ready() {
    let mut scene = virtual_scene();
    for (image, reason) in [
        (Target::Missing, "DependencyMissing"),
        (Target::NotReady(DISK, "is not ready (Importing)".to_owned()), "DependencyNotReady"),
    ] {
        scene.observed.disk = Some(Disk { image, ..disk() });
        scene.converge(Goal::Present);
        assert_eq!((scene.ready().1, scene.observed.machines.len()), (reason, 0));
    }
    scene.observed.disk = Some(Disk { wanted: Some(Quantity::from("1Gi")), ..disk() });
    let steps = scene.converge(Goal::Present);
    let made = steps.iter().find_map(|step| if let Step::Create(spec) = step { Some(spec) } else { None }).unwrap();
    assert_eq!((made.image.as_str(), made.disk_bytes), (DISK.to_string().as_str(), Some(1 << 30)));
    assert!(made.first_boot.is_some());
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn a_virtual_machine_waits_for_a_root_disk_as_large_as_its_image_asks_for() {
    let mut scene = virtual_scene();
    let least = Some(Quantity::from("3Gi"));
    scene.observed.instance_type = "tiny".to_owned();
    scene.observed.disk = Some(Disk { wanted: Some(Quantity::from("1Gi")), least: least.clone(), ..disk() });
    let told =
        |scene: &Scene| condition(&scene.instance.status.as_ref().unwrap().conditions, READY).unwrap().message.clone();
    scene.converge(Goal::Present);
    assert_eq!((scene.ready(), scene.observed.machines.len()), (("False", "DiskTooSmall"), 0));
    assert_eq!(
        told(&scene),
        "ClusterImage `debian` needs a root disk of 3Gi or more, and it is to have 1Gi, that of InstanceType `tiny`: set \
         resources.disk, or name another InstanceType."
    );
    scene.instance.spec.resources =
        Some(crds::compute::instance::Resources { disk: Some(Quantity::from("1Gi")), ..Default::default() });
    scene.converge(Goal::Present);
    assert!(told(&scene).contains("1Gi, resources.disk: make resources.disk larger."), "{}", told(&scene));
    let conditions = scene.instance.status.as_ref().unwrap().conditions.clone();
    assert!(condition(&conditions, STALLED).is_some(), "it needs the user");
    scene.observed.disk = Some(Disk { wanted: Some(Quantity::from("3072Mi")), least, ..disk() });
    let steps = scene.converge(Goal::Present);
    let made = steps.iter().find_map(|step| if let Step::Create(spec) = step { Some(spec) } else { None }).unwrap();
    assert_eq!((made.disk_bytes, scene.ready()), (Some(3 << 30), ("True", "Running")));
    // What is there stays, whatever the image asks for by now.
    scene.observed.disk =
        Some(Disk { wanted: Some(Quantity::from("3Gi")), least: Some(Quantity::from("9Gi")), ..disk() });
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn a_virtual_machine_without_a_size_of_its_own_gets_what_its_image_asks_for() {
    let mut scene = virtual_scene();
    scene.observed.disk = Some(Disk { least: Some(Quantity::from("3Gi")), ..disk() });
    let steps = scene.converge(Goal::Present);
    let made = steps.iter().find_map(|step| if let Step::Create(spec) = step { Some(spec) } else { None }).unwrap();
    assert_eq!(made.disk_bytes, Some(3 << 30));
}

#[test]
fn a_virtual_machine_loses_its_disk_only_where_the_token_says_so() {
    let mut scene = virtual_scene();
    scene.converge(Goal::Present);
    let kept = scene.machine().id.clone();
    scene.instance.spec.ssh_authorized_keys.push("ssh-ed25519 AAAA".to_owned());
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "NotReplaced"));
    assert_eq!(scene.machine().id, kept);
    scene.machine().state = exited(137, 5);
    scene.observed.now = second(6);
    let steps = names(&scene.converge(Goal::Present));
    assert!(steps.contains(&"Start".to_owned()) && !steps.contains(&"Remove".to_owned()), "{steps:?}");
    scene.instance.spec.replace_token = Some("now".to_owned());
    let steps = names(&scene.converge(Goal::Present));
    assert!(steps.contains(&"Remove".to_owned()) && steps.contains(&"Create".to_owned()), "{steps:?}");
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn a_virtual_machine_gets_processors_while_it_runs_and_memory_while_it_is_stopped() {
    let mut scene = virtual_scene();
    scene.converge(Goal::Present);
    let Target::Ready(before) = scene.observed.size else { panic!("it has a size") };
    scene.observed.size = Target::Ready(Resources { cpu_millis: 3000, ..before });
    assert_eq!(names(&scene.converge(Goal::Present)), ["Resize"]);
    assert_eq!(scene.ready(), ("True", "Running"));
    scene.observed.size = Target::Ready(Resources { cpu_millis: 9000, ..before });
    assert_eq!(scene.converge(Goal::Present), []);
    let ready = condition(&scene.instance.status.as_ref().unwrap().conditions, READY).unwrap().clone();
    assert_eq!(ready.reason, "RestartNeeded");
    assert_eq!(
        ready.message,
        "A virtual machine gets more than 8 processors while it is stopped: `cloudctl restart web` does that, or another \
         `restartToken`."
    );
    scene.observed.size = Target::Ready(Resources { cpu_millis: 2000, memory_bytes: 1 << 30, max_memory_bytes: None });
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "RestartNeeded"));
    assert!(scene.message().contains("gets more than 512Mi of memory while it is stopped"), "{}", scene.message());
    scene.instance.spec.restart_token = Some("now".to_owned());
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop", "Resize", "RecordRestart", "Start"]);
    assert_eq!(scene.ready(), ("True", "Running"));
    assert_eq!(scene.machine().resources.cpu_millis, 2000);

    // Of as many processors it gets more or less time at once.
    scene.observed.size = Target::Ready(Resources { cpu_millis: 1500, memory_bytes: 1 << 30, max_memory_bytes: None });
    assert_eq!(names(&scene.converge(Goal::Present)), ["Resize"]);
    assert_eq!(scene.ready(), ("True", "Running"));
}

const MEBIBYTE: u64 = 1 << 20;

/// A virtual machine that runs with 512 MiB, of which its memory can become so much.
fn growing_scene(max: Option<u64>) -> Scene {
    let mut scene = virtual_scene();
    scene.observed.size = size(512, max);
    scene.converge(Goal::Present);
    assert_eq!(scene.ready(), ("True", "Running"));
    scene
}

fn size(memory: u64, max: Option<u64>) -> Target<Resources> {
    let max_memory_bytes = max.map(|max| max * MEBIBYTE);
    Target::Ready(Resources { cpu_millis: 1000, memory_bytes: memory * MEBIBYTE, max_memory_bytes })
}

#[test]
fn a_virtual_machine_with_room_gets_more_memory_while_it_runs_and_less_while_it_is_stopped() {
    let mut scene = growing_scene(Some(2048));
    scene.observed.size = size(1024, Some(2048));
    assert_eq!(names(&scene.converge(Goal::Present)), ["Resize"]);
    assert_eq!(scene.ready(), ("True", "Running"));
    let in_force = scene.status().resources.clone().unwrap();
    assert_eq!((in_force.memory.unwrap().0, in_force.max_memory.unwrap().0), ("1Gi".to_owned(), "2Gi".to_owned()));
    for (other, what) in [
        (size(512, Some(2048)), "gets less memory while it is stopped"),
        (size(4096, Some(4096)), "gets more than 2Gi of memory and another maxMemory while it is stopped"),
        (size(1024, None), "gets another maxMemory while it is stopped"),
    ] {
        scene.observed.size = other;
        assert_eq!(scene.converge(Goal::Present), []);
        assert_eq!(scene.ready(), ("False", "RestartNeeded"));
        assert!(scene.message().contains(what), "{}", scene.message());
    }
    scene.instance.spec.restart_token = Some("now".to_owned());
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop", "Resize", "RecordRestart", "Start"]);
    assert_eq!(scene.ready(), ("True", "Running"));
    scene.observed.size = size(1025, None);
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "RestartNeeded"));
}

#[test]
fn memory_that_the_guest_takes_none_of_is_waited_for_and_then_takes_a_restart() {
    let mut scene = growing_scene(Some(1024));
    scene.observed.size = size(1024, Some(1024));
    scene.converge(Goal::Present);
    let taken = |scene: &mut Scene, mebibytes: u64| {
        scene.machine().memory.as_mut().unwrap().taken_bytes = mebibytes * MEBIBYTE;
    };
    taken(&mut scene, 640);
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "MemoryPending"));
    assert_eq!(scene.status().resources.as_ref().unwrap().memory, Some(Quantity::from("640Mi")));
    let look_again = scene.plan(Goal::Present).look_again.unwrap();
    assert!(condition(&scene.status().conditions, STALLED).is_none(), "it may be booting");

    // What it hasn't taken can be taken back.
    let mut changed = scene.clone();
    changed.observed.size = size(640, Some(1024));
    assert_eq!(names(&changed.converge(Goal::Present)), ["Resize"]);
    assert_eq!(changed.ready(), ("True", "Running"));
    changed.observed.size = size(639, Some(1024));
    assert_eq!((changed.converge(Goal::Present), changed.ready().1), (Vec::new(), "RestartNeeded"));

    scene.observed.now = look_again;
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "RestartNeeded"));
    assert!(condition(&scene.status().conditions, STALLED).is_some());
    assert_eq!(
        scene.message(),
        "The guest doesn't take the memory that the machine was given while it runs: it needs Linux with the driver \
         virtio_mem. At its start the machine has all of it: `cloudctl restart web` does that, or another `restartToken`."
    );
    assert_eq!(scene.plan(Goal::Present).look_again, None);
    let mut late = scene.clone();
    taken(&mut late, 1024);
    assert_eq!((late.converge(Goal::Present), late.ready()), (Vec::new(), ("True", "Running")));
    scene.instance.spec.restart_token = Some("now".to_owned());
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop", "RecordRestart", "Start"]);
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn a_frozen_guest_is_not_waited_for() {
    let mut scene = growing_scene(Some(1024));
    scene.instance.spec.power_state = PowerState::Paused;
    scene.observed.size = size(1024, Some(1024));
    scene.converge(Goal::Present);
    scene.machine().memory.as_mut().unwrap().taken_bytes = 512 * MEBIBYTE;
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("True", "Paused"));
}

#[test]
fn what_a_machine_cannot_be_is_said_while_it_goes_on() {
    let mut scene = growing_scene(None);
    let Target::Ready(size) = scene.observed.size else { panic!("it has a size") };
    scene.observed.size = Target::NotReady(size, "asks for what can't be".to_owned());
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "Invalid"));
    assert_eq!(scene.machine().state, MachineState::Running);
}

#[test]
fn ports_of_a_virtual_machine_are_kept_at_the_host_while_it_should_run() {
    let port = HostPort { port: 8080, protocol: Protocol::Tcp, address: "127.0.0.1".parse().unwrap() };
    let mut scene = virtual_scene();
    scene.observed.held = Some(BTreeSet::new());
    scene.instance.spec.ports = vec![published(Some(8080))];
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate", "Create", "Start"]);
    assert_eq!(scene.observed.held, Some(BTreeSet::from([port])), "before the status says so");
    assert_eq!(scene.ready(), ("True", "Running"));

    // A new process has nothing yet, and leaves the machine alone.
    scene.observed.held = Some(BTreeSet::new());
    assert_eq!(names(&scene.converge(Goal::Present)), ["HoldPorts"]);
    // One more is no reason for another machine.
    scene.instance.spec.ports.push(Port { port: 81, ..published(Some(8081)) });
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate"]);
    assert_eq!(scene.observed.held.as_ref().map(BTreeSet::len), Some(2));

    scene.instance.spec.power_state = PowerState::Stopped;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop", "HoldPorts"]);
    assert_eq!(scene.observed.held, Some(BTreeSet::new()), "nothing is kept where nothing runs");
    scene.instance.spec.power_state = PowerState::Running;
    assert_eq!(names(&scene.converge(Goal::Present)), ["HoldPorts", "Start"]);
    assert_eq!(names(&scene.converge(Goal::Absent)), ["Stop", "Remove", "HoldPorts"]);
}

#[test]
fn a_guest_that_was_left_frozen_is_thawed_while_it_runs_and_keeps_nothing_waiting() {
    let mut scene = virtual_scene();
    scene.converge(Goal::Present);
    scene.machine().left_frozen = true;
    scene.machine().state = MachineState::Paused;
    assert_eq!(names(&scene.plan(Goal::Present).steps), ["Unpause"], "frozen as a whole, it hears nothing");
    assert_eq!(names(&scene.converge(Goal::Present)), ["Unpause", "Thaw"]);
    assert_eq!(scene.ready(), ("True", "Running"));

    scene.machine().left_frozen = true;
    let Target::Ready(before) = scene.observed.size else { panic!("it has a size") };
    scene.observed.size = Target::Ready(Resources { cpu_millis: 3000, ..before });
    assert_eq!(names(&scene.plan(Goal::Present).steps), ["Resize", "Thaw"]);
    assert_eq!(names(&scene.plan(Goal::Absent).steps), ["Stop", "Remove"]);
}
