//! `/livez`, `/readyz`, `/healthz`: whether the server works, told to anybody.

use std::time::Duration;

use http::StatusCode;

use crate::query::Query;
use crate::response::{Answer, text};
use crate::schema::words;
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
    let (mut report, mut is_well) = (String::new(), true);
    let mut unknown: Vec<&str> = query.all("exclude").collect();
    for check in checks(name) {
        if query.all("exclude").any(|excluded| excluded == *check) {
            unknown.retain(|excluded| excluded != check);
            report += &format!("[+]{check} excluded: ok\n");
        } else if passes(state, check).await {
            report += &format!("[+]{check} ok\n");
        } else {
            is_well = false;
            report += &format!("[-]{check} failed: reason withheld\n");
        }
    }
    if !unknown.is_empty() {
        unknown.sort_unstable();
        unknown.dedup();
        let listed: Vec<String> = unknown.into_iter().map(words::quoted).collect();
        report += &format!("warn: some health checks cannot be excluded: no matches for {}\n", listed.join(","));
    }
    if is_well && !query.has("verbose") {
        return text(StatusCode::OK, "ok");
    }
    report += &format!("{name} check {}\n", if is_well { "passed" } else { "failed" });
    text(if is_well { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }, report)
}

/// Answers `/readyz/{check}` and the like: one check alone. `None` where there is no such check.
pub(super) async fn one_check(state: &State, name: &str, check: &str) -> Option<Answer> {
    let check = checks(name).iter().find(|known| **known == check)?;
    Some(if passes(state, check).await {
        text(StatusCode::OK, "ok")
    } else {
        text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {check} failed\n"))
    })
}

/// What is looked at; nothing for what is no path of health.
pub(super) fn checks(name: &str) -> &'static [&'static str] {
    match name {
        "livez" => &["ping"],
        "readyz" | "healthz" => &["ping", "store", "shutdown"],
        _ => &[],
    }
}

async fn passes(state: &State, check: &str) -> bool {
    match check {
        "store" => matches!(tokio::time::timeout(PATIENCE, state.storage().fresh()).await, Ok(Ok(_))),
        "shutdown" => !state.config.shutdown.is_cancelled(),
        _ => true,
    }
}
