//! The adapter on a real libvirt: first what every adapter promises of machines that have a disk of their own, then what
//! is libvirt's own. Each test is an installation of its own and takes down what it made; without libvirt, Docker (whose
//! networks the machines join) or the test image each says loudly that it was skipped.
#![cfg(feature = "libvirt")]

mod connection;
mod daemon;
mod full_disk;
mod guest;
mod machine_snapshots;

use controller_backend::conformance;

macro_rules! conforms {
    ($($module:ident: $($function:ident),+;)+) => {
        $($(
            #[tokio::test]
            async fn $function() {
                daemon::run(async |fixture| conformance::$module::$function(fixture).await).await;
            }
        )+)+
    };
}

conforms! {
    machines: machine_goes_through_its_life, machine_is_not_made_twice, missing_needs_are_named,
        strangers_are_not_touched, list_sees_every_state, machine_is_paused_and_unpaused, usage_is_told_while_it_runs, taken_address_is_named,
        disconnected_machine_is_put_back, renamed_machine_gets_its_name_back, name_that_another_has_is_left_to_it, replacement_takes_over_name_address_and_port;
    machine_snapshots: machine_snapshot_is_taken_once_and_outlives_its_machine,
        machine_is_made_from_a_snapshot_and_holds_it, snapshot_of_a_missing_machine_is_not_found,
        snapshot_is_no_image_that_a_user_could_name, image_is_made_from_a_snapshot_and_outlives_it,
        retained_machine_snapshot_is_kept_and_told_of, retained_machine_snapshot_is_adopted_or_purged,
        adopted_machine_snapshot_keeps_the_machines_made_from_it;
    disk_images: image_is_imported_once_and_removed, missing_and_outside_sources_are_refused, image_is_downloaded,
        wrong_and_missing_downloads_are_refused, image_that_is_too_large_is_refused, image_in_use_is_kept;
    mounting: device_is_plugged_in_and_out_while_it_runs, device_grows_under_a_machine,
        directories_change_at_the_next_start, what_cannot_be_mounted_is_named,
        processors_change_while_it_runs;
    memory: memory_grows_while_it_runs, room_for_memory_comes_at_the_next_start;
    events: events_tell_what_happens_to_machines, engine_is_identified, images_are_found;
}
