//! Decides how an object is told to a person: who it is, its spec, its status, its conditions, what happened to it.
//! In: the object, its events, the time. Out: text. Works for every kind; values of a Secret are never shown.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Colour, Paint, age, table};

/// How long an object in a list may be to stand on one line.
const LONGEST: usize = 120;

/// Annotations that only tools read.
const HIDDEN_ANNOTATIONS: [&str; 1] = [crate::manifests::LAST_APPLIED];

/// Describes an object.
pub(crate) fn describe(object: &Value, events: &[Value], now: Timestamp, paint: Paint) -> String {
    let object = &harmless(object);
    let mut text = String::new();
    head(&mut text, object, now, paint);
    for (key, value) in object.as_object().into_iter().flatten() {
        if matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
            continue;
        }
        if object["kind"] == "Secret" && object["apiVersion"] == "v1" && matches!(key.as_str(), "data" | "stringData") {
            sizes(&mut text, value, paint);
            continue;
        }
        section(&mut text, key, value, paint);
    }
    if let Some(status) = object["status"].as_object() {
        let mut rest = status.clone();
        rest.remove("conditions");
        if !rest.is_empty() {
            section(&mut text, "status", &Value::Object(rest), paint);
        }
    }
    conditions(&mut text, &object["status"]["conditions"], now, paint);
    happened(&mut text, events, now, paint);
    text
}

/// The object without what a terminal would take for a command: whoever looks at it may not be who wrote it.
fn harmless(value: &Value) -> Value {
    let plain = |text: &str| -> String {
        let is_command = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
        text.chars().map(|letter| if is_command(letter) { ' ' } else { letter }).collect()
    };
    match value {
        Value::String(text) => Value::String(plain(text)),
        Value::Array(items) => items.iter().map(harmless).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (plain(key), harmless(value))).collect(),
        other => other.clone(),
    }
}

fn head(text: &mut String, object: &Value, now: Timestamp, paint: Paint) {
    let metadata = &object["metadata"];
    let mut rows: Vec<(&str, String)> = Vec::new();
    rows.push(("Name", string(&metadata["name"])));
    if metadata["namespace"].is_string() {
        rows.push(("Namespace", string(&metadata["namespace"])));
    }
    rows.push(("Kind", format!("{} ({})", string(&object["kind"]), string(&object["apiVersion"]))));
    let created = string(&metadata["creationTimestamp"]);
    if !created.is_empty() {
        rows.push(("Created", format!("{created} ({} ago)", age::since(&created, now))));
    }
    if let Some(deleted) = metadata["deletionTimestamp"].as_str() {
        let waits = list(&metadata["finalizers"]);
        let waits = if waits.is_empty() { String::new() } else { format!(", held by {waits}") };
        let told = format!("for {}{waits}", age::since(deleted, now));
        rows.push(("Terminating", paint.colour(Colour::Yellow, &told)));
    }
    let owners: Vec<_> = metadata["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|owner| format!("{}/{}", string(&owner["kind"]), string(&owner["name"])))
        .collect();
    if !owners.is_empty() {
        rows.push(("Owner", owners.join(", ")));
    }
    for (key, value) in &rows {
        let _ = writeln!(text, "{:<13}{value}", format!("{key}:"));
    }
    several(text, "Labels", &metadata["labels"], &[]);
    several(text, "Annotations", &metadata["annotations"], &HIDDEN_ANNOTATIONS);
}

fn several(text: &mut String, heading: &str, values: &Value, hidden: &[&str]) {
    let shown: Vec<_> =
        values.as_object().into_iter().flatten().filter(|(key, _)| !hidden.contains(&key.as_str())).collect();
    for (index, (key, value)) in shown.iter().enumerate() {
        let heading = if index == 0 { format!("{heading}:") } else { String::new() };
        let _ = writeln!(text, "{heading:<13}{key}={}", shortened(&string(value)));
    }
}

fn section(text: &mut String, heading: &str, value: &Value, paint: Paint) {
    let _ = writeln!(text, "\n{}", paint.colour(Colour::Bold, &format!("{}:", words(heading))));
    tree(text, value, 1, paint);
}

/// A value as an indented tree, keys as words, short lists of plain values on one line.
fn tree(text: &mut String, value: &Value, depth: usize, paint: Paint) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            let width = map.iter().filter(|(_, value)| is_plain(value)).map(|(key, _)| words(key).len()).max();
            for (key, value) in map {
                entry(text, &indent, key, value, width.unwrap_or_default(), depth, paint);
            }
        }
        Value::Array(items) => {
            // One that is too long for a line puts all of them below each other.
            let lines: Option<Vec<_>> = items.iter().map(one_line).collect();
            match lines {
                Some(lines) => {
                    for line in lines {
                        let _ = writeln!(text, "{indent}- {line}");
                    }
                }
                None => {
                    for item in items {
                        let _ = writeln!(text, "{indent}-");
                        tree(text, item, depth + 1, paint);
                    }
                }
            }
        }
        other => {
            let _ = writeln!(text, "{indent}{}", string(other));
        }
    }
}

