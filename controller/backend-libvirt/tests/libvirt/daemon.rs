//! Gives each test an installation of its own on the host's libvirt and Docker, and checks that nothing of it is left.

use std::os::unix::fs::PermissionsExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use controller_backend::conformance::{Fixture, Hand, Traits};
use controller_backend::{
    Algorithm, Backend, Checksum, DiskFormat, DiskImageSpec, DiskSource, MachineId, Owner, Progress, Resources,
};
use controller_backend_docker::{DEFAULT_SOCKET, DockerOptions};
use controller_backend_libvirt::{DEFAULT_URI, DownloadLimits, LibvirtOptions, open};
use futures::FutureExt;
use ipnet::Ipv4Net;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

const DISK_FILE: &str = "tiny.qcow2";

/// Runs a test, takes down what it made whether it passed or not, and fails if anything is left.
pub async fn run(test: impl AsyncFnOnce(&Fixture)) {
    run_with(async |world| test(&world.fixture).await).await;
}

/// What a test of libvirt's own behaviour is given besides.
pub struct World {
    pub fixture: Fixture,
    home: PathBuf,
    disk: PathBuf,
}

impl World {
    /// Where its images are.
    pub fn images(&self) -> PathBuf {
        self.home.join("machines").join(self.fixture.installation.to_string()).join("images")
    }

    /// The same installation, reached another way.
    pub fn adapter_at(&self, uri: &str) -> Backend {
        adapter(&self.home, &self.disk, self.fixture.installation, uri)
    }
}

/// The same, for tests that look at libvirt itself.
pub async fn run_with(test: impl AsyncFnOnce(&World)) {
    run_in(tempfile::tempdir().expect("a directory"), test).await;
}

/// The same, with machines on a file system of their own that is soon full.
pub async fn run_with_little_room(test: impl AsyncFnOnce(&World)) {
    let home = tempfile::tempdir().expect("a directory");
    let Some(mounted) = SmallDisk::mount(home.path()) else {
        eprintln!("SKIPPED: this host mounts no file; nothing was tested");
        return;
    };
    run_in(home, test).await;
    drop(mounted);
}

async fn run_in(home: tempfile::TempDir, test: impl AsyncFnOnce(&World)) {
    let Some(disk) = test_disk() else {
        eprintln!("SKIPPED: no test image; `images/tiny-vm/build.sh` makes one, and CLOUD_TINY_VM names it");
        return;
    };
    if !answers("virsh", &["-c", DEFAULT_URI, "version"]) || !answers("docker", &["version"]) {
        eprintln!("SKIPPED: libvirt at {DEFAULT_URI} or Docker does not answer; nothing was tested");
        return;
    }
    // QEMU has a user of its own.
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711)).expect("it is ours");
    let (installation, stranger_installation) = (Uuid::new_v4(), Uuid::new_v4());
    let backend = adapter(home.path(), &disk, installation, DEFAULT_URI);
    let stranger = adapter(home.path(), &disk, stranger_installation, DEFAULT_URI);
    let image = Owner {
        installation,
        kind: "ClusterImage".to_owned(),
        namespace: String::new(),
        name: "tiny".to_owned(),
        uid: Uuid::new_v4(),
    };
    let spec = DiskImageSpec {
        owner: image.clone(),
        source: DiskSource::File(DISK_FILE.to_owned()),
        format: DiskFormat::Qcow2,
        max_bytes: None,
    };
    let images = backend.disk_images.clone().expect("the adapter has disk images");
    images.ensure(&spec, &Progress::default()).await.expect("the image is imported");
    let served = Served::start(&disk);
    let fixture = Fixture {
        range: free_range(&backend, installation).await,
        port: 0,
        disk_file: DISK_FILE.to_owned(),
        disk_url: Some((served.url.clone(), served.checksum.clone())),
        traits: Traits {
            runs_commands: false,
            publishes: false,
            renames_what_runs: false,
            smallest: Resources { cpu_millis: 1000, memory_bytes: 96 << 20, max_memory_bytes: None },
            grace: Duration::from_secs(60),
            polite_exit: 0,
        },
        hand: Arc::new(ByHand { machines: home.path().join("machines") }),
        backend,
        installation,
        stranger,
        stranger_installation,
        image: image.uid.to_string(),
    };

    let world = World { fixture, home: home.path().to_owned(), disk };
    let outcome = AssertUnwindSafe(test(&world)).catch_unwind().await;
    take_down(&world.fixture.backend).await;
    take_down(&world.fixture.stranger).await;
    let left = std::fs::read_dir(home.path().join("machines"))
        .map(|entries| entries.flatten().filter(|entry| entry.file_name() != LOST_FOUND).collect::<Vec<_>>());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    assert!(left.as_ref().is_ok_and(Vec::is_empty), "something is left: {left:?}");
}

