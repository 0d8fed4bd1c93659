//! What volumes are on Docker beyond what every adapter promises: real limits, data that stays, and every half-done
//! state that a crash can leave.

use std::path::PathBuf;
use std::time::Duration;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptions;
use controller_backend::conformance::Fixture;
use controller_backend::{Conflict, MachineId, MachineSpec, Mount, MountSource, VolumeSpec, machine_name};
use controller_backend_docker::open;

use crate::daemon::{self, World, loop_files};
use crate::machines::shell;

fn user_of(fixture: &Fixture, volume: &VolumeSpec) -> MachineSpec {
    let source = MountSource::Volume(volume.owner.uid);
    let mounts = vec![Mount { path: "/data".to_owned(), read_only: false, source }];
    MachineSpec { mounts, ..fixture.machine("user", 3) }
}

async fn start_user(fixture: &Fixture, volume: &VolumeSpec) -> MachineId {
    fixture.start(&user_of(fixture, volume)).await
}

fn dir_of(world: &World, volume: &VolumeSpec) -> PathBuf {
    world.root.join("volumes").join(volume.owner.uid.to_string())
}

fn umount(path: &std::path::Path) {
    let status = std::process::Command::new("umount").arg(path).status().expect("umount runs");
    assert!(status.success(), "umount ended with {status}");
}

#[tokio::test]
async fn writing_past_the_size_finds_a_full_disk() {
    daemon::run(async |fixture| {
        let volume = fixture.volume("data", 2);
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let id = start_user(fixture, &volume).await;
        let fill = "dd if=/dev/zero of=/data/fill bs=65536 count=1024";
        let (code, text) = shell(fixture, &id, fill).await;
        assert_ne!(code, 0, "64 MiB do not fit in 32");
        assert!(text.contains("No space left on device"), "{text}");
        let used = fixture.backend.volumes.find(volume.owner.uid).await.expect("find").expect("a volume").used_bytes;
        assert!(used.is_some_and(|used| used > volume.size_bytes / 2 && used <= volume.size_bytes), "{used:?}");

        // Grown, there is room again. Where the host does not let a mounted file system grow, the conflict says so,
        // nothing is lost, and it grows once no machine runs on it.
        let larger = VolumeSpec { size_bytes: 128 << 20, ..volume };
        if let Err(error) = fixture.backend.volumes.ensure(&larger).await {
            assert!(matches!(error.as_conflict(), Some(Conflict::InUse { .. })), "{error:?}");
            assert_eq!(shell(fixture, &id, "ls /data").await, (0, "fill\n".to_owned()));
            fixture.backend.machines.stop(&id, Duration::ZERO).await.expect("stop");
            fixture.backend.volumes.ensure(&larger).await.expect("grow");
            fixture.backend.machines.start(&id).await.expect("start");
        }
        let (code, text) = shell(fixture, &id, fill).await;
        assert_eq!(code, 0, "{text}");
    })
    .await;
}

