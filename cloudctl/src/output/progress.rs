//! Decides how waiting looks: a spinner with one line for a person, and for a log one line for each thing that is new.

use std::collections::BTreeSet;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Screen;

/// Tells what a command waits for. Ends, and wipes its line, when dropped.
pub(crate) struct Progress {
    screen: Screen,
    bar: Option<ProgressBar>,
    said: BTreeSet<String>,
}

impl Progress {
    /// Starts waiting.
    pub(crate) fn start(screen: &Screen) -> Self {
        let bar = screen.interactive().then(|| {
            let style = ProgressStyle::with_template("{spinner:.cyan} {wide_msg} {elapsed:.dim}")
                .expect("the template is constant and valid");
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { screen: screen.clone(), bar, said: BTreeSet::new() }
    }

    /// Says what is waited for now.
    pub(crate) fn say(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            // Something that goes back and forth is said once.
            None if self.said.insert(text.to_owned()) => self.screen.note(text),
            None => {}
        }
    }

    /// Prints a line that stays, above the spinner.
    pub(crate) fn keep(&self, text: &str) -> std::io::Result<()> {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.screen.line(text)),
            None => self.screen.line(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_has_one_line_for_each_thing_that_is_new() {
        let (screen, printed) = Screen::captured();
        let mut progress = Progress::start(&screen);
        for text in ["Pending", "Pending", "Pulling", "Pending", "Pulling"] {
            progress.say(text);
        }
        progress.keep("done").unwrap();
        assert_eq!(printed.text(), "Pending\nPulling\ndone\n");
    }
}
