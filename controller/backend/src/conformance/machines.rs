//! What every adapter promises about machines.

use std::time::Duration;

use super::Fixture;
use crate::{
    ALL, Attachment, Conflict, Error, FirstBoot, MachineId, MachineSpec, MachineState, Mount, MountSource,
    PublishedPort, Resources, SecurityContext, Stall, StallCause,
};

fn is_exited(state: &MachineState) -> bool {
    matches!(state, MachineState::Exited(_))
}

/// A machine is made stopped, starts, stops when asked, starts again, and keeps its address and ports throughout.
pub async fn machine_goes_through_its_life(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let spec = MachineSpec { ports: fixture.ports(), ..fixture.networked("web", 2, 10).await };
    let uid = spec.owner.uid;
    assert!(machines.find(uid).await.expect("find").is_empty());

    let id = machines.create(&spec).await.expect("create");
    let made = fixture.only(uid).await;
    assert_eq!(made.id, id);
    assert_eq!(made.state, MachineState::Created);
    assert_eq!(made.started_at, None);
    let attachment = Attachment { network: fixture.network().owner.uid, address: fixture.address(10) };
    let ports: Vec<PublishedPort> = fixture
        .ports()
        .into_iter()
        .map(|port| PublishedPort { port: port.port, protocol: port.protocol, publish: fixture.publish() })
        .collect();
    assert_eq!(
        (&made.owner, &made.name, &made.spec_hash, made.resources, made.attachment, made.published.as_slice()),
        (&spec.owner, &spec.name, &spec.spec_hash, spec.resources, Some(attachment), ports.as_slice()),
    );

    machines.start(&id).await.expect("start");
    machines.start(&id).await.expect("starting again changes nothing");
    let running = fixture.only(uid).await;
    assert_eq!(running.state, MachineState::Running);
    assert!(running.started_at.is_some_and(|at| at >= running.created_at));
    assert_eq!((running.attachment, running.published.as_slice()), (Some(attachment), ports.as_slice()));

    machines.stop(&id, fixture.traits.grace).await.expect("stop");
    machines.stop(&id, fixture.traits.grace).await.expect("stopping again changes nothing");
    let stopped = fixture.only(uid).await;
    let MachineState::Exited(exit) = &stopped.state else { panic!("stopped, but {:?}", stopped.state) };
    assert_eq!(
        (exit.code, exit.out_of_memory),
        (fixture.traits.polite_exit, false),
        "it heard that it was asked to stop"
    );
    assert_eq!((stopped.attachment, stopped.published.as_slice()), (Some(attachment), ports.as_slice()));

    machines.start(&id).await.expect("start again");
    assert_eq!(fixture.only(uid).await.state, MachineState::Running);
    machines.stop(&id, Duration::ZERO).await.expect("stop hard");
    assert!(is_exited(&fixture.only(uid).await.state));

    machines.remove(&id).await.expect("remove");
    machines.remove(&id).await.expect("removing again changes nothing");
    assert!(machines.find(uid).await.expect("find").is_empty());
}

/// `create` fails if the machine exists, and leaves the first one alone.
pub async fn machine_is_not_made_twice(fixture: &Fixture) {
    let spec = fixture.machine("twin", 2);
    let id = fixture.backend.machines.create(&spec).await.expect("create");
    let error = fixture.backend.machines.create(&spec).await.expect_err("the second is refused");
    assert_eq!(error.as_conflict(), Some(&Conflict::NameTaken { name: spec.name.clone() }), "{error:?}");
    assert_eq!(fixture.only(spec.owner.uid).await.id, id);
}