fn entry(text: &mut String, indent: &str, key: &str, value: &Value, width: usize, depth: usize, paint: Paint) {
    let name = words(key);
    if is_plain(value) {
        let written = string_or_list(value);
        if written.contains('\n') {
            let _ = writeln!(text, "{indent}{name}:");
            for line in written.lines() {
                let _ = writeln!(text, "{indent}  {line}");
            }
            return;
        }
        let shown = paint.state(&name.to_uppercase(), &written);
        let _ = writeln!(text, "{indent}{:<width$}  {shown}", format!("{name}:"), width = width + 1);
    } else {
        let _ = writeln!(text, "{indent}{name}:");
        tree(text, value, depth + 1, paint);
    }
}

/// An object inside a list on one line: `port 80, protocol TCP, publish {}`.
fn compact(map: &Map<String, Value>) -> String {
    let parts: Vec<_> = map
        .iter()
        .map(|(key, value)| match value {
            Value::Object(map) if map.is_empty() => format!("{key}: {{}}"),
            Value::Object(map) => format!("{key}: {{{}}}", compact(map)),
            Value::Array(_) if is_plain(value) => format!("{key}: [{}]", list(value)),
            Value::Array(items) => {
                let items: Vec<_> =
                    items.iter().map(|item| item.as_object().map(compact).unwrap_or_default()).collect();
                format!("{key}: [{}]", items.join("; "))
            }
            _ => format!("{key}: {}", string(value)),
        })
        .collect();
    parts.join(", ")
}

/// An entry of a list on one line, if it fits.
fn one_line(item: &Value) -> Option<String> {
    let Value::Object(map) = item else { return Some(string(item)) };
    let line = compact(map);
    (line.len() <= LONGEST && !line.contains('\n')).then_some(line)
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.iter().all(|item| !item.is_object() && !item.is_array()),
        _ => true,
    }
}

fn sizes(text: &mut String, data: &Value, paint: Paint) {
    let _ = writeln!(text, "\n{}", paint.colour(Colour::Bold, "Data:"));
    for (key, value) in data.as_object().into_iter().flatten() {
        let letters = value.as_str().unwrap_or_default();
        let padding = letters.bytes().rev().take_while(|byte| *byte == b'=').count();
        let _ = writeln!(text, "  {key}: {} bytes", (letters.len() / 4 * 3).saturating_sub(padding));
    }
}

