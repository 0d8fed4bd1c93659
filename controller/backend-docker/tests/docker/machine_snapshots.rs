//! What snapshots of containers are beyond what every adapter promises: they hold what was written and nothing that may
//! be secret, and whatever a crash leaves behind goes.

use std::time::Duration;

use bollard::models::ContainerConfig;
use bollard::query_parameters::{CommitContainerOptionsBuilder, ListImagesOptionsBuilder};
use controller_backend::conformance::Fixture;
use controller_backend::{
    EnvVar, FileSet, MachineId, MachineSnapshot, MachineSnapshotSource, MachineSnapshotSpec, MachineSpec, Mount,
    MountSource, Progress, ProjectedFile,
};

use crate::daemon::{self, World};
use crate::machines::shell;

const SECRET: &str = "correct-horse-battery-staple";

fn spec(fixture: &Fixture, machine: &MachineId) -> MachineSnapshotSpec {
    let source = MachineSnapshotSource::Machine(machine.clone());
    MachineSnapshotSpec { owner: fixture.owner("InstanceSnapshot", "before", 9), source }
}

async fn take(fixture: &Fixture, spec: &MachineSnapshotSpec) -> MachineSnapshot {
    fixture.backend.machine_snapshots.ensure(spec, &Progress::default()).await.expect("the snapshot is taken")
}

/// All that Docker tells anybody about an image, its history included.
async fn told(world: &World, image: &str) -> String {
    let inspected = world.docker.inspect_image(image).await.expect("inspect");
    let history = world.docker.image_history(image).await.expect("history");
    let raw = std::process::Command::new("docker").args(["image", "inspect", image]).output().expect("docker runs");
    let raw = String::from_utf8_lossy(&raw.stdout).into_owned();
    format!("{inspected:?} {history:?} {raw}")
}

#[tokio::test]
async fn snapshot_holds_what_was_written_and_no_secret() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let files =
            [("password".to_owned(), ProjectedFile { content: SECRET.as_bytes().to_vec().into(), mode: 0o400 })];
        let set = FileSet { name: "credentials".to_owned(), files: files.into() };
        let machine = fixture.machine("web", 2);
        fixture.backend.files.ensure(&machine.owner, &[set]).await.expect("files");
        let source = MountSource::Files("credentials".to_owned());
        let machine = MachineSpec {
            env: vec![EnvVar { name: "PASSWORD".to_owned(), value: SECRET.to_owned() }],
            command: Some(["sh", "-c", &format!("echo {SECRET} > /dev/null; sleep 1000")].map(str::to_owned).to_vec()),
            mounts: vec![Mount { path: "/etc/credentials".to_owned(), read_only: true, source }],
            ..machine
        };
        let id = fixture.start(&machine).await;
        assert_eq!(shell(fixture, &id, "echo written > /file").await.0, 0);
        let taken = take(fixture, &spec(fixture, &id)).await;
        assert_eq!(shell(fixture, &id, "echo later > /file").await.0, 0, "it goes on");
        let told = told(world, &taken.image.id).await;
        assert!(!told.contains(SECRET) && !told.contains("PASSWORD"), "{told}");

        let other = MachineSpec { image: taken.image.id.clone(), env: Vec::new(), ..fixture.machine("again", 3) };
        let other = fixture.start(&other).await;
        assert_eq!(shell(fixture, &other, "cat /file").await, (0, "written\n".to_owned()));
        assert_eq!(shell(fixture, &other, "env | grep PASSWORD").await.0, 1);
        assert_eq!(shell(fixture, &other, "cat /etc/credentials/password").await.0, 1, "what is mounted isn't in it");
        let before = fixture.image.as_str();
        let command = |image: &bollard::models::ImageInspect| image.config.clone().and_then(|config| config.cmd);
        let (origin, ours) =
            (world.docker.inspect_image(before).await, world.docker.inspect_image(&taken.image.id).await);
        assert_eq!(command(&origin.expect("inspect")), command(&ours.expect("inspect")), "the image's own command");
    })
    .await;
}