/// What a machine needs and is not there is named.
pub async fn missing_needs_are_named(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let missing = |error: Error| match error {
        Error::NotFound { what } => what,
        other => panic!("expected NotFound, got {other:?}"),
    };
    let spec = MachineSpec { image: "thecloud.dev/nothing:0".to_owned(), ..fixture.machine("imageless", 2) };
    let what = missing(machines.create(&spec).await.expect_err("no image"));
    assert!(what.contains("image") && what.contains("thecloud.dev/nothing:0"), "{what}");

    let volume = fixture.volume("nowhere", 9).owner.uid;
    let mount = Mount { path: "/data".to_owned(), read_only: false, source: MountSource::Volume(volume) };
    let spec = MachineSpec { mounts: vec![mount], ..fixture.machine("diskless", 3) };
    let what = missing(machines.create(&spec).await.expect_err("no volume"));
    assert!(what.contains("volume") && what.contains(&volume.to_string()), "{what}");

    let mut spec = fixture.networked("islander", 4, 10).await;
    fixture.backend.networks.remove(fixture.network().owner.uid).await.expect("remove");
    let what = missing(machines.create(&spec).await.expect_err("no network"));
    assert!(what.contains("network"), "{what}");

    spec.network = None;
    let source = MountSource::Files("settings".to_owned());
    spec.mounts = vec![Mount { path: "/etc/settings".to_owned(), read_only: true, source }];
    let what = missing(machines.create(&spec).await.expect_err("no file set"));
    assert!(what.contains("settings"), "{what}");

    let absent = MachineId("0000000000000000".to_owned());
    assert!(machines.start(&absent).await.expect_err("no machine").is_not_found());
    assert!(machines.stop(&absent, Duration::ZERO).await.expect_err("no machine").is_not_found());
    assert!(machines.list().await.expect("list").is_empty(), "nothing is left half made");
}

/// Another installation's machines are neither seen nor touched.
pub async fn strangers_are_not_touched(fixture: &Fixture) {
    let spec = fixture.networked("mine", 2, 10).await;
    let id = fixture.start(&spec).await;
    let stranger = &fixture.stranger;
    assert!(stranger.machines.list().await.expect("list").is_empty());
    assert!(stranger.machines.find(spec.owner.uid).await.expect("find").is_empty());
    stranger.machines.remove(&id).await.expect("what is not ours is not there");
    assert!(stranger.machines.stop(&id, Duration::ZERO).await.expect_err("not ours").is_not_found());
    assert!(stranger.machines.start(&id).await.expect_err("not ours").is_not_found());
    assert!(stranger.machines.pause(&id).await.expect_err("not ours").is_not_found());
    assert!(stranger.machines.resize(&id, spec.resources).await.expect_err("not ours").is_not_found());
    assert!(stranger.networks.list().await.expect("list").is_empty());
    assert_eq!(stranger.networks.find(fixture.network().owner.uid).await.expect("find"), None);
    stranger.networks.remove(fixture.network().owner.uid).await.expect("what is not ours is not there");
    assert_eq!(fixture.only(spec.owner.uid).await.state, MachineState::Running);
    assert!(fixture.backend.networks.find(fixture.network().owner.uid).await.expect("find").is_some());
}

/// `list` tells of all machines in whatever state, as `find` would.
pub async fn list_sees_every_state(fixture: &Fixture) {
    let running = fixture.networked("runs", 2, 10).await;
    let made = fixture.machine("made", 3);
    let ended = fixture.machine("ended", 4);
    fixture.start(&running).await;
    fixture.backend.machines.create(&made).await.expect("create");
    let id = fixture.start(&ended).await;
    fixture.hand.kill(&id).await;
    fixture.wait_for(ended.owner.uid, "exited", is_exited).await;

    let mut expected = Vec::new();
    for spec in [&running, &made, &ended] {
        expected.push(fixture.only(spec.owner.uid).await.summary());
    }
    expected.sort_by(|left, right| left.id.cmp(&right.id));
    assert_eq!(fixture.backend.machines.list().await.expect("list"), expected);
}

/// The exit code of a machine that ended by itself is told, and it stays ended.
pub async fn exit_code_is_told(fixture: &Fixture) {
    let spec = fixture.script("fails", 2, "exit 7");
    fixture.start(&spec).await;
    let machine = fixture.wait_for(spec.owner.uid, "exited", is_exited).await;
    let MachineState::Exited(exit) = &machine.state else { panic!("exited, but {:?}", machine.state) };
    assert_eq!((exit.code, exit.out_of_memory), (7, false));
    assert!(machine.started_at.is_some_and(|started| exit.finished_at >= started));
}

