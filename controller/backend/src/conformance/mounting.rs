//! What an adapter promises whose machines change what they mount.

use std::time::Duration;

use uuid::Uuid;

use super::Fixture;
use crate::{
    Conflict, Detached, Error, FirstBoot, Machine, MachineId, MachineSpec, Mount, MountSource, Mounting, Mounts,
    Resources, VolumeMode, VolumeSpec,
};

/// How long a guest may take to let go of a device: it has to have booted first.
const GUEST: Duration = Duration::from_secs(120);

fn mounting(fixture: &Fixture) -> &dyn Mounting {
    fixture.backend.mounting.as_deref().expect("the adapter changes mounts")
}

/// A machine with a disk of its own.
fn machine(fixture: &Fixture, name: &str, number: u32, mounts: Vec<Mount>) -> MachineSpec {
    MachineSpec { mounts, first_boot: Some(FirstBoot::default()), ..fixture.machine(name, number) }
}

async fn block(fixture: &Fixture, name: &str, number: u32) -> (VolumeSpec, Mount) {
    let spec = VolumeSpec { mode: VolumeMode::Block, ..fixture.volume(name, number) };
    let made = fixture.backend.volumes.ensure(&spec).await.expect("the volume is made");
    let source = MountSource::Volume(made.owner.uid);
    (spec, Mount { path: format!("/dev/{name}"), read_only: false, source })
}

async fn directory(fixture: &Fixture, name: &str, number: u32) -> (Uuid, Mount) {
    let made = fixture.backend.volumes.ensure(&fixture.volume(name, number)).await.expect("the volume is made");
    let source = MountSource::Volume(made.owner.uid);
    (made.owner.uid, Mount { path: format!("/{name}"), read_only: false, source })
}

async fn seen(fixture: &Fixture, owner: Uuid) -> (Machine, Mounts) {
    let machine = fixture.only(owner).await;
    let summary = fixture.backend.machines.list().await.expect("list");
    assert_eq!(summary, [machine.summary()], "both tell the same");
    let mounts = machine.mounts.clone().expect("what it mounts is told");
    (machine, mounts)
}