fn adapter(home: &Path, disk: &Path, installation: Uuid, uri: &str) -> Backend {
    let docker = DockerOptions { installation, data_dir: home.join("data"), socket: PathBuf::from(DEFAULT_SOCKET) };
    let host = controller_backend_docker::open(
        &docker,
        controller_backend_host::firewall(installation),
        controller_backend_host::names(),
    )
    .expect("the host's adapter is set up");
    let image_dir = home.join("ready");
    std::fs::create_dir_all(&image_dir).expect("a directory");
    std::fs::copy(disk, image_dir.join(DISK_FILE)).expect("a copy of the test image");
    let options = LibvirtOptions {
        installation,
        uri: uri.to_owned(),
        machine_dir: home.join("machines"),
        image_dir: Some(image_dir),
        downloads: DownloadLimits { allow_private: true, ..DownloadLimits::default() },
    };
    open(&options, &host, controller_backend_host::host_ports()).expect("the adapter is set up")
}

/// The tests' disk, served by HTTP on this host.
struct Served {
    url: String,
    checksum: Checksum,
    _server: JoinSet<()>,
}

impl Served {
    fn start(disk: &Path) -> Self {
        let content = Arc::new(std::fs::read(disk).expect("the test image"));
        let checksum = Checksum::new(Algorithm::Sha256, &Sha256::digest(content.as_slice()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("it is ours");
        let listener = TcpListener::from_std(listener).expect("a runtime");
        let url = format!("http://{}/{DISK_FILE}", listener.local_addr().expect("it listens"));
        let mut server = JoinSet::new();
        server.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 1024];
                let length = stream.read(&mut asked).await.unwrap_or_default();
                let there = asked[..length].starts_with(format!("GET /{DISK_FILE} ").as_bytes());
                let (status, body) = if there { ("200 OK", content.as_slice()) } else { ("404 Not Found", &[][..]) };
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(body).await;
            }
        });
        Self { url, checksum, _server: server }
    }
}

fn test_disk() -> Option<PathBuf> {
    let cache = || {
        let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
        Some(home.join("the-cloud/vm/tiny.qcow2"))
    };
    let path = std::env::var_os("CLOUD_TINY_VM").map(PathBuf::from).or_else(cache)?;
    path.is_file().then_some(path)
}

fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// A range outside 10.128.0.0/9, where a live installation has its own.
async fn free_range(backend: &Backend, installation: Uuid) -> Ipv4Net {
    let occupied = backend.networks.occupied_ranges().await.expect("occupied ranges");
    let seed = u16::from_be_bytes([installation.as_bytes()[0], installation.as_bytes()[1]]);
    (0..64)
        .map(|step: u16| {
            let [high, low] = seed.wrapping_add(step.wrapping_mul(257)).to_be_bytes();
            Ipv4Net::new([10, 64 + high % 64, low, 0].into(), 24).expect("a range")
        })
        .find(|range| occupied.iter().all(|other| !other.cidr.contains(range) && !range.contains(&other.cidr)))
        .expect("one of many ranges is free")
}