/// A machine can be frozen and thawed, and frozen only while it runs.
pub async fn machine_is_paused_and_unpaused(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let spec = fixture.machine("sleeper", 2);
    let id = machines.create(&spec).await.expect("create");
    let error = machines.pause(&id).await.expect_err("it does not run");
    assert!(matches!(error.as_conflict(), Some(Conflict::State { .. })), "{error:?}");
    machines.start(&id).await.expect("start");
    machines.pause(&id).await.expect("pause");
    machines.pause(&id).await.expect("pausing again changes nothing");
    assert_eq!(fixture.only(spec.owner.uid).await.state, MachineState::Paused);
    machines.unpause(&id).await.expect("unpause");
    machines.unpause(&id).await.expect("unpausing again changes nothing");
    assert_eq!(fixture.only(spec.owner.uid).await.state, MachineState::Running);
    machines.pause(&id).await.expect("pause");
    machines.remove(&id).await.expect("a frozen machine can be removed");
    assert!(machines.find(spec.owner.uid).await.expect("find").is_empty());
}

/// A guest that writes more and more, and that nothing ever tells to stop.
pub const WRITER: &str = r#"#!/bin/sh
setsid sh -c 'while :; do
    number=$((number + 1))
    dd if=/dev/urandom of=/written-$((number % 300)) bs=64k count=1 conv=fsync
    sleep 0.1
done' < /dev/null > /dev/null 2> /dev/ttyS0 &
"#;

/// A machine that writes to a disk of its own for which the host has no room stands still and says why, unlike one that
/// somebody froze. It goes on when there is room, and can be stopped and removed while there is none.
pub async fn machine_without_room_stands_still_until_there_is(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let first_boot = FirstBoot { user_data: Some(WRITER.to_owned()), ..FirstBoot::default() };
    let spec = MachineSpec { first_boot: Some(first_boot), ..fixture.machine("writer", 2) };
    let owner = spec.owner.uid;
    let id = fixture.start(&spec).await;
    assert_eq!(fixture.only(owner).await.stall, None);
    fixture.hand.take_room(&id).await;
    let stall = Stall { cause: StallCause::NoRoom, volume: None };
    // It may have to boot before it writes.
    let stalled = fixture.wait_long_for(owner, "standing still", |machine| machine.stall.is_some()).await;
    assert_eq!((&stalled.state, stalled.stall), (&MachineState::Paused, Some(stall)));
    let error = machines.unpause(&id).await.expect_err("there is no room yet");
    assert_eq!(error.as_conflict(), Some(&Conflict::Stalled { stall }), "{error:?}");
    machines.pause(&id).await.expect("it is frozen already");
    assert_eq!(fixture.only(owner).await.stall, Some(stall));

    fixture.hand.give_room(&id).await;
    machines.unpause(&id).await.expect("there is room");
    let running = fixture.only(owner).await;
    assert_eq!((&running.state, running.stall), (&MachineState::Running, None));
    assert_eq!(running.started_at, stalled.started_at, "it goes on as it was");
    machines.pause(&id).await.expect("pause");
    let frozen = fixture.only(owner).await;
    assert_eq!((&frozen.state, frozen.stall), (&MachineState::Paused, None), "somebody froze it");
    machines.unpause(&id).await.expect("unpause");

    fixture.hand.take_room(&id).await;
    fixture.wait_long_for(owner, "standing still", |machine| machine.stall.is_some()).await;
    machines.stop(&id, Duration::from_secs(1)).await.expect("stop");
    let stopped = fixture.only(owner).await;
    assert!(is_exited(&stopped.state) && stopped.stall.is_none(), "{stopped:?}");
    machines.remove(&id).await.expect("remove");
}

