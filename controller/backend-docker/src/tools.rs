//! Runs the host's own tools for file systems, and says which package brings one that is missing.

use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};

use controller_backend::Error;
use tokio::process::Command;

/// Why a tool did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("`{program}` is not installed; it comes with the package `{package}`")]
    Missing { program: &'static str, package: &'static str },
    #[error("run `{program}`")]
    Run { program: &'static str, source: io::Error },
    #[error("`{program}` ended with {status}: {output}")]
    Refused { program: &'static str, status: String, code: Option<i32>, output: String },
}

impl ToolError {
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Missing { .. } | Self::Run { .. } => None,
        }
    }

    pub(crate) fn says(&self, text: &str) -> bool {
        matches!(self, Self::Refused { output, .. } if output.contains(text))
    }

    pub(crate) fn during(self, action: impl Into<String>) -> Error {
        match self {
            missing @ Self::Missing { .. } => Error::Invalid { message: missing.to_string(), source: None },
            other => Error::failed(action, other),
        }
    }
}

/// The Debian package of each tool that is used.
fn package(program: &str) -> &'static str {
    match program {
        "mkfs.ext4" | "e2fsck" | "resize2fs" => "e2fsprogs",
        "fsfreeze" => "util-linux",
        // Of a test.
        "mkfs.btrfs" => "btrfs-progs",
        // Also `umount` and `losetup`.
        _ => "mount",
    }
}

/// Runs a tool to its end, with the C locale because some of its words are read.
pub(crate) async fn run<I, S>(program: &'static str, arguments: I) -> Result<(), ToolError>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::from(command(program));
    judge(program, command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await)
}

/// The same where waiting is allowed.
pub(crate) fn run_blocking<I, S>(program: &'static str, arguments: I) -> Result<(), ToolError>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    judge(program, command(program).args(arguments).stdin(Stdio::null()).output())
}

/// A program of the host, in the surroundings that all get.
pub(crate) fn command(program: &str) -> std::process::Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = std::process::Command::new(program);
    // These live in sbin, which is not always on the path.
    command.env("LC_ALL", "C").env("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"));
    command
}

fn judge(program: &'static str, output: io::Result<Output>) -> Result<(), ToolError> {
    match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(ToolError::Missing { program, package: package(program) })
        }
        Err(source) => Err(ToolError::Run { program, source }),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let mut text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if text.is_empty() {
                String::from_utf8_lossy(&output.stdout).trim().clone_into(&mut text);
            }
            Err(ToolError::Refused {
                program,
                status: output.status.to_string(),
                code: output.status.code(),
                output: text,
            })
        }
    }
}