#[tokio::test]
async fn data_outlives_machines_and_retention() {
    daemon::run(async |fixture| {
        let volume = fixture.volume("data", 2);
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let id = start_user(fixture, &volume).await;
        let (_, names) = shell(fixture, &id, "ls -A /data").await;
        assert_eq!(names, "", "nothing of the file system's own shows");
        assert_eq!(shell(fixture, &id, "echo precious > /data/file").await.0, 0);
        fixture.backend.machines.remove(&id).await.expect("remove");
        let id = start_user(fixture, &volume).await;
        assert_eq!(shell(fixture, &id, "cat /data/file").await, (0, "precious\n".to_owned()));
        fixture.backend.machines.remove(&id).await.expect("remove");

        fixture.backend.volumes.retain(volume.owner.uid).await.expect("retain");
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let id = start_user(fixture, &volume).await;
        assert_eq!(shell(fixture, &id, "cat /data/file").await, (0, "precious\n".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn retained_volume_holds_no_mount_and_no_device() {
    daemon::run_with(async |world| {
        let volume = world.fixture.volume("data", 2);
        world.fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let disk = dir_of(world, &volume).join("disk.ext4");
        let is_attached = || loop_files().iter().any(|file| disk.as_path() == std::path::Path::new(file));
        assert!(is_attached());
        world.fixture.backend.volumes.retain(volume.owner.uid).await.expect("retain");
        assert!(!is_attached());
        assert!(disk.exists());
        assert!(world.docker.inspect_volume(&machine_name(&volume.owner)).await.is_err(), "Docker forgot it");
    })
    .await;
}

#[tokio::test]
async fn machine_does_not_start_on_an_unmounted_volume() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let volume = fixture.volume("data", 2);
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let id = start_user(fixture, &volume).await;
        shell(fixture, &id, "echo precious > /data/file").await;
        fixture.backend.machines.stop(&id, Duration::ZERO).await.expect("stop");
        // What a restart of the host does.
        let mount = dir_of(world, &volume).join("mount");
        umount(&mount);
        let error = fixture.backend.machines.start(&id).await.expect_err("there is no storage");
        assert!(error.is_not_found(), "{error:?}");
        assert_eq!(std::fs::read_dir(&mount).expect("the mount point").count(), 0, "nothing is written beside it");
        assert!(fixture.backend.volumes.find(volume.owner.uid).await.expect("find").is_some_and(|found| !found.ready));
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        fixture.backend.machines.start(&id).await.expect("start");
        assert_eq!(shell(fixture, &id, "cat /data/file").await, (0, "precious\n".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn volume_that_was_cut_off_while_made_is_completed() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let volume = fixture.volume("data", 2);
        let dir = dir_of(world, &volume);
        // Half formatted, under the other name.
        std::fs::create_dir_all(dir.join("seed/data")).expect("a directory");
        std::fs::write(dir.join("disk.ext4.new"), b"half").expect("a file");
        assert_eq!(fixture.backend.volumes.find(volume.owner.uid).await.expect("find"), None);
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let id = start_user(fixture, &volume).await;
        shell(fixture, &id, "echo precious > /data/file").await;
        fixture.backend.machines.remove(&id).await.expect("remove");

        // Whole, but neither mounted nor known to Docker.
        let name = machine_name(&volume.owner);
        world.docker.remove_volume(&name, None::<RemoveVolumeOptions>).await.expect("remove");
        umount(&dir.join("mount"));
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let id = start_user(fixture, &volume).await;
        assert_eq!(shell(fixture, &id, "cat /data/file").await, (0, "precious\n".to_owned()));
        fixture.backend.machines.remove(&id).await.expect("remove");

        // Half made and not wanted any more.
        let other = fixture.volume("other", 4);
        let dir = dir_of(world, &other);
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join("disk.ext4.new"), b"half").expect("a file");
        fixture.backend.volumes.remove(other.owner.uid).await.expect("remove");
        assert!(!dir.exists());
    })
    .await;
}

#[tokio::test]
async fn volume_that_was_cut_off_while_removed_goes_on_to_go() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let volume = fixture.volume("data", 2);
        let dir = dir_of(world, &volume);
        // After Docker's handle went.
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let name = machine_name(&volume.owner);
        world.docker.remove_volume(&name, None::<RemoveVolumeOptions>).await.expect("remove");
        fixture.backend.volumes.remove(volume.owner.uid).await.expect("remove");
        assert!(!dir.exists());
        // After the file went, with another process of ours having mounted it.
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        world.docker.remove_volume(&name, None::<RemoveVolumeOptions>).await.expect("remove");
        std::fs::remove_file(dir.join("disk.ext4")).expect("remove");
        assert_eq!(fixture.backend.volumes.find(volume.owner.uid).await.expect("find"), None);
        fixture.backend.volumes.remove(volume.owner.uid).await.expect("remove");
        assert!(!dir.exists());
        // The same, but made anew instead: on the new file, not on the deleted one that is still mounted.
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        std::fs::remove_file(dir.join("disk.ext4")).expect("remove");
        assert!(fixture.backend.volumes.ensure(&volume).await.expect("ensure").ready);
        assert!(
            loop_files().iter().all(|file| !file.ends_with("(deleted)") || !file.contains(&*dir.to_string_lossy()))
        );
    })
    .await;
}