/// What somebody renamed is still the same machine, and gets its name back, running or not.
pub async fn renamed_machine_gets_its_name_back(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let spec = fixture.networked("renamed", 2, 10).await;
    let id = machines.create(&spec).await.expect("create");
    let others = format!("{}-mine", spec.name);
    fixture.hand.rename(&id, &others).await;
    let found = fixture.only(spec.owner.uid).await;
    assert_eq!((&found.id, &found.name), (&id, &others), "it is known whatever its name");
    assert_eq!(machines.list().await.expect("list"), [found.summary()]);
    for _ in 0..2 {
        machines.restore(&id, &spec.name, spec.network.as_ref()).await.expect("restore");
        let restored = fixture.only(spec.owner.uid).await;
        assert_eq!((&restored.id, &restored.name), (&id, &spec.name));
    }
    if fixture.traits.renames_what_runs {
        machines.start(&id).await.expect("start");
        fixture.hand.rename(&id, &others).await;
        machines.restore(&id, &spec.name, spec.network.as_ref()).await.expect("restore");
        let restored = fixture.only(spec.owner.uid).await;
        assert_eq!((&restored.name, &restored.state), (&spec.name, &MachineState::Running));
    }
}

/// A name that another has by now is not taken from it.
pub async fn name_that_another_has_is_left_to_it(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let spec = fixture.networked("renamed", 2, 10).await;
    let id = machines.create(&spec).await.expect("create");
    fixture.hand.rename(&id, &format!("{}-mine", spec.name)).await;
    let successor = machines.create(&spec).await.expect("the name is free");
    let error = machines.restore(&id, &spec.name, None).await.expect_err("the name is taken");
    assert_eq!(error.as_conflict(), Some(&Conflict::NameTaken { name: spec.name.clone() }), "{error:?}");
    let found: Vec<MachineId> =
        machines.find(spec.owner.uid).await.expect("find").into_iter().map(|it| it.id).collect();
    assert_eq!(found, [id, successor], "both are known");
}

/// What somebody took out of its network is put back at its address, running or not.
pub async fn disconnected_machine_is_put_back(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let spec = MachineSpec { ports: fixture.ports(), ..fixture.networked("loner", 2, 10).await };
    let id = fixture.start(&spec).await;
    let before = fixture.only(spec.owner.uid).await;
    fixture.hand.disconnect(&id).await;
    assert_eq!(fixture.only(spec.owner.uid).await.attachment, None);
    for _ in 0..2 {
        machines.restore(&id, &spec.name, spec.network.as_ref()).await.expect("restore");
        assert_eq!(fixture.only(spec.owner.uid).await, before, "as it was");
    }
    if fixture.traits.renames_what_runs {
        // Under another name, it is known all the same.
        fixture.hand.disconnect(&id).await;
        fixture.hand.rename(&id, &format!("{}-mine", spec.name)).await;
        assert_eq!(fixture.only(spec.owner.uid).await.id, id);
        machines.restore(&id, &spec.name, spec.network.as_ref()).await.expect("restore");
        assert_eq!(fixture.only(spec.owner.uid).await, before, "as it was");
    }
    machines.stop(&id, Duration::ZERO).await.expect("stop");
    fixture.hand.disconnect(&id).await;
    machines.restore(&id, &spec.name, spec.network.as_ref()).await.expect("restore");
    machines.start(&id).await.expect("start");
    assert_eq!(fixture.only(spec.owner.uid).await.attachment, before.attachment);
}

/// Cpu and memory change in place, while it runs and while it does not.
pub async fn machine_is_resized_in_place(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let spec = fixture.machine("grower", 2);
    let id = machines.create(&spec).await.expect("create");
    let steps = [
        Resources { cpu_millis: 500, memory_bytes: 96 << 20, max_memory_bytes: None },
        Resources { cpu_millis: 100, memory_bytes: 24 << 20, max_memory_bytes: None },
        // More than there is: a limit may lie above what the host has.
        Resources { cpu_millis: 512_000, memory_bytes: 128 << 20, max_memory_bytes: None },
    ];
    machines.resize(&id, steps[0]).await.expect("resize before the start");
    assert_eq!(fixture.only(spec.owner.uid).await.resources, steps[0]);
    machines.start(&id).await.expect("start");
    for step in [steps[1], steps[2]] {
        machines.resize(&id, step).await.expect("resize");
        let machine = fixture.only(spec.owner.uid).await;
        assert_eq!((machine.resources, &machine.state, &machine.id), (step, &MachineState::Running, &id));
    }
}

