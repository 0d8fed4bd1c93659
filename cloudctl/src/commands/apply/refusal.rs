//! Decides how a refused apply is told: whose fields would change, which field was meant, what to do.

use crate::api::{ApiError, Session};
use crate::commands::explain;
use crate::commands::targets::Named;
use crate::error::Error;

/// The refusal, with the way out.
pub(super) async fn told(session: &Session, named: &Named, error: ApiError) -> Error {
    let taken = error.taken_fields();
    if !taken.is_empty() {
        return conflict(named, &taken);
    }
    let unknown = error.unknown_fields();
    if unknown.is_empty() {
        return error.into();
    }
    // Only a help: without it the error stands as it is.
    let mut text = error.to_string();
    if let Ok(document) = explain::document(session, &named.resource).await {
        for field in unknown {
            if let Some(hint) = explain::nearest(&document, &named.resource, &field) {
                let plain = format!("  {field}: there is no such field");
                text = text.replace(&plain, &format!("{plain}; {hint}"));
            }
        }
    }
    Error::Failed(text)
}

fn conflict(named: &Named, taken: &[(String, String)]) -> Error {
    let lines: Vec<_> = taken
        .iter()
        .map(|(field, manager)| format!("  {} was set by {manager}", field.trim_start_matches('.')))
        .collect();
    let it = if lines.len() == 1 { "it" } else { "them" };
    Error::Failed(format!(
        "{} is not applied, because others manage what would change:\n{}\nTake {it} over with --force-conflicts, or take {it} out of the YAML to leave {it} alone.",
        named.full(),
        lines.join("\n")
    ))
}
