//! The first program of a container whose environment holds secrets: reads them from memory, puts them into the
//! environment, and becomes the program that was asked for. Uses the standard library only, and is linked statically, so
//! that it runs in any image. Never writes a value anywhere.
//!
//! `init N PROGRAM... ARGUMENT...`, of which the first N words are the program, or `init exec PROGRAM ARGUMENT...`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Where the container has them.
const FILE: &str = "/.thecloud/environment/environment";
/// Where programs are looked for when nothing says where.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a shell answers for a command that can't be run, and for one that isn't there.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;
/// Nothing was tried.
const NOT_READY: u8 = 125;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let first = words.next().unwrap_or_default();
    let words: Vec<OsString> = words.collect();
    let hidden = match std::fs::read(FILE) {
        Ok(content) => Hidden::parse(&content),
        Err(error) => return fail(NOT_READY, &format!("the Instance's environment can't be read: {error}")),
    };
    let words = match first.to_str().and_then(|count| count.parse().ok()) {
        Some(count) => hidden.replace(words, count),
        None => words,
    };
    let Some((program, arguments)) = words.split_first() else { return fail(NOT_FOUND, "no command was given") };
    let own = std::env::var_os("PATH");
    let path = hidden.variables.get(OsStr::new("PATH")).cloned().or(own).unwrap_or_else(|| DEFAULT_PATH.into());
    let found = match find(program, &path) {
        Ok(found) => found,
        Err(error) => return fail(code(&error), &format!("{}: {error}", program.display())),
    };
    let error = Command::new(found).arg0(program).args(arguments).envs(&hidden.variables).exec();
    fail(code(&error), &format!("{}: {error}", program.display()))
}

fn fail(code: u8, why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(code)
}

fn code(error: &io::Error) -> u8 {
    if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN }
}

/// What was left out of what the engine was told.
#[derive(Debug, Default)]
struct Hidden {
    variables: BTreeMap<OsString, OsString>,
    command: Vec<OsString>,
    arguments: Vec<OsString>,
}

impl Hidden {
    /// Entries that end with NUL: a letter that says what it is, and its text. Unknown ones are of a later version.
    fn parse(content: &[u8]) -> Hidden {
        let mut hidden = Hidden::default();
        for entry in content.split(|byte| *byte == 0) {
            let Some((kind, text)) = entry.split_first() else { continue };
            let word = |text: &[u8]| OsString::from_vec(text.to_vec());
            match kind {
                b'V' => {
                    if let Some(equals) = text.iter().position(|byte| *byte == b'=') {
                        hidden.variables.insert(word(&text[..equals]), word(&text[equals + 1..]));
                    }
                }
                b'C' => hidden.command.push(word(text)),
                b'A' => hidden.arguments.push(word(text)),
                _ => {}
            }
        }
        hidden
    }

    /// The words in full, of which the first `count` are the command.
    fn replace(&self, mut words: Vec<OsString>, count: usize) -> Vec<OsString> {
        let arguments = words.split_off(count.min(words.len()));
        let mut command = if self.command.is_empty() { words } else { self.command.clone() };
        command.extend(if self.arguments.is_empty() { arguments } else { self.arguments.clone() });
        command
    }
}

/// The file of a program: itself if it is a path, else the first of its name that can be run.
fn find(program: &OsStr, path: &OsStr) -> io::Result<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Ok(program.into());
    }
    let mut denied = false;
    for folder in path.as_bytes().split(|byte| *byte == b':') {
        let folder = if folder.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(folder)) };
        let file = folder.join(program);
        match std::fs::metadata(&file) {
            Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => return Ok(file),
            Ok(_) => denied = true,
            Err(_) => {}
        }
    }
    if denied {
        return Err(io::Error::from(ErrorKind::PermissionDenied));
    }
    Err(io::Error::new(ErrorKind::NotFound, "executable file not found in $PATH"))
}
