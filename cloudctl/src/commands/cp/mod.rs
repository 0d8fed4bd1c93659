//! `cp`: files and folders into and out of a machine, by the `tar` that the machine has.

use std::path::{Path, PathBuf};

use tokio_util::io::SyncIoBridge;

use super::exec::{self, Ran};
use super::targets::{self, Named};
use crate::api::{Catalog, Session};
use crate::args::Global;
use crate::args::instances::CpArgs;
use crate::connect;
use crate::error::Error;
use crate::output::Screen;

mod pack;
mod unpack;

use unpack::Place;

/// How much of an archive waits between here and the machine.
const BUFFER: usize = 256 * 1024;

/// One end of a copy.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Here(PathBuf),
    There { machine: String, path: String },
}

impl End {
    /// `NAME:/PATH` or a path here; one with a colon begins with `./` or `/`.
    fn parse(text: &str) -> Result<Self, String> {
        let Some((machine, path)) = text.split_once(':').filter(|(machine, _)| is_name(machine)) else {
            return Ok(Self::Here(PathBuf::from(text)));
        };
        if !path.starts_with('/') {
            return Err(format!("`{text}`: a path in a machine begins with `/`: {machine}:/{path}"));
        }
        Ok(Self::There { machine: machine.to_owned(), path: path.to_owned() })
    }
}

/// Whether this is NAME or KIND/NAME, and no path.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(['.', '/', '~'])
}

/// Copies.
pub(super) async fn run(args: &CpArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let from = End::parse(&args.from).map_err(Error::Usage)?;
    let to = End::parse(&args.to).map_err(Error::Usage)?;
    let machine = match (&from, &to) {
        (End::There { machine, .. }, End::Here(_)) | (End::Here(_), End::There { machine, .. }) => machine,
        (End::Here(_), End::Here(_)) => {
            return Err(Error::Usage("one side is a machine's: NAME:/PATH".to_owned()));
        }
        (End::There { .. }, End::There { .. }) => {
            return Err(Error::Usage("one side is here: copy out of one machine, then into the other".to_owned()));
        }
    };
    if let End::Here(path) = &from
        && let Err(error) = path.symlink_metadata()
    {
        return Err(Error::NotFound(format!("`{}`: {error}", path.display())));
    }
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let named = targets::with_stream(machine, "exec", &catalog, session.namespace())?;
    match (&from, &to) {
        (End::There { path, .. }, End::Here(to)) => download(&session, &named, path, to, screen).await,
        (End::Here(from), End::There { path, .. }) => upload(&session, &named, from, path).await,
        _ => unreachable!("both sides were looked at above"),
    }
}

async fn download(session: &Session, named: &Named, path: &str, to: &Path, screen: &Screen) -> Result<(), Error> {
    let (folder, base) = parts(path)?;
    let place = if to.is_dir() {
        Place::Inside(to.to_owned())
    } else if to.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Error::NotFound(format!("`{}` is no folder", to.display())));
    } else {
        Place::As(to.to_owned())
    };
    let (output, archive) = tokio::io::duplex(BUFFER);
    let archive = SyncIoBridge::new(archive);
    let name = base.to_owned();
    let unpacking = tokio::task::spawn_blocking(move || unpack::unpack(archive, &name, &place));
    // With `./` a name may begin with a dash.
    let command = ["tar", "-C", folder, "-cf", "-", &format!("./{base}")];
    let ran = exec::collect(session, named, &command, None::<tokio::io::Empty>, output).await;
    let unpacked = unpacking.await.map_err(|error| Error::Failed(error.to_string()))?;
    // The side that broke it off says more than the one that was left alone; without `tar` there is no archive at all.
    if let Ok(ran) = &ran
        && (ran.code != 0 || unpacked.is_ok())
    {
        judge(ran, named, "tar")?;
    }
    let unpacked =
        unpacked.map_err(|error| Error::Failed(format!("{}:{path} can't be copied: {error}", named.name)))?;
    ran?;
    for skipped in &unpacked.skipped {
        screen.warning(&format!("left out {skipped}"));
    }
    if unpacked.entries == 0 {
        return Err(Error::Failed(format!("nothing came from {}:{path}", named.name)));
    }
    Ok(())
}

