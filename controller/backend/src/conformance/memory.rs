//! What an adapter promises whose machines have memory of their own.

use std::time::Duration;

use futures::StreamExt;

use super::Fixture;
use crate::{Conflict, Event, FirstBoot, Happening, MachineSpec, Resources};

const MEBIBYTE: u64 = 1 << 20;
/// A guest whose memory can grow needs some to begin with: Linux sets 64 MiB aside.
const LEAST: u64 = 192 * MEBIBYTE;

/// Where it has room, more memory is the guest's while it runs, and an event tells that it took it. What it has stays its
/// own until the next start, at which it begins with all of it.
pub async fn memory_grows_while_it_runs(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let at_rest = Resources { memory_bytes: LEAST, ..fixture.traits.smallest };
    let begun_with = Resources { max_memory_bytes: Some(LEAST + 512 * MEBIBYTE), ..at_rest };
    let spec = fixture.machine("grower", 2);
    let spec = MachineSpec { resources: begun_with, first_boot: Some(FirstBoot::default()), ..spec };
    let owner = spec.owner.uid;
    let mut events = fixture.backend.events.watch();
    assert_eq!(events.next().await, Some(Event::Resync));
    let id = fixture.start(&spec).await;
    let before = fixture.only(owner).await;
    let memory = before.memory.expect("it has memory of its own");
    assert_eq!((before.resources, memory.taken_bytes), (begun_with, LEAST));
    assert!(memory.most_bytes >= LEAST + 512 * MEBIBYTE, "{memory:?}");

    // An odd amount is rounded up.
    for memory_bytes in [LEAST + 128 * MEBIBYTE, LEAST + 201 * MEBIBYTE + 1] {
        let more = Resources { memory_bytes, ..begun_with };
        assert!(fixture.only(owner).await.resizes_running(more));
        machines.resize(&id, more).await.expect("resize");
        machines.resize(&id, more).await.expect("resizing it again changes nothing");
        let given = fixture.only(owner).await;
        assert_eq!((given.resources, given.started_at), (more, before.started_at));
        let taken = fixture.wait_long_for(owner, "the guest to take it", |machine| !machine.lacks_memory()).await;
        let taken = taken.memory.expect("as before").taken_bytes;
        assert!((memory_bytes..memory_bytes + 4 * MEBIBYTE).contains(&taken), "{taken} of {memory_bytes}");
        let told = async {
            let wanted = Event::Changed { owner: spec.owner.clone(), happening: Happening::MemoryTaken };
            while events.next().await.expect("events go on") != wanted {}
        };
        tokio::time::timeout(Duration::from_secs(20), told).await.expect("an event tells of it");
    }

    let running = fixture.only(owner).await;
    let has = running.resources;
    for other in [
        Resources { memory_bytes: LEAST, ..has },
        Resources { memory_bytes: 2 * memory.most_bytes, ..has },
        Resources { max_memory_bytes: None, ..has },
    ] {
        assert!(!running.resizes_running(other), "{other:?}");
        let error = machines.resize(&id, other).await.expect_err("it runs");
        assert!(matches!(error.as_conflict(), Some(Conflict::State { .. })), "{error:?}");
        assert_eq!(fixture.only(owner).await.resources, has);
    }

    machines.stop(&id, Duration::ZERO).await.expect("stop");
    machines.start(&id).await.expect("start");
    let again = fixture.only(owner).await;
    assert_eq!((again.resources, again.lacks_memory()), (has, false), "it begins with all of it");
    machines.stop(&id, Duration::ZERO).await.expect("stop");
    machines.resize(&id, at_rest).await.expect("resize");
    machines.start(&id).await.expect("start");
    let small = fixture.only(owner).await;
    let memory = small.memory.expect("as before");
    assert_eq!((small.resources, memory.taken_bytes, memory.most_bytes), (at_rest, LEAST, LEAST));
    let more = Resources { memory_bytes: 2 * LEAST, ..small.resources };
    assert!(!small.resizes_running(more), "it has no room any more");
}

/// A machine that was made without room for more memory gets some at its next start.
pub async fn room_for_memory_comes_at_the_next_start(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let spec = MachineSpec { first_boot: Some(FirstBoot::default()), ..fixture.machine("grower", 2) };
    let owner = spec.owner.uid;
    let id = fixture.start(&spec).await;
    let room = Resources { max_memory_bytes: Some(LEAST + 256 * MEBIBYTE), memory_bytes: LEAST, ..spec.resources };
    assert!(machines.resize(&id, room).await.is_err(), "it runs");
    machines.stop(&id, Duration::ZERO).await.expect("stop");
    machines.resize(&id, room).await.expect("resize");
    machines.start(&id).await.expect("start");
    let more = Resources { memory_bytes: LEAST + 128 * MEBIBYTE, ..room };
    machines.resize(&id, more).await.expect("resize");
    let taken = fixture.wait_long_for(owner, "the guest to take it", |machine| !machine.lacks_memory()).await;
    assert_eq!(taken.resources, more);
}
