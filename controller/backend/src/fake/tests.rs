//! The fake engine keeps the promises of the ports, and its faults strike as told.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use uuid::Uuid;

use super::*;
use crate::conformance::{self, Fixture, Hand};
use crate::{Algorithm, Checksum, MachineId, MachineState};

struct ByHand(FakeEngine);

#[async_trait]
impl Hand for ByHand {
    async fn kill(&self, id: &MachineId) {
        self.0.by_hand(|world| world.end(id, 137, false));
    }

    async fn remove(&self, id: &MachineId) {
        self.0.by_hand(|world| world.discard(id));
    }

    async fn rename(&self, id: &MachineId, name: &str) {
        self.0.by_hand(|world| world.rename(id, name)).expect("the name is free");
    }

    async fn disconnect(&self, id: &MachineId) {
        self.0.by_hand(|world| world.leave(id));
    }

    async fn take_room(&self, id: &MachineId) {
        self.0.by_hand(|world| world.give_room(id, false));
    }

    async fn give_room(&self, id: &MachineId) {
        self.0.by_hand(|world| world.give_room(id, true));
    }
}

fn fixture() -> (FakeEngine, Fixture) {
    let engine = FakeEngine::new();
    engine.add_image("busybox:1", Program::Runs);
    engine.add_disk_file("disk.qcow2", 64 << 20);
    let (url, checksum) = ("https://images.example/disk.qcow2", Checksum::new(Algorithm::Sha256, &[7; 32]));
    engine.add_disk_url(url, checksum.clone(), 64 << 20);
    let installation = Uuid::from_u128(0xabcd_ef01 << 96);
    let stranger_installation = Uuid::from_u128(0x1234_5678 << 96);
    let fixture = Fixture {
        backend: engine.backend(installation),
        installation,
        stranger: engine.backend(stranger_installation),
        stranger_installation,
        image: "busybox:1".to_owned(),
        range: "10.130.0.0/24".parse().expect("a range"),
        port: 8080,
        disk_file: "disk.qcow2".to_owned(),
        disk_url: Some((url.to_owned(), checksum)),
        traits: conformance::Traits::default(),
        hand: Arc::new(ByHand(engine.clone())),
    };
    (engine, fixture)
}

macro_rules! conforms {
    ($($module:ident: $($function:ident),+;)+) => {
        $($(
            #[tokio::test(start_paused = true)]
            async fn $function() {
                conformance::$module::$function(&fixture().1).await;
            }
        )+)+
    };
}

conforms! {
    mounting: device_is_plugged_in_and_out_while_it_runs, device_grows_under_a_machine,
        directories_change_at_the_next_start, what_cannot_be_mounted_is_named,
        processors_change_while_it_runs;
    memory: memory_grows_while_it_runs, room_for_memory_comes_at_the_next_start;
    machines: machine_goes_through_its_life, machine_is_not_made_twice, missing_needs_are_named,
        strangers_are_not_touched, list_sees_every_state, exit_code_is_told, machine_is_paused_and_unpaused, usage_is_told_while_it_runs,
        machine_is_resized_in_place, machine_without_room_stands_still_until_there_is, renamed_machine_gets_its_name_back,
        security_context_is_told,
        name_that_another_has_is_left_to_it, disconnected_machine_is_put_back, taken_port_is_named, taken_address_is_named,
        replacement_takes_over_name_address_and_port;
    networks: network_is_made_once_and_removed, network_asked_for_at_once_is_made_once,
        different_network_is_a_conflict, overlapping_network_is_refused, occupied_ranges_tell_of_networks,
        network_in_use_is_not_removed;
    volumes: volume_is_made_once_and_removed, volume_grows_and_never_shrinks, tiny_volume_is_refused,
        volume_in_use_is_kept, retained_volume_is_kept_and_told_of, retained_volume_is_adopted_once,
        retained_volume_is_handed_over_and_purged, block_volume_stays_one, block_volume_in_use_is_kept_and_grows;
    snapshots: snapshot_is_taken_once_and_outlives_its_volume, volume_is_made_from_snapshot_or_volume,
        missing_source_is_named, retained_snapshot_is_kept_and_told_of,
        retained_snapshot_is_adopted_or_purged;
    files: file_sets_come_and_go, sets_that_are_wanted_no_more_go, sets_that_are_refreshed_are_those_that_are_there,
        paths_that_leave_the_set_are_refused, empty_directories_leave_nothing_behind;
    machine_snapshots: machine_snapshot_is_taken_once_and_outlives_its_machine,
        machine_is_made_from_a_snapshot_and_holds_it, snapshot_of_a_missing_machine_is_not_found,
        snapshot_is_no_image_that_a_user_could_name, image_is_made_from_a_snapshot_and_outlives_it,
        retained_machine_snapshot_is_kept_and_told_of, retained_machine_snapshot_is_adopted_or_purged,
        adopted_machine_snapshot_keeps_the_machines_made_from_it;
    disk_images: image_is_imported_once_and_removed, missing_and_outside_sources_are_refused, image_is_downloaded,
        wrong_and_missing_downloads_are_refused, image_that_is_too_large_is_refused, image_in_use_is_kept;
    consoles: logs_tell_what_was_written, previous_logs_are_kept_apart, command_output_and_exit_code_are_told,
        command_reads_its_input, command_needs_a_running_machine;
    events: events_tell_what_happens_to_machines, events_tell_of_removed_networks, engine_is_identified,
        images_are_found;
}

