//! `/livez`, `/readyz`, `/healthz`: whether the server works, told to anybody.

use std::time::Duration;

use http::StatusCode;

use crate::query::Query;
use crate::response::{Answer, text};
use crate::state::State;

/// How long the store may take to say where it stands.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether a path asks for the server's health; such requests need no token.
pub(crate) fn is_health(path: &str) -> bool {
    matches!(path.trim_end_matches('/'), "/livez" | "/readyz" | "/healthz")
}

/// Answers one of the paths of [`is_health`].
pub(crate) async fn health(state: &State, path: &str, query: &Query) -> Answer {
    let name = path.trim_matches('/');
    let mut checks = vec![("ping", true)];
    if name != "livez" {
        let store = tokio::time::timeout(PATIENCE, state.storage().fresh()).await;
        checks.push(("store", matches!(store, Ok(Ok(_)))));
        checks.push(("shutdown", !state.config.shutdown.is_cancelled()));
    }
    let is_well = checks.iter().all(|(_, is_well)| *is_well);
    if is_well && !query.flag("verbose") {
        return text(StatusCode::OK, "ok");
    }
    let mut report = String::new();
    for (check, is_well) in checks {
        report += &if is_well { format!("[+]{check} ok\n") } else { format!("[-]{check} failed\n") };
    }
    report += &format!("{name} check {}\n", if is_well { "passed" } else { "failed" });
    text(if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, report)
}
