//! One cloud: a `cloudd` process with its own data directory, and the clients pointed at it.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::clients::limited;
use crate::docker::Docker;
use crate::libvirt::Libvirt;
use crate::run::{Output, run_command};
use crate::wait::{eventually, eventually_within};

/// Which database the cloud keeps its state in.
#[derive(Debug, Clone, Default)]
pub enum Store {
    /// SQLite, below the data directory.
    #[default]
    Sqlite,
    /// PostgreSQL, by URL.
    Postgres(String),
}

/// Which parts run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    #[default]
    AllInOne,
    /// `cloudd apiserver`.
    Apiserver,
}

/// How a cloud is started.
#[derive(Debug, Default)]
pub struct CloudBuilder {
    role: Role,
    joins: Option<(PathBuf, PathBuf)>,
    store: Store,
    docker: Docker,
    libvirt: Libvirt,
    fake: bool,
    arguments: Vec<String>,
    through: Vec<String>,
    disk_bytes: Option<u64>,
}

impl CloudBuilder {
    /// Keeps the state there.
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Runs only this part.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Joins the installation of another: has its sealing key, and its administrator's token.
    #[must_use]
    pub fn joining(mut self, other: &Cloud) -> Self {
        self.joins = Some((other.data_dir().join("secret.key"), other.kubeconfig()));
        self
    }

    /// Drives this daemon instead of the machine's own.
    #[must_use]
    pub fn docker(mut self, docker: Docker) -> Self {
        self.docker = docker;
        self
    }

    /// Drives this libvirt instead of the machine's own.
    #[must_use]
    pub fn libvirt(mut self, libvirt: Libvirt) -> Self {
        self.libvirt = libvirt;
        self
    }

    /// Has the fake backend instead of a Docker: machines that are there at once, and nothing real.
    #[must_use]
    pub fn fake(mut self) -> Self {
        self.fake = true;
        self
    }

    /// Adds an argument to cloudd's command line.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Keeps its data on a disk of its own, of this size.
    #[must_use]
    pub fn small_disk(mut self, bytes: u64) -> Self {
        self.disk_bytes = Some(bytes);
        self
    }

    /// Runs cloudd through this command, which takes things away from it.
    #[must_use]
    pub fn through(mut self, command: &[&str]) -> Self {
        self.through = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts it and waits until it answers.
    #[must_use]
    pub fn start(self) -> Cloud {
        let home = tempfile::Builder::new().prefix("the-cloud-e2e-").tempdir().expect("a temporary directory");
        if let Some((key, kubeconfig)) = &self.joins {
            fs::copy(key, home.path().join("joined.key")).expect("the key can be copied");
            fs::copy(kubeconfig, home.path().join("kubeconfig")).expect("the kubeconfig can be copied");
        }
        // QEMU has a user of its own, which must reach the disks of virtual machines; the rest is private by itself.
        fs::set_permissions(home.path(), Permissions::from_mode(0o711)).expect("the directory is ours");
        if let Some(bytes) = self.disk_bytes {
            mount_disk(home.path(), bytes);
        }
        let mut cloud = Cloud {
            home: Some(home),
            role: self.role,
            store: self.store,
            docker: self.docker,
            libvirt: self.libvirt,
            fake: self.fake,
            arguments: self.arguments,
            through: self.through,
            process: None,
            starts: 0,
        };
        cloud.launch();
        cloud
    }
}

/// A running cloud. Dropping it kills the process and removes everything that it made.
#[derive(Debug)]
pub struct Cloud {
    home: Option<tempfile::TempDir>,
    role: Role,
    store: Store,
    docker: Docker,
    libvirt: Libvirt,
    fake: bool,
    arguments: Vec<String>,
    through: Vec<String>,
    process: Option<Child>,
    starts: u32,
}

impl Cloud {
    /// A cloud with SQLite on the machine's own Docker.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A cloud of another make.
    #[must_use]
    pub fn builder() -> CloudBuilder {
        CloudBuilder::default()
    }

    /// The daemon that it drives.
    #[must_use]
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.home().join("data")
    }

    /// Where it keeps the disks of virtual machines.
    #[must_use]
    pub fn machine_dir(&self) -> PathBuf {
        self.home().join("machines")
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.home().join("kubeconfig")
    }

    /// The installation's id, which every real thing of it bears.
    #[must_use]
    pub fn installation(&self) -> String {
        fs::read_to_string(self.data_dir().join("installation")).unwrap_or_default().trim().to_owned()
    }

