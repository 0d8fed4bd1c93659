//! Collects what the client of a request is told beside the answer, be it granted or refused.

use std::sync::{Arc, Mutex, PoisonError};

/// The sentences of one request, each once, in the order in which they were said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Tells these too.
    pub(crate) fn say(&self, sentences: impl IntoIterator<Item = String>) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for sentence in sentences {
            // A write that is tried again says the same again.
            if !said.contains(&sentence) {
                said.push(sentence);
            }
        }
    }

    /// All that was said.
    pub(crate) fn said(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