#[tokio::test]
async fn lost_answer_takes_effect_and_strikes_once() {
    let (engine, fixture) = fixture();
    let spec = fixture.machine("web", 2);
    engine.fail_nth(Operation::CreateMachine, 1, FaultKind::LostAnswer);
    assert!(fixture.backend.machines.create(&spec).await.expect_err("the answer is lost").is_unavailable());
    assert_eq!(fixture.only(spec.owner.uid).await.state, MachineState::Created);
    let other = fixture.machine("other", 3);
    fixture.backend.machines.create(&other).await.expect("the fault is spent");
    assert_eq!(engine.calls()[&Operation::CreateMachine], 2);
}

#[tokio::test]
async fn failure_has_no_effect_and_lasts_until_cleared() {
    let (engine, fixture) = fixture();
    let spec = fixture.machine("web", 2);
    engine.fail_always(Operation::CreateMachine, FaultKind::Fail);
    for _ in 0..3 {
        fixture.backend.machines.create(&spec).await.expect_err("it fails");
    }
    assert!(fixture.backend.machines.list().await.expect("list").is_empty());
    engine.clear_faults();
    fixture.backend.machines.create(&spec).await.expect("it works again");
}

#[tokio::test]
async fn nth_change_counts_every_sort_of_change() {
    let (engine, fixture) = fixture();
    engine.lose_answer_of_nth_change(2);
    let id = fixture.backend.machines.create(&fixture.machine("web", 2)).await.expect("the first change");
    fixture.backend.machines.list().await.expect("looking is no change");
    fixture.backend.machines.start(&id).await.expect_err("the second change");
    assert_eq!(engine.running(), 1);
}

#[tokio::test]
async fn engine_that_is_down_answers_nothing_and_comes_back_with_a_resync() {
    let (engine, fixture) = fixture();
    let spec = fixture.machine("web", 2);
    fixture.start(&spec).await;
    let mut events = fixture.backend.events.watch();
    assert_eq!(events.next().await, Some(Event::Resync));
    engine.go_down();
    assert!(fixture.backend.machines.list().await.expect_err("down").is_unavailable());
    engine.crash(spec.owner.uid, 1);
    engine.come_up();
    assert_eq!(events.next().await, Some(Event::Resync), "the crash was not told, but that something was missed");
    assert!(matches!(fixture.only(spec.owner.uid).await.state, MachineState::Exited(_)));
}

#[tokio::test]
async fn reboot_needs_volumes_and_files_made_ready_again() {
    let (engine, fixture) = fixture();
    let volume = fixture.volume("data", 2);
    fixture.backend.volumes.ensure(&volume).await.expect("ensure");
    let mut spec = fixture.machine("web", 3);
    spec.mounts = vec![crate::Mount {
        path: "/data".to_owned(),
        read_only: false,
        source: crate::MountSource::Volume(volume.owner.uid),
    }];
    let id = fixture.start(&spec).await;
    let data = engine.volume_incarnation(fixture.installation, volume.owner.uid);
    engine.reboot();
    assert!(fixture.backend.machines.start(&id).await.expect_err("it is not mounted").is_not_found());
    fixture.backend.volumes.ensure(&volume).await.expect("ensure");
    fixture.backend.machines.start(&id).await.expect("start");
    assert_eq!(engine.volume_incarnation(fixture.installation, volume.owner.uid), data, "the data is the same");
}

#[tokio::test]
async fn state_names_objects_and_nothing_that_differs_by_chance() {
    let (engine, fixture) = fixture();
    let mut spec = fixture.networked("web", 2, 10).await;
    spec.ports = vec![fixture.published()];
    fixture.start(&spec).await;
    assert_eq!(
        engine.state(fixture.installation),
        "machine Instance/conformance/web running image=sha256:busybox:1 hash=first cpu=250 memory=33554432 \
         address=10.130.0.10 network=Vpc/conformance/main TCP 127.0.0.1:8080->80\n\
         network Vpc/conformance/main 10.130.0.0/24 gateway=10.130.0.1 internal=false\n"
    );
    assert_eq!(engine.state(fixture.stranger_installation), "");
}

#[tokio::test]
async fn thousand_machines_are_looked_at_quickly() {
    let (_, fixture) = fixture();
    for number in 2..1002 {
        fixture.start(&fixture.machine("many", number)).await;
    }
    let started = std::time::Instant::now();
    for number in 2..1002 {
        fixture.only(fixture.owner("Instance", "many", number).uid).await;
    }
    // A thousandth of that is measured; the bound only catches a scan over all of them.
    assert!(started.elapsed() < std::time::Duration::from_secs(2), "took {:?}", started.elapsed());
}
