//! `events`: what happened, oldest first.

use jiff::Timestamp;
use serde_json::Value;

use super::targets;
use crate::api::{Catalog, JSON, News, Query, Watch};
use crate::args::Global;
use crate::args::objects::EventsArgs;
use crate::connect;
use crate::error::Error;
use crate::output::table::Layout;
use crate::output::{Screen, age, describe};

/// Lists events.
pub(super) async fn run(args: &EventsArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let mut fields = Vec::new();
    if let Some(word) = &args.target {
        let catalog = Catalog::fetch(&session).await?;
        let named = targets::one(word, "instances", &catalog, session.namespace())?;
        fields.push(format!("involvedObject.kind={}", named.resource.kind));
        fields.push(format!("involvedObject.name={}", named.name));
    }
    if let Some(kind) = &args.types {
        fields.push(format!("type={kind}"));
    }
    let query = Query::new().with_set("fieldSelector", (!fields.is_empty()).then(|| fields.join(",")));
    let path = if args.all_namespaces {
        "/api/v1/events".to_owned()
    } else {
        format!("/api/v1/namespaces/{}/events", session.namespace())
    };
    let mut list = targets::pages(&session, &path, &query, JSON, "items").await?;
    let mut events = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    describe::in_order(&mut events);
    if events.is_empty() && !args.watch {
        screen.note(&if args.all_namespaces {
            "No events found.".to_owned()
        } else {
            format!("No events found in {} namespace.", session.namespace())
        });
        return Ok(());
    }
    let rows: Vec<_> = events.iter().map(|event| row(event, args.all_namespaces, Timestamp::now())).collect();
    let mut layout = Layout::new(headings(args.all_namespaces), &rows);
    screen.line(&layout.heading())?;
    for row in &rows {
        screen.line(&layout.line(row, screen.paint()))?;
    }
    if !args.watch {
        return Ok(());
    }
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("0");
    let mut watch = Watch::new(&session, path, query, JSON).after_version(version);
    loop {
        if let News::Changed(event) = watch.next().await? {
            let row = row(&event, args.all_namespaces, Timestamp::now());
            layout.grow(&row);
            screen.line(&layout.line(&row, screen.paint()))?;
        }
    }
}

fn headings(namespace: bool) -> Vec<String> {
    let rest = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];
    namespace.then_some("NAMESPACE").into_iter().chain(rest).map(str::to_owned).collect()
}

fn row(event: &Value, namespace: bool, now: Timestamp) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let about = &event["involvedObject"];
    let count = event["count"].as_i64().or_else(|| event["series"]["count"].as_i64()).unwrap_or(1);
    let last = age::since(describe::last_seen(event), now);
    let mut row = Vec::new();
    if namespace {
        row.push(text(&event["metadata"]["namespace"]));
    }
    row.push(if count > 1 { format!("{last} (x{count})") } else { last });
    row.push(text(&event["type"]));
    row.push(text(&event["reason"]));
    row.push(format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"])));
    row.push(text(&event["message"]));
    row
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn event_is_one_row() {
        let event = json!({"metadata": {"namespace": "shop"}, "type": "Warning", "reason": "Exited", "count": 3,
            "lastTimestamp": "2026-01-01T00:00:00Z", "involvedObject": {"kind": "Instance", "name": "web"},
            "message": "ended with 137\n"});
        let now = "2026-01-01T00:00:30Z".parse().unwrap();
        assert_eq!(row(&event, true, now), ["shop", "30s (x3)", "Warning", "Exited", "instance/web", "ended with 137"]);
        assert_eq!(headings(false).len(), row(&event, false, now).len());
    }
}
