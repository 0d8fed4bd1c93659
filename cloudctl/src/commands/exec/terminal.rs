//! Puts the terminal into raw mode, so that every key reaches the machine, and always back again.

use std::io;

use rustix::termios::{self, OptionalActions, Termios};

/// Raw mode, until dropped.
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    /// Enters raw mode.
    pub(super) fn enter() -> io::Result<Self> {
        let input = io::stdin();
        let before = termios::tcgetattr(&input)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&input, OptionalActions::Flush, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that is gone.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// Width and height of the terminal.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = termios::tcgetwinsize(io::stdout()).or_else(|_| termios::tcgetwinsize(io::stdin())).ok()?;
    Some((size.ws_col, size.ws_row))
}
