//! What becomes of a guest that writes where the host's disk is full.

use controller_backend::conformance::{self, machines::WRITER};
use controller_backend::{FirstBoot, MachineSpec};

use crate::{daemon, guest};

#[tokio::test]
async fn machine_without_room_stands_still_until_there_is() {
    daemon::run_with_little_room(async |world| {
        conformance::machines::machine_without_room_stands_still_until_there_is(&world.fixture).await;
    })
    .await;
}

#[tokio::test]
async fn guest_never_hears_of_a_full_disk() {
    daemon::run_with_little_room(async |world| {
        let fixture = &world.fixture;
        let script = format!("{WRITER}\n(sleep 5; dmesg | grep -i ' error' > /dev/ttyS0; echo told > /dev/ttyS0) &\n");
        let first_boot = FirstBoot { user_data: Some(script), ..FirstBoot::default() };
        let spec = MachineSpec { first_boot: Some(first_boot), ..fixture.machine("writer", 2) };
        let id = fixture.start(&spec).await;
        fixture.hand.take_room(&id).await;
        fixture.wait_long_for(spec.owner.uid, "standing still", |machine| machine.stall.is_some()).await;
        fixture.hand.give_room(&id).await;
        fixture.backend.machines.unpause(&id).await.expect("there is room");
        let text = guest::until_written(fixture, &id, "told").await;
        assert!(text.contains("records out") && !text.contains(" error"), "{text}");
    })
    .await;
}
