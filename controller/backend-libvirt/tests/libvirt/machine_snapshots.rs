//! What snapshots of virtual machines are beyond what every adapter promises: files that stand alone and nobody writes to,
//! and nothing of them where they were cut off.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::time::Duration;

use controller_backend::conformance::Fixture;
use controller_backend::{
    Consistency, FirstBoot, LogOptions, MachineId, MachineSnapshotSource, MachineSnapshotSpec, MachineSpec, Progress,
};
use futures::StreamExt;

use crate::{daemon, guest};

#[tokio::test]
async fn snapshot_of_a_running_machine_stands_alone_and_is_roots() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let id = fixture.start(&fixture.machine("vm", 2)).await;
        let chain = daemon::virsh(&["domblklist", &id.0]);
        let spec = spec(fixture, &id);
        let owner = spec.owner.clone();
        // What a process that was killed has left.
        let file = world.images().join(format!("{}.qcow2", owner.uid));
        let fresh = file.with_extension("new");
        std::fs::write(&fresh, b"half of one").expect("it is ours");
        let snapshots = &fixture.backend.machine_snapshots;
        assert_eq!(snapshots.find(owner.uid).await.expect("find"), None, "half of one is none");

        let taken = snapshots.ensure(&spec, &Progress::default()).await.expect("ensure");
        assert_eq!(taken.consistency, Consistency::Crash);
        assert_eq!(daemon::virsh(&["domblklist", &id.0]), chain, "the machine writes where it wrote");
        let meta = std::fs::metadata(&file).expect("it is there");
        assert_eq!((meta.uid(), meta.permissions().mode() & 0o777), (0, 0o440));
        let info =
            Command::new("qemu-img").args(["info", "--output=json", "-U"]).arg(&file).output().expect("qemu-img");
        let info = String::from_utf8_lossy(&info.stdout).into_owned();
        assert!(info.contains("virtual-size") && !info.contains("backing"), "{info}");
        assert!(!fresh.exists());
        let images = fixture.backend.disk_images.clone().expect("it has disk images");
        let names: Vec<_> = images.list().await.expect("list").into_iter().map(|image| image.owner.name).collect();
        assert_eq!(names, ["tiny"], "it is no image that somebody imported");
    })
    .await;
}

/// As much of QEMU's guest agent as freezes file systems, and tells so at the console.
const AGENT: &str = r#"#!/bin/sh
cat > /agent << 'END'
exec 3<> $(ls /dev/vport*p1)
while :; do
    # Nothing comes before the host has connected.
    read -r line <&3 || { sleep 1; continue; }
    case $line in
        *guest-sync*) echo "{\"return\": $(echo "$line" | sed 's/.*"id": *\([0-9]*\).*/\1/')}" ;;
        *guest-get-time*) echo '{"return": 0}' ;;
        *fsfreeze-freeze*) sync; echo "agent: freeze" > /dev/ttyS0; echo '{"return": 1}' ;;
        *fsfreeze-thaw*) echo "agent: thaw" > /dev/ttyS0; echo '{"return": 1}' ;;
    esac >&3
done
END
setsid sh /agent > /dev/null 2>&1 &
"#;

/// One that is there and says nothing.
const SILENT_AGENT: &str = r#"#!/bin/sh
exec 3<> $(ls /dev/vport*p1)
setsid sleep 100000 > /dev/null 2>&1 &
"#;

