//! `admin backup`: everything that the cloud remembers, into one file that only its owner can read. The file bears its
//! name only once it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use serde_json::Value;

use crate::api::Session;
use crate::args::Global;
use crate::args::admin::BackupArgs;
use crate::connect;
use crate::error::Error;
use crate::output::Screen;

/// How the last line begins, and the most that it is long.
const END: &[u8] = b"{\"end\":";
const LAST_LINE: usize = 256;

/// Writes a backup.
pub(super) async fn run(args: &BackupArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let path = if args.plain_secrets { "/admin/v1/backup?secrets=plain" } else { "/admin/v1/backup" };
    if args.output == Path::new("-") {
        fetch(&session, path, |bytes| screen.bytes(bytes)).await?;
        return Ok(());
    }
    let mut draft = Draft::begin(&args.output).map_err(|error| cannot("write", &args.output, &error))?;
    let whole = fetch(&session, path, |bytes| draft.file.write_all(bytes)).await?;
    draft.keep(&args.output).map_err(|error| cannot("write", &args.output, &error))?;
    screen.line(&format!(
        "{}: {} objects, {}",
        args.output.display(),
        whole.objects,
        indicatif::HumanBytes(whole.bytes)
    ))?;
    if args.plain_secrets {
        screen.warning("Secrets are in it in the clear: keep it as you keep a password");
    } else {
        screen.note("Secrets are sealed in it: keep a copy of the cloud's `secret.key` too, but elsewhere.");
    }
    Ok(())
}

/// What came.
struct Whole {
    objects: u64,
    bytes: u64,
}

/// Hands on what comes, and makes sure that it came to its end.
async fn fetch(session: &Session, path: &str, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> Result<Whole, Error> {
    let mut pieces = session.bytes(path).await?;
    let (mut bytes, mut last) = (0, Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        write(&piece)?;
        bytes += piece.len() as u64;
        last.extend_from_slice(&piece[piece.len().saturating_sub(LAST_LINE)..]);
        last.drain(..last.len().saturating_sub(LAST_LINE));
    }
    match objects_in(&last) {
        Some(objects) => Ok(Whole { objects, bytes }),
        None => Err(Error::Failed("the backup broke off; nothing was kept of it. Take it again.".to_owned())),
    }
}

/// The number of objects that the last line tells; `None` if it is no last line.
fn objects_in(end: &[u8]) -> Option<u64> {
    let text = end.strip_suffix(b"\n")?;
    let begin = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    let line = &text[begin..];
    let value: Value = line.starts_with(END).then(|| serde_json::from_slice(line).ok())??;
    value["end"]["objects"].as_u64()
}

/// A file that goes unless it is kept.
struct Draft {
    file: File,
    path: Option<PathBuf>,
}

impl Draft {
    fn begin(target: &Path) -> io::Result<Self> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let path = target.with_file_name(name);
        let _left_by_another = fs::remove_file(&path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path: Some(path) })
    }

    fn keep(mut self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        match self.path.take() {
            Some(path) => fs::rename(path, target),
            None => Ok(()),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // It is only in the way; the next backup removes it.
            let _ = fs::remove_file(path);
        }
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_last_line_is_an_end() {
        assert_eq!(objects_in(b"{\"object\":1}\n{\"end\":{\"objects\":7,\"sha256\":\"\"}}\n"), Some(7));
        for cut in ["", "\n", "{\"object\":1}\n", "{\"end\":{\"objects\":7}}", "{\"end\":{\"objects\"\n"] {
            assert_eq!(objects_in(cut.as_bytes()), None, "{cut}");
        }
    }

    #[test]
    fn draft_is_private_and_leaves_nothing_unless_it_is_kept() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("b");
        drop(Draft::begin(&target).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        Draft::begin(&target).unwrap().keep(&target).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