    /// What cloudd has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.home().join("cloudd.log")).unwrap_or_default()
    }

    /// The id of the cloudd process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map(Child::id).unwrap_or_default()
    }

    fn home(&self) -> &Path {
        self.home.as_ref().expect("the directory lives as long as the cloud").path()
    }

    /// Keeps the state elsewhere from the next start on.
    pub fn keep_state_in(&mut self, store: Store) {
        self.store = store;
    }

    /// Starts the process on the data there is, and waits until it answers.
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "cloudd runs already");
        self.starts += 1;
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.home().join("cloudd.log"))
            .expect("the log file can be opened");
        // The first start picks a free port; later ones keep it, so that clients find the server again.
        let listen = if self.starts == 1 { "127.0.0.1:0".to_owned() } else { self.address() };
        // One that joins begins with the kubeconfig of the first, which answers in its place until it has its own.
        let others = (self.starts == 1 && self.kubeconfig().exists()).then(|| self.address());
        let store = match &self.store {
            Store::Sqlite => "sqlite".to_owned(),
            Store::Postgres(url) => url.clone(),
        };
        let words = self.through.iter().map(PathBuf::from).chain([binary("cloudd")]).collect::<Vec<_>>();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        if self.role == Role::Apiserver {
            command.arg("apiserver");
        }
        command.arg("--data-dir").arg(self.data_dir()).arg("--kubeconfig").arg(self.kubeconfig());
        command.args(["--listen", &listen, "--store", &store]);
        if self.role == Role::AllInOne {
            command.args(["--docker-socket", self.docker.socket()]).args(self.fake.then_some("--compute-backend=fake"));
            command.args(["--libvirt-uri", self.libvirt.uri()]).arg("--machine-dir").arg(self.machine_dir());
        }
        let joined = self.home().join("joined.key");
        if joined.exists() {
            command.arg("--key-file").arg(joined);
        }
        let child = command
            .args(&self.arguments)
            .env("RUST_LOG", std::env::var("E2E_LOG").unwrap_or_else(|_| "info".to_owned()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be copied"))
            .stderr(log)
            .spawn()
            .expect("cloudd can be started; build it with `cargo build -p cloudd -p cloudctl`");
        self.process = Some(child);
        eventually_within(Duration::from_secs(60), "cloudd to answer", || {
            let process = self.process.as_mut().expect("it was just started");
            if let Ok(Some(status)) = process.try_wait() {
                panic!("cloudd ended with {status}:\n{}", self.log());
            }
            if others.as_ref().is_some_and(|others| *others == self.address()) {
                return Err("its kubeconfig is still that of the cloud it joins".to_owned());
            }
            let answer = self.cloudctl(&["version"]);
            if answer.code == 0 { Ok(()) } else { Err(answer.to_string()) }
        });
    }

    /// The address that the kubeconfig names.
    #[must_use]
    pub fn address(&self) -> String {
        let text = fs::read_to_string(self.kubeconfig()).expect("the kubeconfig is there");
        let config: Value = serde_saphyr::from_str(&text).expect("the kubeconfig is YAML");
        let server = config["clusters"][0]["cluster"]["server"].as_str().expect("it names a server").to_owned();
        server.trim_start_matches("https://").to_owned()
    }

    /// `kill -9`, as a pulled plug does it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// SIGTERM, and waits for the end. Returns the exit code.
    pub fn stop(&mut self) -> i32 {
        let Some(mut process) = self.process.take() else { return 0 };
        let _ = crate::run("kill", [process.id().to_string()], "");
        process.wait().ok().and_then(|status| status.code()).unwrap_or(-1)
    }

    /// `cloudctl ARGUMENTS`.
    #[must_use]
    pub fn cloudctl(&self, arguments: &[&str]) -> Output {
        self.cloudctl_with(arguments, "")
    }

    /// `cloudctl ARGUMENTS` with standard input.
    #[must_use]
    pub fn cloudctl_with(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut command = Command::new(binary("cloudctl"));
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(arguments).env("NO_COLOR", "1");
        run_command(&mut command, stdin)
    }

    /// The same, ended after some seconds: for what goes on as long as somebody looks.
    #[must_use]
    pub fn cloudctl_for(&self, seconds: u32, arguments: &[&str], stdin: &str) -> Output {
        let mut command = Command::new("timeout");
        command.arg(seconds.to_string()).arg(binary("cloudctl")).arg("--kubeconfig").arg(self.kubeconfig());
        command.args(arguments).env("NO_COLOR", "1");
        run_command(&mut command, stdin)
    }

    /// `kubectl ARGUMENTS`, with a cache of its own.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_with(arguments, "")
    }

    /// `kubectl ARGUMENTS` with standard input.
    #[must_use]
    pub fn kubectl_with(&self, arguments: &[&str], stdin: &str) -> Output {
        let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
        let mut command = Command::new(program);
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .arg("--cache-dir")
            .arg(self.home().join("kubectl-cache"))
            .args(arguments)
            .env("EDITOR", "true");
        run_command(&mut command, stdin)
    }

    /// A real client that finds this cloud by `KUBECONFIG`, has a home of its own, and ends after a minute at the latest.
    #[must_use]
    pub fn client(&self, program: impl AsRef<OsStr>) -> Command {
        let home = self.home().join("client");
        fs::create_dir_all(&home).expect("a directory can be made in the cloud's own");
        let mut command = limited(program);
        command.env("KUBECONFIG", self.kubeconfig()).env("HOME", &home).current_dir(&home);
        for variable in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env_remove(variable);
        }
        command
    }

    /// `cloudctl apply -f -` of this YAML, which must succeed. Returns what it said.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> String {
        self.cloudctl_with(&["apply", "-f", "-"], yaml).ok()
    }

    /// An object as JSON; null while it doesn't exist.
    #[must_use]
    pub fn object(&self, kind: &str, name: &str) -> Value {
        let output = self.cloudctl(&["get", kind, name, "-o", "json"]);
        if output.code == 0 { serde_json::from_str(&output.stdout).expect("-o json is JSON") } else { Value::Null }
    }

    /// Waits until an object is as wanted, and returns it.
    #[track_caller]
    pub fn await_object(&self, kind: &str, name: &str, awaited: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        eventually(&format!("{kind}/{name} {awaited}"), || {
            let object = self.object(kind, name);
            if wanted(&object) { Ok(object) } else { Err(object) }
        })
    }

    /// Waits until a condition of an object is True, and returns the object.
    #[track_caller]
    pub fn await_ready(&self, kind: &str, name: &str) -> Value {
        self.await_object(kind, name, "to be Ready", |object| {
            condition(object, "Ready")["status"] == "True"
                && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        })
    }

    /// The id of the one container of an Instance.
    #[must_use]
    #[track_caller]
    pub fn container(&self, instance: &str) -> String {
        let uid = self.object("instances", instance)["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let filter = format!("label=thecloud.dev/uid={uid}");
        let ids = self.docker.call(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]).ok();
        let ids: Vec<&str> = ids.lines().collect();
        assert_eq!(ids.len(), 1, "Instance `{instance}` has the containers {ids:?}");
        ids[0].to_owned()
    }

    /// Everything real that this installation has.
    #[must_use]
    pub fn leftovers(&self) -> Vec<String> {
        let mut left = self.docker.leftovers(&self.installation(), &self.data_dir());
        left.extend(self.libvirt.leftovers(&self.installation(), &self.machine_dir()));
        left
    }
}