/// A machine that runs such an agent, and a snapshot of it.
async fn guest_with(fixture: &Fixture, agent: &str) -> (MachineId, MachineSnapshotSpec) {
    let first_boot = FirstBoot { user_data: Some(agent.to_owned()), ..FirstBoot::default() };
    let machine = MachineSpec { first_boot: Some(first_boot), ..fixture.machine("vm", 2) };
    let id = fixture.start(&machine).await;
    let connected = async {
        while !daemon::virsh(&["dumpxml", &id.0]).contains("guest_agent.0' state='connected'") {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(guest::PATIENCE, connected).await.expect("the agent is there");
    let spec = spec(fixture, &id);
    (id, spec)
}

fn spec(fixture: &Fixture, machine: &MachineId) -> MachineSnapshotSpec {
    let source = MachineSnapshotSource::Machine(machine.clone());
    MachineSnapshotSpec { owner: fixture.owner("InstanceSnapshot", "before", 3), source }
}

#[tokio::test]
async fn guest_with_an_agent_is_frozen_for_the_moment_and_thawed() {
    daemon::run(async |fixture| {
        let (id, spec) = guest_with(fixture, AGENT).await;
        let taken = fixture.backend.machine_snapshots.ensure(&spec, &Progress::default()).await.expect("ensure");
        let log = fixture.backend.consoles.logs(&id, LogOptions::default()).await.expect("logs");
        let log: Vec<_> =
            log.collect::<Vec<_>>().await.into_iter().flat_map(|piece| piece.expect("a piece").bytes).collect();
        let log = String::from_utf8_lossy(&log).into_owned();
        assert_eq!(taken.consistency, Consistency::Frozen, "{log}");
        let (frozen, thawed) = (log.find("agent: freeze"), log.find("agent: thaw"));
        assert!(frozen.is_some() && thawed > frozen, "{log}");
        assert!(!fixture.only(fixture.machine("vm", 2).owner.uid).await.left_frozen);
    })
    .await;
}

#[tokio::test]
async fn guest_that_has_much_to_write_before_it_is_frozen_is_waited_for() {
    daemon::run(async |fixture| {
        let (id, spec) = guest_with(fixture, &AGENT.replace("sync;", "sync; sleep 12;")).await;
        let taken = fixture.backend.machine_snapshots.ensure(&spec, &Progress::default()).await.expect("ensure");
        assert_eq!(taken.consistency, Consistency::Frozen);
        let log = guest::until_written(fixture, &id, "agent: thaw").await;
        assert!(log.find("agent: freeze") < log.find("agent: thaw"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn guest_that_freezes_too_late_is_not_left_so() {
    daemon::run(async |fixture| {
        let (id, spec) = guest_with(fixture, &AGENT.replace("sync;", "sync; sleep 45;")).await;
        let snapshots = &fixture.backend.machine_snapshots;
        let taken = snapshots.ensure(&spec, &Progress::default()).await.expect("ensure");
        assert_eq!(taken.consistency, Consistency::Crash, "it is waited for only so long");
        let find = async || fixture.only(fixture.machine("vm", 2).owner.uid).await;
        assert!(find().await.left_frozen, "somebody has to see to it");
        let thawed = async {
            while snapshots.thaw(&id).await.is_err() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(guest::PATIENCE, thawed).await.expect("it is thawed once it listens again");
        let log = guest::until_written(fixture, &id, "agent: thaw").await;
        assert!(log.find("agent: freeze") < log.find("agent: thaw"), "{log}");
        assert!(!find().await.left_frozen);
    })
    .await;
}

#[tokio::test]
async fn guest_that_a_killed_process_left_frozen_is_thawed_by_the_next() {
    daemon::run(async |fixture| {
        let (id, _) = guest_with(fixture, AGENT).await;
        let find = async || fixture.only(fixture.machine("vm", 2).owner.uid).await;
        assert!(!find().await.left_frozen);
        // As far as a process came that was killed between the two.
        let note = ["--key", "cloud-frozen", "--set", "<frozen/>", "--live"];
        daemon::virsh(&[&["metadata", id.0.as_str(), "https://thecloud.dev/libvirt/frozen/1"], &note[..]].concat());
        daemon::virsh(&["domfsfreeze", &id.0]);
        assert!(find().await.left_frozen);
        let snapshots = &fixture.backend.machine_snapshots;
        snapshots.thaw(&id).await.expect("thaw");
        let log = guest::until_written(fixture, &id, "agent: thaw").await;
        assert!(log.find("agent: freeze") < log.find("agent: thaw"), "{log}");
        assert!(!find().await.left_frozen, "nothing is left to do");
        assert!(fixture.stranger.machine_snapshots.thaw(&id).await.expect_err("not theirs").is_not_found());
    })
    .await;
}

#[tokio::test]
async fn guest_whose_agent_says_nothing_holds_nobody_up() {
    daemon::run(async |fixture| {
        let (_, spec) = guest_with(fixture, SILENT_AGENT).await;
        let progress = Progress::default();
        let taking = fixture.backend.machine_snapshots.ensure(&spec, &progress);
        let taken = tokio::time::timeout(Duration::from_secs(60), taking).await.expect("it waits for no guest");
        assert_eq!(taken.expect("ensure").consistency, Consistency::Crash);
    })
    .await;
}

#[tokio::test]
async fn snapshot_that_nobody_waits_for_any_more_leaves_nothing() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let id = fixture.start(&fixture.machine("vm", 2)).await;
        let spec = spec(fixture, &id);
        let snapshots = &fixture.backend.machine_snapshots;
        for wait in [0, 30, 60, 120, 250] {
            // Dropped wherever it is by then.
            let _ =
                tokio::time::timeout(Duration::from_millis(wait), snapshots.ensure(&spec, &Progress::default())).await;
            snapshots.remove(spec.owner.uid).await.expect("remove");
            let job = daemon::virsh(&["domjobinfo", &id.0]);
            assert!(job.contains("None"), "the copy ends with who waited for it: {job}");
            let names = std::fs::read_dir(world.images()).expect("images").flatten().map(|entry| entry.file_name());
            let left: Vec<_> =
                names.filter(|name| name.to_string_lossy().contains(&spec.owner.uid.to_string())).collect();
            assert_eq!(left, Vec::<std::ffi::OsString>::new());
        }
        snapshots.ensure(&spec, &Progress::default()).await.expect("it is taken afresh");
    })
    .await;
}

#[tokio::test]
async fn adoption_and_purge_that_were_cut_off_are_finished() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let id = fixture.start(&fixture.machine("vm", 2)).await;
        let spec = spec(fixture, &id);
        let snapshots = &fixture.backend.machine_snapshots;
        let (uid, owner) = (spec.owner.uid, fixture.owner("InstanceSnapshot", "heir", 4));
        let heir = MachineSnapshotSpec { owner, source: MachineSnapshotSource::Retained(uid) };
        snapshots.ensure(&spec, &Progress::default()).await.expect("ensure");
        snapshots.retain(uid).await.expect("retain");
        let file = |uid: uuid::Uuid, ending: &str| world.images().join(format!("{uid}.{ending}"));
        // As it is as soon as it is the heir's.
        std::fs::hard_link(file(uid, "qcow2"), file(heir.owner.uid, "qcow2")).expect("it is ours");
        std::fs::rename(file(uid, "json"), file(heir.owner.uid, "json")).expect("it is ours");
        assert_eq!(snapshots.find(uid).await.expect("find"), None);
        let adopted = snapshots.ensure(&heir, &Progress::default()).await.expect("ensure");
        assert_eq!((&adopted.owner, adopted.retained), (&heir.owner, false));
        assert!(!file(uid, "qcow2").exists(), "it is called otherwise now");

        snapshots.retain(heir.owner.uid).await.expect("retain");
        std::fs::remove_file(file(heir.owner.uid, "qcow2")).expect("it is ours");
        assert_eq!(snapshots.list().await.expect("list"), []);
        snapshots.purge(heir.owner.uid).await.expect("the rest goes");
        assert!(!file(heir.owner.uid, "json").exists());
        assert!(snapshots.purge(heir.owner.uid).await.expect_err("it is gone").is_not_found());
    })
    .await;
}