async fn take_down(backend: &Backend) {
    for machine in backend.machines.list().await.expect("list") {
        backend.machines.remove(&machine.id).await.expect("remove a machine");
    }
    for snapshot in backend.machine_snapshots.list().await.expect("list") {
        backend.machine_snapshots.remove(snapshot.owner.uid).await.expect("remove a snapshot");
    }
    let images = backend.disk_images.clone().expect("the adapter has disk images");
    for image in images.list().await.expect("list") {
        images.remove(image.owner.uid).await.expect("remove an image");
    }
    for network in backend.networks.list().await.expect("list") {
        backend.networks.remove(network.owner.uid).await.expect("remove a network");
    }
    for owner in backend.files.list().await.expect("list") {
        backend.files.remove(owner).await.expect("remove what was left");
    }
    for volume in backend.volumes.list().await.expect("list") {
        // Who serves a directory to a machine ends a moment after the machine.
        let started = std::time::Instant::now();
        while let Err(error) = backend.volumes.remove(volume.owner.uid).await {
            assert!(started.elapsed() < Duration::from_secs(30), "a volume can't be removed: {error:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

struct ByHand {
    machines: PathBuf,
}

/// What fills the file system that machines are on.
const FILLER: &str = "lost+found/filler";
/// What every ext4 has.
const LOST_FOUND: &str = "lost+found";

/// An ext4 of 4 GiB in a sparse file (an image is imported only where much is free), mounted where machines are; unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(home: &Path) -> Option<Self> {
        let (file, place) = (home.join("disk"), home.join("machines"));
        std::fs::create_dir(&place).expect("a directory");
        let bytes = std::fs::File::create(&file).and_then(|file| file.set_len(4 << 30));
        bytes.expect("a sparse file");
        let (file, at) = (file.to_string_lossy(), place.to_string_lossy());
        (answers("mkfs.ext4", &["-q", &file]) && answers("mount", &["-o", "loop", &file, &at])).then_some(Self(place))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let is_gone = answers("umount", &[&self.0.to_string_lossy()]);
        assert!(is_gone || std::thread::panicking(), "the file system stays mounted");
    }
}

/// `virsh ARGUMENTS`, which must succeed.
pub fn virsh(arguments: &[&str]) -> String {
    let output = Command::new("virsh").args(["-c", DEFAULT_URI, "-q"]).args(arguments).output().expect("virsh runs");
    assert!(output.status.success(), "virsh {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[async_trait]
impl Hand for ByHand {
    async fn kill(&self, id: &MachineId) {
        virsh(&["destroy", &id.0]);
    }

    async fn remove(&self, id: &MachineId) {
        virsh(&["destroy", &id.0]);
        virsh(&["undefine", &id.0]);
    }

    async fn rename(&self, id: &MachineId, name: &str) {
        virsh(&["domrename", &id.0, name]);
    }

    /// As much as whoever isn't root could write: QEMU runs as somebody else.
    async fn take_room(&self, _: &MachineId) {
        let room = Command::new("df").args(["-B1", "--output=avail"]).arg(&self.machines).output().expect("df runs");
        let room = String::from_utf8_lossy(&room.stdout).lines().last().expect("a number").trim().to_owned();
        let filler = self.machines.join(FILLER);
        assert!(answers("fallocate", &["--length", &room, &filler.to_string_lossy()]), "{room} bytes can't be taken");
    }

    async fn give_room(&self, _: &MachineId) {
        std::fs::remove_file(self.machines.join(FILLER)).expect("it was filled");
    }

    async fn disconnect(&self, id: &MachineId) {
        let runs = virsh(&["domstate", &id.0]).trim() == "running";
        let (scope, list): (_, &[&str]) = if runs { ("--live", &[]) } else { ("--config", &["--inactive"]) };
        let has_card = || virsh(&[&["domiflist", id.0.as_str()], list].concat()).contains("bridge");
        let begun = std::time::Instant::now();
        // A guest that is still booting doesn't hear that it is asked.
        while has_card() {
            assert!(begun.elapsed() < Duration::from_secs(120), "the guest never lets go of its card");
            let _ =
                Command::new("virsh").args(["-c", DEFAULT_URI, "detach-interface", &id.0, "bridge", scope]).output();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