/// The file of a cloud's own disk.
const DISK: &str = "disk.img";

/// Mounts a disk where a cloud is going to keep its data.
fn mount_disk(home: &Path, bytes: u64) {
    let (disk, data) = (home.join(DISK), home.join("data"));
    File::create(&disk).and_then(|file| file.set_len(bytes)).expect("a file can be made");
    fs::create_dir(&data).expect("a directory can be made");
    let _ =
        crate::run("mkfs.ext4", [OsStr::new("-q"), "-F".as_ref(), "-m".as_ref(), "0".as_ref(), disk.as_os_str()], "")
            .ok();
    let _ = crate::run("mount", [OsStr::new("-o"), "loop".as_ref(), disk.as_os_str(), data.as_os_str()], "").ok();
    fs::remove_dir(data.join("lost+found")).expect("nothing but the cloud's own is there");
    fs::set_permissions(&data, Permissions::from_mode(0o700)).expect("the directory is ours");
}

/// The condition of this type, or null.
#[must_use]
pub fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    object["status"]["conditions"]
        .as_array()
        .and_then(|conditions| conditions.iter().find(|condition| condition["type"] == type_))
        .unwrap_or(&Value::Null)
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- cloudd's log, its end");
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(60)..] {
                eprintln!("{line}");
            }
            for arguments in [["get", "all", "-o", "wide"].as_slice(), &["events"]] {
                eprintln!("--- {}", self.cloudctl(arguments));
            }
            if !self.fake {
                eprintln!("--- {:#?}", self.leftovers());
            }
        }
        let installation = self.installation();
        self.kill();
        if !installation.is_empty() && !self.fake {
            self.libvirt.purge(&installation);
            self.docker.purge(&installation, &self.data_dir());
        }
        if self.home().join(DISK).exists() {
            let _ = crate::run("umount", [OsStr::new("--lazy"), self.data_dir().as_os_str()], "");
        }
        // Nothing that these tests do is a reason for a person to look at the log.
        if !std::thread::panicking() {
            let log = self.log();
            let bad: Vec<&str> =
                log.lines().filter(|line| line.contains(" ERROR ") || line.contains("panicked at")).collect();
            assert!(bad.is_empty(), "cloudd logged {bad:#?}");
        }
    }
}

/// A program as this checkout builds it: beside this one, or one folder up where this one is a test.
///
/// # Panics
/// It is not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its own file");
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not built; run `cargo build -p cloudd -p cloudctl`"))
}
