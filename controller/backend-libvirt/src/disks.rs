//! Makes and looks at disks with `qemu-img`. What is looked at may be hostile, so that its format is always said and never
//! guessed, and the tool has a limit of time.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use controller_backend::{DiskFormat, Error};
use serde::Deserialize;
use tokio::process::Command;

const LOOK: Duration = Duration::from_secs(30);
const MAKE: Duration = Duration::from_secs(60);
/// Reading a large image takes as long as the disk does.
const CONVERT: Duration = Duration::from_secs(3600);

/// What `qemu-img` says of a disk.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Info {
    pub(crate) virtual_size: u64,
    backing_filename: Option<String>,
    #[serde(default)]
    encrypted: bool,
    format_specific: Option<serde_json::Value>,
}

impl Info {
    /// Why the disk does not stand alone, if it does not.
    pub(crate) fn outside(&self) -> Option<String> {
        if let Some(file) = &self.backing_filename {
            return Some(format!("it refers to another file, `{file}`"));
        }
        let data_file = self.format_specific.as_ref().and_then(|format| format["data"]["data-file"].as_str());
        if let Some(file) = data_file {
            return Some(format!("it keeps its data in another file, `{file}`"));
        }
        self.encrypted.then(|| "it is encrypted".to_owned())
    }
}

fn word(format: DiskFormat) -> &'static str {
    match format {
        DiskFormat::Qcow2 => "qcow2",
        DiskFormat::Raw => "raw",
    }
}

/// What a disk of this format says of itself. Nothing that it refers to is opened.
pub(crate) async fn info(path: &Path, format: DiskFormat) -> Result<Info, Error> {
    let arguments = ["info".as_ref(), "-U".as_ref(), "--output=json".as_ref(), "-f".as_ref(), word(format).as_ref()];
    let output = qemu_img(&arguments, &[path], LOOK).await?;
    serde_json::from_slice(&output).map_err(|error| Error::failed("read what qemu-img says", error))
}

/// Copies a disk into one that stands alone and holds only what was written.
pub(crate) async fn copy(from: &Path, format: DiskFormat, to: &Path) -> Result<(), Error> {
    let arguments = ["convert", "-q", "-f", word(format), "-O", "qcow2", "-c"].map(AsRef::<OsStr>::as_ref);
    qemu_img(&arguments, &[from, to], CONVERT).await.map(drop)
}

/// Copies a disk of ours, with all that it stands on, into one that stands alone.
pub(crate) async fn flatten(from: &Path, to: &Path) -> Result<(), Error> {
    let arguments = ["convert", "-q", "-f", "qcow2", "-O", "qcow2"].map(AsRef::<OsStr>::as_ref);
    qemu_img(&arguments, &[from, to], CONVERT).await.map(drop)
}

/// Makes a disk that begins as `base` and keeps its own changes.
pub(crate) async fn overlay(base: &Path, disk: &Path, bytes: u64) -> Result<(), Error> {
    let arguments = [
        "create".as_ref(),
        "-q".as_ref(),
        "-f".as_ref(),
        "qcow2".as_ref(),
        "-F".as_ref(),
        "qcow2".as_ref(),
        "-b".as_ref(),
        base.as_os_str(),
    ];
    let size = bytes.to_string();
    qemu_img(&arguments, &[disk, size.as_ref()], MAKE).await.map(drop)
}

async fn qemu_img(arguments: &[&OsStr], last: &[&Path], limit: Duration) -> Result<Vec<u8>, Error> {
    let mut command = Command::new("qemu-img");
    command.args(arguments).args(last).stdin(Stdio::null()).kill_on_drop(true);
    let action = "run qemu-img";
    let output = match tokio::time::timeout(limit, command.output()).await {
        Ok(output) => output.map_err(|error| Error::failed(action, error))?,
        Err(_) => return Err(Error::failed(action, format!("it did not end within {} s", limit.as_secs()))),
    };
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::failed(action, said.trim().trim_start_matches("qemu-img: ").to_owned()))
}
