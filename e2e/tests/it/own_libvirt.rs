//! A libvirt of a test's own. Its processes have process numbers and directories of their own, so that all of them, its
//! guests too, end with the first of them: as those of a host do that is switched off.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use e2e::{Libvirt, Output, eventually, run};

/// The first process, which takes what the others leave. It hides the host's own libvirt, and the host's systemd, to which
/// libvirt would tell process numbers that mean others there. libvirt's logs of guests are where cloudd looks for them.
const FIRST: &str = "set -e
mount --bind $0/run /run/libvirt
mount --bind $0/lib /var/lib/libvirt
mount --bind $0/cache /var/cache/libvirt
mount --bind $0/etc /etc/libvirt
for hidden in /run/dbus /run/systemd; do [ ! -d $hidden ] || mount -t tmpfs tmpfs $hidden; done
touch $0/run/is-up
sleep infinity &
while :; do wait; done";

/// What is started in it. libvirt's log of consoles goes on while libvirt itself is away.
const DAEMONS: &str = "set -e
[ -e $0/run/virtlogd.pid ] || virtlogd -d -p $0/run/virtlogd.pid
rm -f $0/run/libvirtd.pid
libvirtd -d -f $0/libvirtd.conf -p $0/run/libvirtd.pid";

/// How it is ended, by this signal, and waited for.
const END: &str = "process=$(cat $0/run/libvirtd.pid)
kill -s $1 $process
while kill -0 $process 2> /dev/null; do sleep 0.05; done";

/// The daemon. Its guests and files go with it.
pub(crate) struct Libvirtd {
    folder: tempfile::TempDir,
    first: Option<Child>,
}

impl Libvirtd {
    /// In the network and with the mounts of who calls.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("tc-libvirtd-").tempdir().unwrap();
        // QEMU has a user of its own.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        for name in ["lib", "cache", "etc", "sock"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let at = folder.path().display();
        let config = format!(
            "unix_sock_dir = \"{at}/sock\"\nunix_sock_rw_perms = \"0700\"\nauth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\n\
             log_outputs = \"3:file:{at}/log\"\n"
        );
        fs::write(folder.path().join("libvirtd.conf"), config).unwrap();
        // What this host's QEMU can do, which takes long to find out, and how it is to be run.
        let known = format!("cp -a /var/cache/libvirt/. {at}/cache/; cp -a /etc/libvirt/qemu.conf {at}/etc/");
        let _ = run("sh", ["-c", &known], "");
        let mut daemon = Self { folder, first: None };
        daemon.switch_on();
        daemon
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The way to it.
    pub(crate) fn libvirt(&self) -> Libvirt {
        Libvirt::at(&format!("qemu+unix:///system?socket={}", self.path("sock/libvirt-sock").display()))
    }

    /// Starts everything anew, as a host does that was off.
    pub(crate) fn switch_on(&mut self) {
        assert!(self.first.is_none(), "it is on");
        let _ = fs::remove_dir_all(self.path("run"));
        fs::create_dir(self.path("run")).unwrap();
        // It ends with the test too, however that ends: `unshare` takes no notice of being asked to.
        let alone = "--pdeathsig KILL unshare --mount --propagation slave --pid --fork --kill-child --mount-proc";
        let first = Command::new("setpriv")
            .args(alone.split(' '))
            .args(["sh", "-c", FIRST])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.first = Some(first);
        eventually("the first process to be ready", || {
            if self.path("run/is-up").exists() { Ok(()) } else { Err("it has not mounted everything") }
        });
        self.launch();
    }

    /// Everything ends at once.
    pub(crate) fn switch_off(&mut self) {
        let Some(mut first) = self.first.take() else { return };
        let inside = child(&first);
        let _ = first.kill();
        let _ = first.wait();
        if let Some(inside) = inside {
            let gone = || !Path::new("/proc").join(inside.to_string()).exists();
            eventually("all its processes to end", || if gone() { Ok(()) } else { Err(inside) });
        }
    }

    /// Starts the daemon again.
    pub(crate) fn launch(&mut self) {
        let _ = self.inside(DAEMONS, &[]).ok();
        let libvirt = self.libvirt();
        eventually("the test's own libvirt to answer", || {
            let answer = libvirt.virsh(&["version"]);
            if answer.code == 0 { Ok(()) } else { Err((answer, fs::read_to_string(self.path("log")))) }
        });
    }

    /// Stops the daemon in order.
    pub(crate) fn stop(&mut self) {
        let _ = self.inside(END, &["TERM"]).ok();
    }

    /// `kill -9`: whatever the daemon was doing, it does no more.
    pub(crate) fn kill(&mut self) {
        let _ = self.inside(END, &["KILL"]).ok();
    }

    /// The processes of a guest, by its id.
    pub(crate) fn processes(&self, machine: &str) -> Vec<String> {
        let found = run("pgrep", ["--full", &format!("qemu-system.*-uuid {machine}")], "").stdout;
        found.lines().map(str::to_owned).collect()
    }

    fn inside(&self, script: &str, arguments: &[&str]) -> Output {
        let first = self.first.as_ref().and_then(child).expect("it is on");
        let target = first.to_string();
        let folder = self.folder.path().display().to_string();
        let enter = ["--target", &target, "--mount", "--pid", "sh", "-c", script, &folder];
        run("nsenter", enter.iter().chain(arguments), "")
    }
}

/// The one child of a process.
fn child(process: &Child) -> Option<u32> {
    let id = process.id();
    fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?.split_whitespace().next()?.parse().ok()
}

impl Drop for Libvirtd {
    fn drop(&mut self) {
        self.switch_off();
    }
}
