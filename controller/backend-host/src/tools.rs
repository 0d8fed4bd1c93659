//! Runs the host's own tools for packets, and says which package brings one that is missing.

use std::io;
use std::process::Stdio;

use controller_backend::Error;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Why a tool did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("`{program}` is not installed; it comes with the package `{package}`")]
    Missing { program: &'static str, package: &'static str },
    #[error("run `{program}`")]
    Run { program: &'static str, source: io::Error },
    #[error("`{program}` ended with {status}: {output}")]
    Refused { program: &'static str, status: String, output: String },
}

impl ToolError {
    pub(crate) fn during(self, action: &str) -> Error {
        match self {
            missing @ Self::Missing { .. } => Error::invalid(missing.to_string()),
            other => Error::failed(action, other),
        }
    }

    pub(crate) fn says(&self, text: &str) -> bool {
        matches!(self, Self::Refused { output, .. } if output.contains(text))
    }
}

fn package(program: &str) -> &'static str {
    if program == "nft" { "nftables" } else { "iptables" }
}

/// Runs a tool to its end, gives it `input` to read, and returns what it prints.
pub(crate) async fn run(program: &'static str, arguments: &[&str], input: &str) -> Result<String, ToolError> {
    let failed = |source| ToolError::Run { program, source };
    let path = std::env::var("PATH").unwrap_or_default();
    let spawned = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        // These live in sbin, which is not always on the path.
        .env("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ToolError::Missing { program, package: package(program) });
        }
        other => other.map_err(failed)?,
    };
    let stdin = child.stdin.take();
    let feed = async {
        let Some(mut stdin) = stdin else { return };
        // A tool that ends before it has read everything says why itself.
        let _ = stdin.write_all(input.as_bytes()).await;
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    let output = output.map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    // The tool repeats the whole input below each message.
    if let Some(end) = text.match_indices('\n').nth(3).map(|(place, _)| place) {
        text.truncate(end);
    }
    Err(ToolError::Refused { program, status: output.status.to_string(), output: text })
}
