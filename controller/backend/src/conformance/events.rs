//! What every adapter promises about events, and about the engine itself.

use futures::StreamExt;

use super::{Fixture, PATIENCE};
use crate::{Event, EventStream, Happening, Owner};

async fn wait_for(stream: &mut EventStream, wanted: &Owner, what: Happening) {
    let wait = async {
        while let Some(event) = stream.next().await {
            match event {
                Event::Changed { owner, happening } if owner == *wanted && happening == what => return,
                Event::Changed { owner, .. } => assert_eq!(owner.installation, wanted.installation),
                Event::ImageArrived | Event::Resync => {}
            }
        }
        panic!("the stream ended");
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no event `{what:?}` came"));
}

/// A stream begins with `Resync`, then tells what happens to machines, whoever did it.
pub async fn events_tell_what_happens_to_machines(fixture: &Fixture) {
    let mut events = fixture.backend.events.watch();
    assert_eq!(tokio::time::timeout(PATIENCE, events.next()).await.expect("an event"), Some(Event::Resync));
    let spec = fixture.machine("watched", 2);
    let id = fixture.start(&spec).await;
    wait_for(&mut events, &spec.owner, Happening::Started).await;
    fixture.hand.kill(&id).await;
    wait_for(&mut events, &spec.owner, Happening::Died).await;
    fixture.backend.machines.start(&id).await.expect("start");
    wait_for(&mut events, &spec.owner, Happening::Started).await;
    fixture.hand.remove(&id).await;
    wait_for(&mut events, &spec.owner, Happening::Removed).await;
    assert!(fixture.backend.machines.find(spec.owner.uid).await.expect("find").is_empty());
}

/// The removal of a network is told with its owner, although it is gone by then.
pub async fn events_tell_of_removed_networks(fixture: &Fixture) {
    let mut events = fixture.backend.events.watch();
    assert_eq!(tokio::time::timeout(PATIENCE, events.next()).await.expect("an event"), Some(Event::Resync));
    let spec = fixture.network();
    fixture.backend.networks.ensure(&spec).await.expect("ensure");
    wait_for(&mut events, &spec.owner, Happening::Created).await;
    fixture.backend.networks.remove(spec.owner.uid).await.expect("remove");
    wait_for(&mut events, &spec.owner, Happening::Removed).await;
}

/// The engine answers, is always the same, and has something to run on.
pub async fn engine_is_identified(fixture: &Fixture) {
    fixture.backend.host.reachable().await.expect("it answers");
    let identity = fixture.backend.host.identity().await.expect("identity");
    assert!(!identity.id.is_empty());
    assert_eq!(fixture.stranger.host.identity().await.expect("identity"), identity);
    let capacity = fixture.backend.host.capacity().await.expect("capacity");
    assert!(capacity.cpus > 0 && capacity.memory_bytes > 0, "{capacity:?}");
}

/// An image on the host is found by reference and by id, and what is nowhere is not.
pub async fn images_are_found(fixture: &Fixture) {
    let images = &fixture.backend.images;
    let found = images.resolve(&fixture.image).await.expect("resolve").expect("the image is here");
    assert_eq!(images.resolve(&found.id).await.expect("resolve"), Some(found));
    assert_eq!(images.resolve("thecloud.dev/nothing:0").await.expect("resolve"), None);
}
