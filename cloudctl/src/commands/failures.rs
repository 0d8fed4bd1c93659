//! Decides how the failures of several objects are told and what they come to: each at once, with its place, and one exit code.

use crate::error::{Error, Exit, chain};
use crate::manifests::Manifest;
use crate::output::Screen;

/// What failed so far.
pub(super) struct Failures<'a> {
    screen: &'a Screen,
    exit: Option<Exit>,
}

impl<'a> Failures<'a> {
    /// Nothing so far.
    pub(super) fn new(screen: &'a Screen) -> Self {
        Self { screen, exit: None }
    }

    /// Tells one, with the manifest that it belongs to.
    pub(super) fn add(&mut self, manifest: &Manifest, error: &Error) {
        self.count(error.exit());
        let mut text = chain(error);
        if matches!(error, Error::Api(error) if error.lacks_namespace()) {
            text.push_str("; apply that Namespace first, or add it to the files");
        }
        let place = manifest.origin.to_string();
        self.screen.error(&if text.starts_with(&place) { text } else { format!("{place}: {text}") });
    }

    /// Tells one that belongs to no manifest.
    pub(super) fn add_other(&mut self, what: &str, error: &Error) {
        self.count(error.exit());
        self.screen.error(&format!("{what}: {}", chain(error)));
    }

    /// Whether there was none.
    pub(super) fn is_empty(&self) -> bool {
        self.exit.is_none()
    }

    /// Success when there was none.
    pub(super) fn end(self) -> Result<(), Error> {
        self.exit.map_or(Ok(()), |exit| Err(Error::Silent(exit)))
    }

    fn count(&mut self, exit: Exit) {
        self.exit = Some(match self.exit {
            None => exit,
            Some(before) if before == exit => exit,
            Some(_) => Exit::Failed,
        });
    }
}
