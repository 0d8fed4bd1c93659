//! What snapshots are on this host beyond what every adapter promises: real data of one moment, only as much copied as
//! there is, and every half-done state that a crash can leave.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use controller_backend::conformance::Fixture;
use controller_backend::{MachineId, MachineSpec, Mount, MountSource, Progress, VolumeSource, VolumeSpec};

use crate::daemon::{self, World};
use crate::machines::shell;

const MEBIBYTE: u64 = 1 << 20;

async fn start_user(fixture: &Fixture, number: u32, volume: &VolumeSpec) -> MachineId {
    let source = MountSource::Volume(volume.owner.uid);
    let mounts = vec![Mount { path: "/data".to_owned(), read_only: false, source }];
    let memory = controller_backend::Resources { memory_bytes: 128 << 20, ..fixture.traits.smallest };
    let spec = MachineSpec { mounts, resources: memory, ..fixture.machine("user", number) };
    fixture.start(&spec).await
}

fn snapshot_dir(world: &World, owner: &controller_backend::Owner) -> PathBuf {
    world.root.join("snapshots").join(owner.uid.to_string())
}

#[tokio::test]
async fn snapshot_in_use_holds_what_was_written_before_and_nothing_later() {
    daemon::run(async |fixture| {
        let volume = fixture.volume("data", 2);
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let id = start_user(fixture, 3, &volume).await;
        // It goes on writing, in order: of what is in the snapshot nothing may be missing in between.
        let writer = "echo old > /data/file; sync; n=0; \
                      (while true; do n=$((n + 1)); echo $n >> /data/log; done) > /dev/null 2>&1 &";
        assert_eq!(shell(fixture, &id, writer).await.0, 0);
        let spec = fixture.snapshot("before", 4, &volume);
        fixture.backend.snapshots.ensure(&spec, &Progress::default()).await.expect("snapshot");
        assert_eq!(
            shell(fixture, &id, "echo new > /data/file && wc -l < /data/log").await.0,
            0,
            "it is written to again"
        );

        let source = Some(VolumeSource::Snapshot(spec.owner.uid));
        let restored = VolumeSpec { size_bytes: 64 * MEBIBYTE, source, ..fixture.volume("restored", 5) };
        fixture.backend.volumes.ensure(&restored).await.expect("restore");
        let other = start_user(fixture, 6, &restored).await;
        assert_eq!(shell(fixture, &other, "cat /data/file").await, (0, "old\n".to_owned()));
        let gaps = "n=0; while read line; do n=$((n + 1)); [ \"$line\" = $n ] || exit 1; done < /data/log";
        assert_eq!(shell(fixture, &other, gaps).await, (0, String::new()));
        let size = "df -m /data | tail -1 | awk '{print ($2 > 40)}'";
        assert_eq!(shell(fixture, &other, size).await, (0, "1\n".to_owned()), "it has grown after the copy");
        // The one does not see what the other writes.
        shell(fixture, &other, "echo other > /data/file").await;
        assert_eq!(shell(fixture, &id, "cat /data/file").await, (0, "new\n".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn snapshot_of_a_large_volume_copies_only_its_data() {
    daemon::run(async |fixture| {
        let volume = VolumeSpec { size_bytes: 10 << 30, ..fixture.volume("data", 2) };
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let id = start_user(fixture, 3, &volume).await;
        let (code, text) = shell(fixture, &id, "dd if=/dev/urandom of=/data/fill bs=1048576 count=100 && sync").await;
        assert_eq!(code, 0, "{text}");
        let spec = fixture.snapshot("before", 4, &volume);
        let started = Instant::now();
        let taken = fixture.backend.snapshots.ensure(&spec, &Progress::default()).await.expect("snapshot");
        let took = started.elapsed();
        let copied = taken.used_bytes / MEBIBYTE;
        println!("a snapshot of 10 GiB with 100 MiB of data takes {copied} MiB and {} ms", took.as_millis());
        assert_eq!(taken.size_bytes, volume.size_bytes);
        assert!((100..150).contains(&copied), "{copied} MiB");
    })
    .await;
}

#[tokio::test]
async fn snapshot_that_was_cut_off_is_not_there_and_is_taken_afresh() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let (volumes, snapshots) = (&fixture.backend.volumes, &fixture.backend.snapshots);
        let volume = fixture.volume("data", 2);
        volumes.ensure(&volume).await.expect("ensure");
        let spec = fixture.snapshot("before", 3, &volume);
        let dir = snapshot_dir(world, &spec.owner);
        let record = serde_json::json!({"owner": spec.owner, "size_bytes": volume.size_bytes}).to_string();
        let leave_half = || {
            std::fs::create_dir_all(&dir).expect("a directory");
            std::fs::write(dir.join("volume.json"), &record).expect("a record");
            std::fs::write(dir.join("disk.ext4.new"), b"half").expect("a file");
        };
        leave_half();
        assert_eq!(snapshots.find(spec.owner.uid).await.expect("find"), None);
        let taken = snapshots.ensure(&spec, &Progress::default()).await.expect("snapshot");
        assert!(taken.used_bytes > 4096, "it is a whole one: {taken:?}");
        assert!(!dir.join("disk.ext4.new").exists());
        snapshots.remove(spec.owner.uid).await.expect("remove");

        // Half taken and not wanted any more.
        leave_half();
        snapshots.remove(spec.owner.uid).await.expect("remove");
        assert!(!dir.exists());
    })
    .await;
}

#[tokio::test]
async fn snapshot_that_nobody_waits_for_any_more_leaves_the_volume_writable() {
    daemon::run(async |fixture| {
        let volume = fixture.volume("data", 2);
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let id = start_user(fixture, 3, &volume).await;
        for wait in [0, 5, 20, 40] {
            let spec = fixture.snapshot("before", 4, &volume);
            let progress = Progress::default();
            let taking = fixture.backend.snapshots.ensure(&spec, &progress);
            // Dropped wherever it is by then.
            let _ = tokio::time::timeout(Duration::from_millis(wait), taking).await;
            let write = shell(fixture, &id, "echo more >> /data/file && sync");
            let written = tokio::time::timeout(Duration::from_secs(20), write).await;
            assert_eq!(written.expect("it can be written to").0, 0);
            fixture.backend.snapshots.remove(spec.owner.uid).await.expect("remove");
        }
    })
    .await;
}