fn conditions(text: &mut String, conditions: &Value, now: Timestamp, paint: Paint) {
    let rows: Vec<Vec<String>> = conditions
        .as_array()
        .into_iter()
        .flatten()
        .map(|condition| {
            vec![
                string(&condition["type"]),
                string(&condition["status"]),
                string(&condition["reason"]),
                age::since(&string(&condition["lastTransitionTime"]), now),
                string(&condition["message"]),
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", paint.colour(Colour::Bold, "Conditions:"));
    for line in table::lines(&["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"], &rows, paint) {
        let _ = writeln!(text, "  {line}");
    }
}

fn happened(text: &mut String, events: &[Value], now: Timestamp, paint: Paint) {
    let heading = paint.colour(Colour::Bold, "Events:");
    if events.is_empty() {
        let _ = writeln!(text, "\n{heading} none");
        return;
    }
    let _ = writeln!(text, "\n{heading}");
    let rows: Vec<_> = events.iter().map(|event| event_row(event, now)).collect();
    for line in table::lines(&["LAST SEEN", "TYPE", "REASON", "FROM", "MESSAGE"], &rows, paint) {
        let _ = writeln!(text, "  {line}");
    }
}

fn event_row(event: &Value, now: Timestamp) -> Vec<String> {
    let count = event["count"].as_i64().or_else(|| event["series"]["count"].as_i64()).unwrap_or(1);
    let last = age::since(last_seen(event), now);
    let seen = if count > 1 { format!("{last} (x{count})") } else { last };
    let from = ["reportingComponent", "reportingController"].into_iter().find_map(|key| event[key].as_str());
    vec![
        seen,
        string(&event["type"]),
        string(&event["reason"]),
        from.filter(|from| !from.is_empty()).map_or_else(|| string(&event["source"]["component"]), str::to_owned),
        string(&event["message"]).trim().to_owned(),
    ]
}

/// When an event was last seen, whichever way it was recorded.
pub(crate) fn last_seen(event: &Value) -> &str {
    let places = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    places.into_iter().find_map(Value::as_str).unwrap_or_default()
}

/// Oldest first; within a second in the order in which they were written.
pub(crate) fn in_order(events: &mut [Value]) {
    let written =
        |event: &Value| event["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse::<u64>().ok());
    events.sort_by(|left, right| (last_seen(left), written(left)).cmp(&(last_seen(right), written(right))));
}

/// `terminationGracePeriodSeconds` as `Termination Grace Period Seconds`; capitals in a row stay together.
fn words(key: &str) -> String {
    let mut text = String::new();
    let mut previous_lower = false;
    for (index, letter) in key.chars().enumerate() {
        if index == 0 {
            text.extend(letter.to_uppercase());
        } else {
            if letter.is_uppercase() && previous_lower {
                text.push(' ');
            }
            text.push(letter);
        }
        previous_lower = letter.is_lowercase() || letter.is_ascii_digit();
    }
    if text == "Ip" { "IP".to_owned() } else { text }
}

fn string(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        other => other.to_string(),
    }
}

fn list(value: &Value) -> String {
    value.as_array().into_iter().flatten().map(string).collect::<Vec<_>>().join(", ")
}

fn string_or_list(value: &Value) -> String {
    if value.is_array() { list(value) } else { string(value) }
}

fn shortened(text: &str) -> String {
    const MOST: usize = 120;
    if text.chars().count() <= MOST {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(MOST).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T21:30:00Z".parse().unwrap()
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_shown_to_it() {
        let object = json!({"kind": "Widget", "metadata": {"name": "w", "annotations": {"note": "\u{1b}]0;a"}},
            "spec": {"image": "b\u{1b}[2J", "list": ["\u{9b}31m"], "deep": [{"text": "c\u{7}\nd"}]},
            "data": {"\u{1b}key": "e"}});
        let text = describe(&object, &[], now(), Paint::new(false));
        assert!(!text.contains(|letter: char| letter.is_control() && letter != '\n'), "{text:?}");
        assert!(["]0;a", "b [2J", "31m", "key"].iter().all(|word| text.contains(word)), "{text}");
    }

    #[test]
    fn instance_is_told_in_full() {
        let object = json!({
            "apiVersion": "thecloud.dev/v1alpha1", "kind": "Instance",
            "metadata": {"name": "web", "namespace": "default", "creationTimestamp": "2026-11-22T21:18:41Z",
                "labels": {"app": "web", "tier": "front"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "hello"},
                "deletionTimestamp": "2026-11-22T21:29:30Z", "finalizers": ["thecloud.dev/real"]},
            "spec": {"image": "busybox:1.36", "args": ["httpd", "-f"], "powerState": "Running",
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "publish": {}}],
                "resources": {"cpu": "500m", "memory": "256Mi"}, "terminationGracePeriodSeconds": 10},
            "status": {"phase": "Running", "ip": "10.128.0.2", "restartCount": 1,
                "conditions": [
                    {"type": "Ready", "status": "True", "reason": "Running", "lastTransitionTime": "2026-11-22T21:18:43Z",
                     "message": "the machine runs"},
                    {"type": "Stalled", "status": "False", "reason": "Running", "lastTransitionTime": "2026-11-22T21:18:43Z", "message": ""}]}});
        let events = [
            json!({"type": "Normal", "reason": "Started", "message": "started the container", "count": 2,
                "lastTimestamp": "2026-11-22T21:25:00Z", "source": {"component": "instance-controller"}}),
            json!({"type": "Warning", "reason": "Exited", "message": "ended with 137", "eventTime": "2026-11-22T21:24:59.123456Z",
                "reportingComponent": "instance-controller"}),
        ];
        insta::assert_snapshot!(describe(&object, &events, now(), Paint::new(false)));
    }

    #[test]
    fn secret_shows_sizes_never_values() {
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"},
            "type": "Opaque", "data": {"password": "aHVudGVyMg==", "user": "YWRtaW4="}});
        let text = describe(&object, &[], now(), Paint::new(false));
        assert!(!text.contains("aHVudGVyMg"), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn events_of_one_second_keep_the_order_of_writing() {
        let event =
            |version: &str, time: &str| json!({"metadata": {"resourceVersion": version}, "lastTimestamp": time});
        let mut events = [
            event("10", "2026-01-01T00:00:01Z"),
            event("9", "2026-01-01T00:00:01Z"),
            event("11", "2026-01-01T00:00:00Z"),
        ];
        in_order(&mut events);
        let order: Vec<_> = events.iter().map(|event| event["metadata"]["resourceVersion"].as_str().unwrap()).collect();
        assert_eq!(order, ["11", "9", "10"]);
    }

    #[test]
    fn keys_become_words() {
        assert_eq!(words("terminationGracePeriodSeconds"), "Termination Grace Period Seconds");
        assert_eq!(words("ip"), "IP");
        assert_eq!(words("imageID"), "Image ID");
    }

    #[test]
    fn long_entries_of_a_list_stand_below_each_other() {
        let object = json!({"kind": "X", "apiVersion": "v1", "metadata": {"name": "x"},
            "spec": {"rules": [{"name": "a", "text": "word ".repeat(40).trim()}, {"name": "b"}], "ports": [{"port": 80}]}});
        let text = describe(&object, &[], Timestamp::UNIX_EPOCH, Paint::new(false));
        assert!(text.contains("    - port: 80\n"), "{text}");
        assert!(text.contains("    -\n      Name:  a\n") && text.contains("    -\n      Name:  b\n"), "{text}");
    }
}
