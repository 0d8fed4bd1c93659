//! Decides how things look: where text goes, whether it has colour, and the shapes (tables, YAML, ages, descriptions).
//! Results go to standard output, everything said along the way to standard error. A closed pipe is an error to the caller,
//! never a panic.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex};

pub(crate) mod age;
pub(crate) mod custom;
pub(crate) mod describe;
pub(crate) mod listing;
pub(crate) mod progress;
mod style;
pub(crate) mod table;
pub(crate) mod yaml;

pub(crate) use style::{Colour, Paint};

/// Where a command prints. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    out: Paint,
    err: Paint,
    interactive: bool,
    captured: Option<Arc<Mutex<Vec<u8>>>>,
}

impl Screen {
    /// The terminal or pipes of this process. `NO_COLOR` takes the colour away.
    pub(crate) fn of_process() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            out: Paint::new(wanted && io::stdout().is_terminal()),
            err: Paint::new(wanted && io::stderr().is_terminal()),
            interactive: io::stderr().is_terminal(),
            captured: None,
        }
    }

    /// Without colour or animation.
    pub(crate) fn plain() -> Self {
        Self { out: Paint::new(false), err: Paint::new(false), interactive: false, captured: None }
    }

    /// One that keeps what is printed, for tests.
    #[cfg(test)]
    pub(crate) fn captured() -> (Self, Captured) {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        (Self { captured: Some(bytes.clone()), ..Self::plain() }, Captured(bytes))
    }

    /// Colours for standard output.
    pub(crate) fn paint(&self) -> Paint {
        self.out
    }

    /// Whether a person watches standard error.
    pub(crate) fn interactive(&self) -> bool {
        self.interactive
    }

    /// Prints a line of the result.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Prints text of the result as it is.
    pub(crate) fn text(&self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Prints bytes of the result and pushes them out.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        if self.keep(bytes) {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Says something along the way. Nobody listening is no failure.
    pub(crate) fn note(&self, text: &str) {
        self.note_bytes(format!("{text}\n").as_bytes());
    }

    /// Passes on what a remote command wrote to its standard error.
    pub(crate) fn note_bytes(&self, bytes: &[u8]) {
        if self.keep(bytes) {
            return;
        }
        let mut err = io::stderr().lock();
        let _ = err.write_all(bytes).and_then(|()| err.flush());
    }

    /// Warns.
    pub(crate) fn warning(&self, text: &str) {
        self.note(&format!("{} {text}", self.err.colour(Colour::Yellow, "Warning:")));
    }

    /// Says why something failed.
    pub(crate) fn error(&self, text: &str) {
        self.note(&format!("{} {text}", self.err.colour(Colour::Red, "Error:")));
    }

    fn keep(&self, bytes: &[u8]) -> bool {
        let Some(captured) = &self.captured else { return false };
        captured.lock().expect("nobody panics while printing").extend_from_slice(bytes);
        true
    }
}

/// What was printed on a captured screen.
#[cfg(test)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

#[cfg(test)]
impl Captured {
    /// Everything so far, results and notes in their order.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}
