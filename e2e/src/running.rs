//! A client that goes on while the test goes on: its lines as they come, and an orderly end.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::wait::eventually;

/// A program that runs beside the test. Dropping it ends it; a failing test prints what it said.
#[derive(Debug)]
pub struct Running {
    shown: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// Starts a command with no standard input.
    ///
    /// # Panics
    /// It can't be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("can't start {shown}: {error}"));
        let lines = Arc::default();
        collect(child.stdout.take().expect("standard output is piped"), &lines);
        collect(child.stderr.take().expect("standard error is piped"), &lines);
        Self { shown, child, lines }
    }

    /// Everything that it said so far.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.lines.lock().expect("nobody panics with the lines").clone()
    }

    /// Waits until it says a line with all these words.
    #[track_caller]
    pub fn await_line(&self, words: &[&str]) {
        eventually(&format!("a line with {words:?} of {}", self.shown), || {
            let said = self.said();
            let found = said.iter().any(|line| words.iter().all(|word| line.contains(word)));
            if found { Ok(()) } else { Err(said) }
        });
    }

    /// Waits for the end, which must be a good one.
    #[track_caller]
    pub fn ends_well(&mut self) {
        let status = self.child.wait().expect("a child can be waited for");
        assert!(status.success(), "{} ended with {status}: {:#?}", self.shown, self.said());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not SIGKILL, which `timeout` couldn't hand on to the client.
        if let Ok(None) = self.child.try_wait() {
            let _ = crate::run("kill", [self.child.id().to_string()], "");
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- `{}` said", self.shown);
            for line in self.said() {
                eprintln!("{line}");
            }
        }
    }
}

fn collect(output: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = lines.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            lines.lock().expect("nobody panics with the lines").push(line);
        }
    });
}
