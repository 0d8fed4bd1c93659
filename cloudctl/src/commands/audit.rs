//! `audit`: who did what, and whether the log of it is whole.

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::Value;

use crate::api::{Catalog, Query};
use crate::args::Global;
use crate::args::audit::{AuditArgs, AuditCommand, AuditFilter, VerifyArgs};
use crate::connect;
use crate::error::Error;
use crate::output::{Screen, table};

const PATH: &str = "/admin/v1/audit";

/// Shows lines, or checks all of them.
pub(super) async fn run(args: &AuditArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    match &args.command {
        Some(AuditCommand::Verify(args)) => verify(args, global, screen).await,
        None => show(&args.filter, global, screen).await,
    }
}

async fn show(args: &AuditFilter, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let resource = match &args.kind {
        Some(word) => Some(resource(word, &Catalog::fetch(&session).await?)),
        None => None,
    };
    let since = args.since.map(|since| (Timestamp::now() - since).to_string());
    let query = Query::new()
        .with_set("user", args.user.clone())
        .with_set("credential", args.credential.clone())
        .with_set("verb", args.verb.clone())
        .with_set("resource", resource)
        .with_set("namespace", global.namespace.clone())
        .with_set("name", args.name.clone())
        .with_set("code", args.code.map(|code| code.to_string()))
        .with_set("since", since)
        .with("limit", args.limit.to_string());
    let bytes: Vec<_> = session.bytes(&query.on(PATH)).await?.try_collect().await?;
    let text = String::from_utf8_lossy(&bytes.concat()).into_owned();
    if args.output.is_some() {
        for line in text.lines() {
            screen.line(line)?;
        }
        return Ok(());
    }
    let rows: Vec<_> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).map(|event| row(&event)).collect();
    if rows.is_empty() {
        screen.note("Nothing in the audit log fits that.");
        return Ok(());
    }
    for line in table::lines(&["TIME", "USER", "VERB", "OBJECT", "CODE", "FROM"], &rows, screen.paint()) {
        screen.line(&line)?;
    }
    if rows.len() == usize::from(args.limit) {
        screen.note(&format!("These are the newest {}; --limit shows more.", args.limit));
    }
    Ok(())
}

/// What the log calls a kind. One that is gone is known by its plural.
fn resource(word: &str, catalog: &Catalog) -> String {
    match catalog.of_word(word) {
        Ok(found) if found.group.is_empty() => found.plural.clone(),
        Ok(found) => format!("{}.{}", found.plural, found.group),
        Err(_) => word.to_owned(),
    }
}

fn row(event: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let time = text(&event["requestReceivedTimestamp"]);
    let whole_seconds = time.split_once('.').map_or_else(|| time.clone(), |(seconds, _)| format!("{seconds}Z"));
    let user = text(&event["user"]["username"]);
    let user = match event["impersonatedUser"]["username"].as_str() {
        Some(other) => format!("{user} as {other}"),
        None => user,
    };
    let from = event["sourceIPs"][0].as_str().unwrap_or("inside");
    let code = event["responseStatus"]["code"].to_string();
    vec![whole_seconds, user, text(&event["verb"]), object(event), code, from.to_owned()]
}

/// `namespace/plural/name/subresource`, as much of it as there is; the path, where it is none.
fn object(event: &Value) -> String {
    let of = &event["objectRef"];
    if of["resource"].is_null() {
        let uri = event["requestURI"].as_str().unwrap_or_default();
        return uri.split('?').next().unwrap_or_default().to_owned();
    }
    let parts = ["namespace", "resource", "name", "subresource"].map(|part| of[part].as_str().unwrap_or_default());
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

async fn verify(args: &VerifyArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let query = Query::new().with_set("line", args.line.clone());
    let report = session.get(&query.on(&format!("{PATH}/verify"))).await?;
    let text = |field: &str| report[field].as_str().unwrap_or_default();
    let problems: Vec<&str> = report["problems"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !problems.is_empty() {
        return Err(Error::Failed(format!("the audit log is not whole\n  {}", problems.join("\n  "))));
    }
    if report["lines"] == 0 {
        screen.line("The audit log is empty.")?;
        return Ok(());
    }
    screen.line(&format!(
        "The audit log is whole: lines {} to {}, {} to {}.",
        report["first"],
        report["last"],
        text("since"),
        text("until")
    ))?;
    screen.note(&format!(
        "Who keeps the last line elsewhere need not trust this server:\n  cloudctl audit verify --line {}:{}",
        report["last"],
        text("hash")
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn event_is_one_row() {
        let mut event = json!({
            "requestReceivedTimestamp": "2026-01-02T03:04:05.000006Z", "verb": "patch", "user": {"username": "bob"},
            "requestURI": "/admin/v1/restore?force=true", "responseStatus": {"code": 200}, "sourceIPs": ["10.0.0.7"],
            "objectRef": {"resource": "instances", "namespace": "shop", "name": "web", "subresource": "status"},
        });
        assert_eq!(
            row(&event),
            ["2026-01-02T03:04:05Z", "bob", "patch", "shop/instances/web/status", "200", "10.0.0.7"]
        );
        event["objectRef"] = Value::Null;
        event["sourceIPs"] = Value::Null;
        event["impersonatedUser"] = json!({"username": "eve"});
        assert_eq!(row(&event)[1..], ["bob as eve", "patch", "/admin/v1/restore", "200", "inside"]);
    }
}