#[tokio::test]
async fn machine_made_from_a_snapshot_is_its_own_and_not_that_of_the_snapshot() {
    daemon::run(async |fixture| {
        let mut machine = fixture.networked("web", 2, 10).await;
        machine.mounts = vec![Mount {
            path: "/data".to_owned(),
            read_only: false,
            source: MountSource::Volume(fixture.volume("data", 4).owner.uid),
        }];
        fixture.backend.volumes.ensure(&fixture.volume("data", 4)).await.expect("a volume");
        let id = fixture.start(&machine).await;
        let taken = take(fixture, &spec(fixture, &id)).await;
        let other = MachineSpec { image: taken.image.id, ..fixture.machine("again", 3) };
        fixture.start(&other).await;
        let found = fixture.only(other.owner.uid).await;
        assert_eq!((found.owner, found.attachment, found.volumes), (other.owner, None, Vec::new()));
        assert_eq!(fixture.only(machine.owner.uid).await.id, id);
        assert_eq!(fixture.backend.machines.list().await.expect("list").len(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_a_crash_left_of_an_attempt_goes_with_the_next_or_with_the_removal() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let id = fixture.start(&fixture.machine("web", 2)).await;
        let spec = spec(fixture, &id);
        // Committed, and cut off before it was made into what stays.
        let half = async || {
            let marks = [
                ("thecloud.dev/installation", fixture.installation.to_string()),
                ("thecloud.dev/kind", "InstanceSnapshot".to_owned()),
                ("thecloud.dev/namespace", spec.owner.namespace.clone()),
                ("thecloud.dev/name", spec.owner.name.clone()),
                ("thecloud.dev/uid", spec.owner.uid.to_string()),
                ("thecloud.dev/half-taken", "true".to_owned()),
            ];
            let labels = marks.map(|(key, value)| (key.to_owned(), value)).into();
            let config = ContainerConfig { labels: Some(labels), ..ContainerConfig::default() };
            let options = CommitContainerOptionsBuilder::default().container(&id.0).pause(false).build();
            world.docker.commit_container(options, config).await.expect("commit").id
        };
        let snapshots = &fixture.backend.machine_snapshots;
        let first = half().await;
        assert_eq!(snapshots.find(spec.owner.uid).await.expect("find"), None, "half of one is none");
        assert_eq!(snapshots.list().await.expect("list"), []);
        let taken = take(fixture, &spec).await;
        assert!(world.docker.inspect_image(&first).await.is_err(), "the next attempt clears it away");
        let second = half().await;
        snapshots.remove(spec.owner.uid).await.expect("remove");
        for image in [&second, &taken.image.id] {
            assert!(world.docker.inspect_image(image).await.is_err(), "{image} is gone");
        }
    })
    .await;
}

#[tokio::test]
async fn snapshot_that_nobody_waits_for_any_more_leaves_nothing() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let id = fixture.start(&fixture.machine("web", 2)).await;
        let spec = spec(fixture, &id);
        for wait in [0, 10, 40, 120] {
            let progress = Progress::default();
            let taking = fixture.backend.machine_snapshots.ensure(&spec, &progress);
            // Dropped wherever it is by then.
            let _ = tokio::time::timeout(Duration::from_millis(wait), taking).await;
            assert_eq!(shell(fixture, &id, "echo more >> /file").await.0, 0, "the machine goes on");
            fixture.backend.machine_snapshots.remove(spec.owner.uid).await.expect("remove");
            let label = format!("thecloud.dev/installation={}", fixture.installation);
            let filter = std::collections::HashMap::from([("label".to_owned(), vec![label])]);
            let options = ListImagesOptionsBuilder::default().all(true).filters(&filter).build();
            assert_eq!(world.docker.list_images(Some(options)).await.expect("list"), []);
        }
    })
    .await;
}

/// Has Docker do something with images.
fn docker(args: &[&str]) {
    let done = std::process::Command::new("docker").args(args).output().expect("docker runs");
    assert!(done.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn adoption_that_was_cut_off_is_the_heirs_and_what_it_has_left_goes_with_it() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let id = fixture.start(&fixture.machine("web", 2)).await;
        let spec = spec(fixture, &id);
        let uid = spec.owner.uid;
        let snapshots = &fixture.backend.machine_snapshots;
        take(fixture, &spec).await;
        snapshots.retain(uid).await.expect("retain");
        let (whole, kept) = (format!("thecloud.dev/instance-snapshot:{uid}"), format!("kept-by-a-test:{uid}"));
        let marked = format!("thecloud.dev/retained-instance-snapshot/{}:{uid}", spec.owner.namespace);
        docker(&["tag", &marked, &kept]);
        let heir = |number| {
            let owner = fixture.owner("InstanceSnapshot", "heir", number);
            MachineSnapshotSpec { owner, source: MachineSnapshotSource::Retained(uid) }
        };
        let adopted = take(fixture, &heir(10)).await;
        // As it is as soon as the heir's image is whole.
        docker(&["tag", &kept, &whole]);
        docker(&["tag", &kept, &marked]);
        docker(&["rmi", &kept]);
        assert_eq!(snapshots.list().await.expect("list"), [adopted]);
        assert_eq!(snapshots.find(uid).await.expect("find"), None);
        let late = snapshots.ensure(&heir(11), &Progress::default()).await.expect_err("somebody has it");
        assert!(late.is_not_found(), "{late:?}");
        snapshots.remove(heir(10).owner.uid).await.expect("remove");
        assert!(world.docker.inspect_image(&marked).await.is_err(), "nothing is left");
        assert_eq!(snapshots.list().await.expect("list"), []);
    })
    .await;
}