async fn until_gone(fixture: &Fixture, id: &MachineId, volume: Uuid) {
    let started = tokio::time::Instant::now();
    while mounting(fixture).detach(id, volume).await.expect("detach") == Detached::Held {
        assert!(started.elapsed() < GUEST, "the guest never lets go of the device");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A device is plugged into a machine that runs and out of it, and counts as the machine's for as long as it has it.
pub async fn device_is_plugged_in_and_out_while_it_runs(fixture: &Fixture) {
    let (first, mount) = block(fixture, "first", 5).await;
    let (second, other) = block(fixture, "second", 6).await;
    let (first, second) = (first.owner.uid, second.owner.uid);
    let spec = machine(fixture, "plugged", 2, vec![mount.clone()]);
    let owner = spec.owner.uid;
    let id = fixture.start(&spec).await;
    let (made, mounts) = seen(fixture, owner).await;
    assert_eq!((mounts.defined, mounts.live), (vec![mount.clone()], Some(vec![mount.clone()])));
    assert_eq!((made.volumes, mounts.devices, mounts.outgrown), (vec![first], vec![first], Vec::<Uuid>::new()));

    // Defined first: from then on it counts, and nothing has happened to the machine.
    let both = vec![mount.clone(), other.clone()];
    mounting(fixture).define(&id, &both).await.expect("define");
    mounting(fixture).define(&id, &both).await.expect("defining it again changes nothing");
    let (machine, mounts) = seen(fixture, owner).await;
    assert_eq!((&mounts.defined, mounts.live), (&both, Some(vec![mount.clone()])));
    assert!(machine.volumes.contains(&first) && machine.volumes.contains(&second), "{:?}", machine.volumes);
    mounting(fixture).attach(&id, second).await.expect("attach");
    mounting(fixture).attach(&id, second).await.expect("attaching it again changes nothing");
    assert_eq!(seen(fixture, owner).await.1.live, Some(both));

    // Defined first, again: it counts until the guest has let go of it.
    mounting(fixture).define(&id, std::slice::from_ref(&other)).await.expect("define");
    let (machine, mounts) = seen(fixture, owner).await;
    assert_eq!((mounts.defined, machine.volumes.contains(&first)), (vec![other.clone()], true));
    until_gone(fixture, &id, first).await;
    assert_eq!(mounting(fixture).detach(&id, first).await.expect("detach"), Detached::Gone, "again");
    let (machine_now, mounts) = seen(fixture, owner).await;
    assert_eq!((machine_now.volumes, mounts.live), (vec![second], Some(vec![other.clone()])));
    assert_eq!((&machine_now.id, machine_now.started_at), (&id, machine.started_at), "all of it without a restart");
    fixture.backend.volumes.remove(first).await.expect("nobody has it");

    // What is defined is there at the next start too.
    fixture.backend.machines.stop(&id, Duration::ZERO).await.expect("stop");
    assert_eq!(seen(fixture, owner).await.1.live, None);
    fixture.backend.machines.start(&id).await.expect("start");
    assert_eq!(seen(fixture, owner).await.1.live, Some(vec![other]));
}

/// Where processors are the machine's own, their number and the time that it gets of them change while it runs; memory
/// without room doesn't.
pub async fn processors_change_while_it_runs(fixture: &Fixture) {
    let machines = &fixture.backend.machines;
    let spec = machine(fixture, "worker", 2, Vec::new());
    let owner = spec.owner.uid;
    let id = fixture.start(&spec).await;
    let before = seen(fixture, owner).await.0;
    let with = |cpu_millis| Resources { cpu_millis, ..before.resources };
    // What a guest doesn't let go of it gets no time for.
    for cpu_millis in [500, 1000, 100, 2500, 1000] {
        assert!(before.resizes_running(with(cpu_millis)));
        machines.resize(&id, with(cpu_millis)).await.expect("resize");
        let now = seen(fixture, owner).await.0;
        assert_eq!((now.resources, now.started_at), (with(cpu_millis), before.started_at));
    }
    let memory_bytes = 2 * before.resources.memory_bytes;
    let most = before.most_processors.expect("it has processors of its own");
    assert!(most > before.resources.processors());
    for more in [with(most * 1000 + 1), Resources { memory_bytes, ..with(1000) }] {
        assert!(!before.resizes_running(more));
        let error = machines.resize(&id, more).await.expect_err("it runs");
        assert!(matches!(error.as_conflict(), Some(Conflict::State { .. })), "{error:?}");
        assert_eq!(seen(fixture, owner).await.0.resources, with(1000));
    }
}

/// A machine that runs is told that a device has grown.
pub async fn device_grows_under_a_machine(fixture: &Fixture) {
    let (volume, mount) = block(fixture, "data", 5).await;
    let spec = machine(fixture, "grower", 2, vec![mount]);
    let id = fixture.start(&spec).await;
    let larger = VolumeSpec { size_bytes: 2 * volume.size_bytes, ..volume };
    fixture.backend.volumes.ensure(&larger).await.expect("it grows");
    assert_eq!(seen(fixture, spec.owner.uid).await.1.outgrown, [larger.owner.uid]);
    mounting(fixture).attach(&id, larger.owner.uid).await.expect("attach");
    assert!(seen(fixture, spec.owner.uid).await.1.outgrown.is_empty());
}

/// Directories change at the next start, and what goes is the machine's until then.
pub async fn directories_change_at_the_next_start(fixture: &Fixture) {
    let (first, mount) = directory(fixture, "first", 5).await;
    let (second, other) = directory(fixture, "second", 6).await;
    let other = Mount { read_only: true, ..other };
    let spec = machine(fixture, "mounter", 2, vec![mount.clone()]);
    let owner = spec.owner.uid;
    let id = fixture.start(&spec).await;
    mounting(fixture).define(&id, std::slice::from_ref(&other)).await.expect("define");
    let (machine, mounts) = seen(fixture, owner).await;
    assert_eq!((mounts.defined, mounts.live), (vec![other.clone()], Some(vec![mount])));
    assert!(mounts.devices.is_empty());
    assert!(machine.volumes.contains(&first) && machine.volumes.contains(&second), "{:?}", machine.volumes);
    fixture.backend.machines.stop(&id, Duration::ZERO).await.expect("stop");
    assert_eq!(seen(fixture, owner).await.0.volumes, [second]);
    fixture.backend.machines.start(&id).await.expect("start");
    assert_eq!(seen(fixture, owner).await.1.live, Some(vec![other]));
    mounting(fixture).define(&id, &[]).await.expect("define");
    fixture.backend.machines.stop(&id, Duration::ZERO).await.expect("stop");
    assert!(seen(fixture, owner).await.0.volumes.is_empty());
}

/// What isn't there is named, and nothing is defined; machines of others are not touched.
pub async fn what_cannot_be_mounted_is_named(fixture: &Fixture) {
    let spec = machine(fixture, "wanting", 2, Vec::new());
    let id = fixture.backend.machines.create(&spec).await.expect("create");
    let volume = fixture.volume("nowhere", 9).owner.uid;
    let mount = Mount { path: "/data".to_owned(), read_only: false, source: MountSource::Volume(volume) };
    let mounts = [mount];
    let error = mounting(fixture).define(&id, &mounts).await.expect_err("no volume");
    assert!(matches!(&error, Error::NotFound { what } if what.contains(&volume.to_string())), "{error:?}");
    assert!(mounting(fixture).attach(&id, volume).await.expect_err("it is not defined").is_not_found());
    assert_eq!(mounting(fixture).detach(&id, volume).await.expect("detach"), Detached::Gone);
    assert!(seen(fixture, spec.owner.uid).await.1.defined.is_empty());
    let stranger = fixture.stranger.mounting.as_deref().expect("the adapter changes mounts");
    assert!(stranger.define(&id, &[]).await.expect_err("not ours").is_not_found());
    assert!(stranger.attach(&id, volume).await.expect_err("not ours").is_not_found());
    assert!(stranger.detach(&id, volume).await.expect_err("not ours").is_not_found());
}