async fn upload(session: &Session, named: &Named, from: &Path, path: &str) -> Result<(), Error> {
    let nothing = || (None::<tokio::io::Empty>, tokio::io::sink());
    let (input, output) = nothing();
    let test = exec::collect(session, named, &["test", "-d", path], input, output).await?;
    let is_folder = test.code == 0;
    if test.code > 1 {
        judge(&test, named, "test")?;
    }
    let own = from.canonicalize().map_err(|error| Error::Failed(format!("`{}`: {error}", from.display())))?;
    let own = own.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let (folder, name) = if is_folder {
        let own = own.ok_or_else(|| Error::Usage(format!("`{}` has no name to copy it under", from.display())))?;
        (path, own)
    } else if path.ends_with('/') {
        return Err(Error::NotFound(format!("`{path}` is no folder in {}", named.full())));
    } else {
        let (folder, base) = parts(path)?;
        (folder, base.to_owned())
    };
    let (archive, input) = tokio::io::duplex(BUFFER);
    let archive = SyncIoBridge::new(archive);
    let from = from.to_owned();
    let packing = tokio::task::spawn_blocking(move || pack::pack(&from, &name, archive));
    // Owners here mean nothing there.
    let command = ["tar", "-C", folder, "-xof", "-"];
    let ran = exec::collect(session, named, &command, Some(input), tokio::io::sink()).await;
    let packed = packing.await.map_err(|error| Error::Failed(error.to_string()))?;
    if let Ok(ran) = &ran {
        judge(ran, named, "tar")?;
    }
    ran?;
    packed.map_err(|error| Error::Failed(format!("not all of it was copied: {error}")))
}

/// The folder that something is in, and its name there.
fn parts(path: &str) -> Result<(&str, &str), Error> {
    let trimmed = path.trim_end_matches('/');
    let (folder, base) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
    if matches!(base, "" | "." | "..") {
        return Err(Error::Usage(format!("`{path}` has no name; name a file or folder, such as /etc/hosts")));
    }
    Ok((if folder.is_empty() { "/" } else { folder }, base))
}

/// What a program that failed says.
fn judge(ran: &Ran, named: &Named, program: &str) -> Result<(), Error> {
    match ran.code {
        0 => Ok(()),
        126 | 127 => Err(Error::Failed(format!(
            "{} has no `{program}`, by which files are copied: its image lacks it; `exec` with a program that it has, or a \
             Volume, gets files in and out",
            named.full()
        ))),
        code => {
            let said = ran.stderr.trim();
            let said = if said.is_empty() { format!("{program} ended with {code}") } else { said.to_owned() };
            Err(Error::Failed(format!("{}: {said}", named.full())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_end_is_a_machine_when_a_name_comes_before_the_colon() {
        let there = |machine: &str, path: &str| End::There { machine: machine.into(), path: path.into() };
        assert_eq!(End::parse("web:/etc/hosts"), Ok(there("web", "/etc/hosts")));
        assert_eq!(End::parse("inst/web:/a:b"), Ok(there("inst/web", "/a:b")));
        for here in ["web", "./a:b", "/a:b", "~/a:b", ":x"] {
            assert_eq!(End::parse(here), Ok(End::Here(here.into())), "{here}");
        }
        assert!(End::parse("web:etc").unwrap_err().contains("web:/etc"));
    }

    #[test]
    fn path_has_a_folder_and_a_name() {
        assert_eq!(parts("/etc/hosts").unwrap(), ("/etc", "hosts"));
        assert_eq!(parts("/srv/www/").unwrap(), ("/srv", "www"));
        assert_eq!(parts("/etc").unwrap(), ("/", "etc"));
        for nothing in ["/", "/..", "/a/.", "//"] {
            assert!(parts(nothing).is_err(), "{nothing}");
        }
    }

    #[test]
    fn missing_program_is_named_and_another_failure_is_told_in_its_own_words() {
        let named = Named { resource: crate::api::Resource::default(), namespace: "n".into(), name: "web".into() };
        let ran = |code, stderr: &str| Ran { code, stderr: stderr.into() };
        assert!(judge(&ran(0, ""), &named, "tar").is_ok());
        let error = judge(&ran(127, "exec failed"), &named, "tar").unwrap_err().to_string();
        assert!(error.contains("has no `tar`"), "{error}");
        let error = judge(&ran(1, "tar: ./x: No such file or directory\n"), &named, "tar").unwrap_err().to_string();
        assert!(error.ends_with("tar: ./x: No such file or directory"), "{error}");
    }
}