#[tokio::test]
async fn growth_that_was_cut_off_is_completed() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let volume = fixture.volume("data", 2);
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let larger = VolumeSpec { size_bytes: 128 << 20, ..volume.clone() };
        // The file has grown, nothing else.
        let disk = std::fs::OpenOptions::new().write(true).open(dir_of(world, &volume).join("disk.ext4"));
        disk.expect("the file").set_len(larger.size_bytes).expect("grow");
        assert_eq!(fixture.backend.volumes.ensure(&larger).await.expect("ensure").size_bytes, larger.size_bytes);
        let id = start_user(fixture, &larger).await;
        let (code, text) = shell(fixture, &id, "dd if=/dev/zero of=/data/fill bs=65536 count=1024").await;
        assert_eq!(code, 0, "{text}");
    })
    .await;
}

#[tokio::test]
async fn handle_that_leads_elsewhere_is_made_anew() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let volume = fixture.volume("data", 2);
        let name = machine_name(&volume.owner);
        // A plain volume of that name: what Docker makes by itself for a mount that it does not know.
        let plain = VolumeCreateRequest { name: Some(name.clone()), ..VolumeCreateRequest::default() };
        world.docker.create_volume(plain).await.expect("create");
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let handle = world.docker.inspect_volume(&name).await.expect("inspect");
        let data = dir_of(world, &volume).join("mount/data");
        assert_eq!(handle.options.get("device").map(PathBuf::from), Some(data));
    })
    .await;
}

#[tokio::test]
async fn second_process_finds_what_the_first_one_made() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let volume = fixture.volume("data", 2);
        let made = fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let id = start_user(fixture, &volume).await;
        let second = open(&world.options, world.fixture.backend.firewall.clone(), world.fixture.backend.names.clone())
            .expect("the adapter is set up");
        assert_eq!(second.volumes.find(volume.owner.uid).await.expect("find"), Some(made));
        assert_eq!(second.machines.list().await.expect("list").len(), 1);
        second.volumes.ensure(&volume).await.expect("ensure");
        second.machines.remove(&id).await.expect("remove");
        second.volumes.remove(volume.owner.uid).await.expect("remove");
    })
    .await;
}

#[tokio::test]
async fn data_of_another_installation_is_left_alone() {
    daemon::run_with(async |world| {
        let volumes = &world.fixture.backend.volumes;
        let volume = world.fixture.volume("data", 2);
        let dir = dir_of(world, &volume);
        std::fs::create_dir_all(&dir).expect("a directory");
        let mut owner = volume.owner.clone();
        owner.installation = uuid::Uuid::from_u128(7);
        let record = serde_json::json!({"owner": owner, "size_bytes": volume.size_bytes}).to_string();
        std::fs::write(dir.join("volume.json"), &record).expect("a record");
        // Half made, and made.
        for made in [false, true] {
            if made {
                std::fs::write(dir.join("disk.ext4"), "precious").expect("a disk");
            }
            for error in [
                volumes.ensure(&volume).await.expect_err("it is not ours"),
                volumes.remove(volume.owner.uid).await.expect_err("it is not ours"),
                volumes.find(volume.owner.uid).await.expect_err("it is not ours"),
            ] {
                let Some(Conflict::Foreign { installation, .. }) = error.as_conflict() else { panic!("{error:?}") };
                assert_eq!(*installation, owner.installation);
            }
            assert_eq!(volumes.list().await.expect("list"), []);
        }
        assert_eq!(std::fs::read_to_string(dir.join("disk.ext4")).expect("the disk"), "precious");
        assert_eq!(std::fs::read_to_string(dir.join("volume.json")).expect("the record"), record);
        std::fs::remove_dir_all(&dir).expect("clean up");
    })
    .await;
}
