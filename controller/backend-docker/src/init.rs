//! Decides how the init of containers is called and where it is. It puts the environment that comes from Secrets into the
//! container's process, so that Docker never knows it.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bollard::models::ContainerInspectResponse;

/// The static program that the build script made.
const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// Where a container has the init, and the file set with its environment.
pub(crate) const PROGRAM: &str = "/.thecloud/init";
pub(crate) const ENVIRONMENT: &str = "/.thecloud/environment";

/// What the init of a container is made of.
#[derive(Debug)]
pub(crate) struct Init {
    /// The program, on the host.
    pub(crate) program: PathBuf,
    /// The file set, on the host.
    pub(crate) environment: PathBuf,
    /// What the image runs.
    pub(crate) entrypoint: Vec<String>,
    pub(crate) command: Vec<String>,
}

impl Init {
    /// The entrypoint and the arguments for Docker: those that a container without an init would have, after the init.
    pub(crate) fn words(&self, command: Option<&[String]>, args: Option<&[String]>) -> (Vec<String>, Vec<String>) {
        // An own command replaces the image's arguments, too.
        let default_args = if command.is_some() { &[] } else { self.command.as_slice() };
        let program = command.unwrap_or(&self.entrypoint);
        let mut words = vec![PROGRAM.to_owned(), program.len().to_string()];
        words.extend_from_slice(program);
        (words, args.unwrap_or(default_args).to_vec())
    }
}

/// A command for a container that runs, with the environment that its process has.
pub(crate) fn command(container: &ContainerInspectResponse, command: Vec<String>) -> Vec<String> {
    let entrypoint = container.config.as_ref().and_then(|config| config.entrypoint.as_ref());
    if entrypoint.and_then(|words| words.first()).is_none_or(|first| first != PROGRAM) {
        return command;
    }
    [PROGRAM.to_owned(), "exec".to_owned()].into_iter().chain(command).collect()
}

/// Puts the program into a directory of ours, whole or not at all; containers that run keep the one that they have.
pub(crate) fn install(root: &Path) -> io::Result<PathBuf> {
    let path = root.join("init");
    if std::fs::read(&path).is_ok_and(|present| present == BYTES) {
        return Ok(path);
    }
    let draft = root.join(format!(".{}.draft", uuid::Uuid::new_v4()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o555).open(&draft)?;
    file.write_all(BYTES)?;
    // Whatever the process's own mask says: the user inside a container must be able to run it.
    std::fs::set_permissions(&draft, std::os::unix::fs::PermissionsExt::from_mode(0o555))?;
    file.sync_all()?;
    std::fs::rename(&draft, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_init_runs_what_docker_would_have_run() {
        let init = Init {
            program: PathBuf::new(),
            environment: PathBuf::new(),
            entrypoint: strings(&["/entry", "-x"]),
            command: strings(&["serve"]),
        };
        let words = |command: Option<&[&str]>, args: Option<&[&str]>| {
            let (command, args) = (command.map(strings), args.map(strings));
            let (entrypoint, cmd) = init.words(command.as_deref(), args.as_deref());
            [entrypoint, cmd].concat().join(" ")
        };
        assert_eq!(words(None, None), "/.thecloud/init 2 /entry -x serve");
        assert_eq!(words(None, Some(&["other"])), "/.thecloud/init 2 /entry -x other");
        assert_eq!(words(Some(&["sh", "-c"]), None), "/.thecloud/init 2 sh -c");
        assert_eq!(words(Some(&["sh", "-c"]), Some(&["true"])), "/.thecloud/init 2 sh -c true");
    }

    #[test]
    fn the_program_is_written_once_and_mended_if_it_is_another() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = install(scratch.path()).expect("install");
        let modified = || std::fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("metadata");
        let before = modified();
        install(scratch.path()).expect("install again");
        assert_eq!(modified(), before);
        std::fs::remove_file(&path).expect("remove");
        std::fs::write(&path, "another version").expect("write");
        install(scratch.path()).expect("mend");
        assert_eq!(std::fs::read(&path).expect("read"), BYTES);
        assert_eq!(std::fs::read_dir(scratch.path()).expect("list").count(), 1, "no draft is left");
    }
}