/// What a machine may do that others may not is told as long as it exists.
pub async fn security_context_is_told(fixture: &Fixture) {
    let security = SecurityContext {
        add: ["NET_ADMIN".to_owned()].into(),
        drop: [ALL.to_owned()].into(),
        devices: ["/dev/zero".to_owned()].into(),
        process_limit: 32,
    };
    let spec = MachineSpec { security: security.clone(), ..fixture.machine("router", 2) };
    fixture.start(&spec).await;
    assert_eq!(fixture.only(spec.owner.uid).await.security, security);
    let plain = MachineSpec { security: SecurityContext::default(), ..fixture.machine("plain", 3) };
    fixture.start(&plain).await;
    assert_eq!(fixture.only(plain.owner.uid).await.security, SecurityContext::default());
}

/// What a machine uses is told while it runs, and only then.
pub async fn usage_is_told_while_it_runs(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let spec = fixture.machine("worker", 2);
    let id = machines.create(&spec).await.expect("create");
    let refused = async || {
        let error = machines.usage(&id).await.expect_err("it does not run");
        assert!(matches!(error.as_conflict(), Some(Conflict::State { .. })), "{error:?}");
    };
    refused().await;
    machines.start(&id).await.expect("start");
    let first = machines.usage(&id).await.expect("usage");
    let second = machines.usage(&id).await.expect("usage");
    assert!(second.at >= first.at && second.cpu >= first.cpu, "{first:?}, then {second:?}");
    assert!(second.memory_bytes > 0, "{second:?}");
    machines.stop(&id, Duration::ZERO).await.expect("stop");
    refused().await;
}

/// A port that is taken is a conflict that names it; the machine stays as it was and starts when the port is free.
pub async fn taken_port_is_named(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let first = MachineSpec { ports: vec![fixture.published()], ..fixture.networked("first", 2, 10).await };
    let second = MachineSpec { ports: vec![fixture.published()], ..fixture.networked("second", 3, 11).await };
    let holder = fixture.start(&first).await;
    let id = machines.create(&second).await.expect("making it takes no port");
    let publish = fixture.publish();
    let taken = Conflict::PortTaken { address: publish.address, port: publish.port, protocol: crate::Protocol::Tcp };
    for _ in 0..2 {
        let error = machines.start(&id).await.expect_err("the port is taken");
        assert_eq!(error.as_conflict(), Some(&taken), "{error:?}");
        let machine = fixture.only(second.owner.uid).await;
        assert_eq!((&machine.id, &machine.state), (&id, &MachineState::Created));
    }
    assert_eq!(fixture.only(first.owner.uid).await.state, MachineState::Running);
    machines.remove(&holder).await.expect("remove");
    machines.start(&id).await.expect("the port is free");
    assert_eq!(fixture.only(second.owner.uid).await.state, MachineState::Running);
}

/// Two machines do not have one address at a time.
pub async fn taken_address_is_named(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let first = fixture.networked("first", 2, 10).await;
    let second = fixture.networked("second", 3, 10).await;
    let holder = fixture.start(&first).await;
    let id = machines.create(&second).await.expect("making it takes no address");
    let error = machines.start(&id).await.expect_err("the address is taken");
    assert_eq!(error.as_conflict(), Some(&Conflict::AddressTaken { address: fixture.address(10) }), "{error:?}");
    machines.remove(&holder).await.expect("remove");
    machines.start(&id).await.expect("the address is free");
}

/// A machine that is replaced takes the name, address and port of the one before.
pub async fn replacement_takes_over_name_address_and_port(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let spec = MachineSpec { ports: fixture.ports(), ..fixture.networked("phoenix", 2, 10).await };
    let old = fixture.start(&spec).await;
    machines.stop(&old, Duration::ZERO).await.expect("stop");
    machines.remove(&old).await.expect("remove");
    let spec = MachineSpec { spec_hash: "second".to_owned(), ..spec };
    let new = fixture.start(&spec).await;
    assert_ne!(old, new);
    let machine = fixture.only(spec.owner.uid).await;
    assert_eq!(machine.spec_hash, "second");
    assert_eq!(machine.attachment.map(|attachment| attachment.address), Some(fixture.address(10)));
}
