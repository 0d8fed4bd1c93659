//! The adapter on a real Docker daemon: first what every adapter promises, then what is Docker's own. Each test is an
//! installation of its own and takes down what it made; without a daemon each says loudly that it was skipped.

mod connection;
mod daemon;
mod environment;
mod firewall;
mod image;
mod machine_snapshots;
mod machines;
mod names;
mod snapshots;
mod standing;
mod timing;
mod volumes;

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
        strangers_are_not_touched, list_sees_every_state, exit_code_is_told, machine_is_paused_and_unpaused, usage_is_told_while_it_runs,
        machine_is_resized_in_place, renamed_machine_gets_its_name_back,
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
    machine_snapshots: machine_snapshot_is_taken_once_and_outlives_its_machine,
        machine_is_made_from_a_snapshot_and_holds_it, snapshot_of_a_missing_machine_is_not_found,
        snapshot_is_no_image_that_a_user_could_name, retained_machine_snapshot_is_kept_and_told_of,
        retained_machine_snapshot_is_adopted_or_purged, adopted_machine_snapshot_keeps_the_machines_made_from_it;
    files: file_sets_come_and_go, sets_that_are_wanted_no_more_go, sets_that_are_refreshed_are_those_that_are_there,
        paths_that_leave_the_set_are_refused,
        empty_directories_leave_nothing_behind;
    consoles: logs_tell_what_was_written, previous_logs_are_kept_apart, command_output_and_exit_code_are_told,
        command_reads_its_input, command_needs_a_running_machine;
    events: events_tell_what_happens_to_machines, events_tell_of_removed_networks, engine_is_identified,
        images_are_found;
}
