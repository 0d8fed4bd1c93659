//! Finds out whether virtual machines run on the processor itself. That `/dev/kvm` opens proves nothing, nor that a machine
//! can be made with it: a host that is itself a virtual machine may offer both and run no guest. So a guest is run, on
//! the processor that machines are given.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::OnceCell;

/// How machines run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceleration {
    /// On the processor.
    Kvm,
    /// Every instruction is translated.
    Software,
}

/// How machines run on this host, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How.
    pub acceleration: Acceleration,
    /// Why, for people.
    pub why: String,
}

/// How long the guest may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the guest says, and what QEMU makes of it: twice that, and one.
const WORD: u8 = 0x2a;
const EXIT_CODE: i32 = (WORD as i32) << 1 | 1;

static FOUND: OnceCell<Finding> = OnceCell::const_new();

/// How machines run here; found out once.
pub async fn find_acceleration() -> &'static Finding {
    FOUND
        .get_or_init(|| async {
            let finding = Finding::of(probe(Path::new("/dev/kvm"), "qemu-system-x86_64").await);
            tracing::info!(acceleration = ?finding.acceleration, why = finding.why, "how virtual machines run here");
            finding
        })
        .await
}

impl Finding {
    fn of(probed: Result<(), String>) -> Self {
        match probed {
            Ok(()) => Self { acceleration: Acceleration::Kvm, why: "a guest ran under KVM".to_owned() },
            Err(why) => Self { acceleration: Acceleration::Software, why },
        }
    }
}

/// `Ok` if a guest runs under KVM; else why not.
async fn probe(device: &Path, program: &str) -> Result<(), String> {
    if !device.exists() {
        return Err(format!("there is no {}", device.display()));
    }
    let folder = std::env::temp_dir().join(format!("tc-probe-{}", uuid::Uuid::new_v4()));
    tokio::fs::create_dir(&folder).await.map_err(|error| format!("no probe could be made: {error}"))?;
    let outcome = run(&folder.join("guest"), program).await;
    let _ = tokio::fs::remove_dir_all(&folder).await;
    outcome
}

async fn run(guest: &Path, program: &str) -> Result<(), String> {
    tokio::fs::write(guest, boot_sector()).await.map_err(|error| format!("no probe could be made: {error}"))?;
    let mut qemu = Command::new(program);
    qemu.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-machine",
        "pc,accel=kvm",
        "-cpu",
        "host",
        "-m",
        "16",
        "-no-reboot",
    ])
    .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x1"])
    .arg("-drive")
    .arg(format!("file={},format=raw,if=ide,readonly=off,snapshot=on", guest.display()))
    .stdin(Stdio::null())
    .stdout(Stdio::null())
    .stderr(Stdio::null())
    .kill_on_drop(true);
    let mut child = qemu.spawn().map_err(|error| format!("QEMU can't be run: {error}"))?;
    match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(Ok(status)) if status.code() == Some(EXIT_CODE) => Ok(()),
        Ok(Ok(status)) => Err(format!("a guest under KVM ended with {status}")),
        Ok(Err(error)) => Err(format!("QEMU can't be waited for: {error}")),
        Err(_) => Err(format!("a guest under KVM did nothing for {} s", PATIENCE.as_secs())),
    }
}

/// A guest of one sector: it says its word and rests.
fn boot_sector() -> Vec<u8> {
    let mut sector = vec![0xb0, WORD, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd];
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program in place of QEMU that ends like this.
    async fn probed(script: &str) -> Finding {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("qemu");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Finding::of(probe(Path::new("/dev/null"), &program.to_string_lossy()).await)
    }

    #[tokio::test]
    async fn only_a_guest_that_said_its_word_is_proof() {
        assert_eq!(probed("exit 85").await.acceleration, Acceleration::Kvm);
        let refused = probed("exit 1").await;
        assert_eq!(refused.acceleration, Acceleration::Software);
        assert!(refused.why.contains("ended with exit status: 1"), "{}", refused.why);
        let absent = Finding::of(probe(Path::new("/dev/absent"), "qemu").await);
        assert_eq!(absent, Finding { acceleration: Acceleration::Software, why: "there is no /dev/absent".to_owned() });
    }

    #[test]
    fn the_guest_is_a_sector_that_a_bios_boots() {
        let sector = boot_sector();
        assert_eq!((sector.len(), &sector[510..]), (512, [0x55, 0xaa].as_slice()));
    }
}
