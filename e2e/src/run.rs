//! Runs a program and keeps what it said.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// What a program said, and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
}

impl Output {
    /// Standard output of a program that must have succeeded.
    ///
    /// # Panics
    /// It did not.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self}");
        self.stdout
    }

    /// Both outputs of a program that must have failed.
    ///
    /// # Panics
    /// It succeeded.
    #[must_use]
    #[track_caller]
    pub fn failed(self) -> String {
        assert_ne!(self.code, 0, "should have failed: {self}");
        self.stdout + &self.stderr
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ended with {}\n--- stdout\n{}--- stderr\n{}", self.command, self.code, self.stdout, self.stderr)
    }
}

/// Runs a program with this standard input, and waits for it.
///
/// # Panics
/// It can't be started.
pub fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = S>, stdin: &str) -> Output {
    let mut command = Command::new(program);
    command.args(arguments);
    run_command(&mut command, stdin)
}

/// Runs a prepared command with this standard input, and waits for it.
///
/// # Panics
/// It can't be started.
pub fn run_command(command: &mut Command, stdin: &str) -> Output {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("can't start {shown}: {error}"));
    let mut pipe = child.stdin.take().expect("standard input is piped");
    let text = stdin.to_owned();
    // A program that never reads must not block the test.
    let writer = std::thread::spawn(move || {
        let _ = pipe.write_all(text.as_bytes());
    });
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("can't wait for {shown}: {error}"));
    let _ = writer.join();
    Output {
        command: shown,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}
