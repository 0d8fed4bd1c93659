use std::sync::{Arc, Mutex};

use bytes::Bytes;
use clap::Parser as _;
use http::Request;

use super::*;
use crate::api::tests::{Answer, session};
use crate::args::{Cli, Command};

const PATH: &str = "/api/v1/namespaces/default/secrets/db";

/// Requests, with their bodies.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// A session that keeps what was asked of it.
fn recorded(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> (Session, Asked) {
    let asked = Asked::default();
    let kept = Arc::clone(&asked);
    let session = session(move |request: Request<Bytes>| {
        let what = format!("{} {}", request.method(), request.uri());
        kept.lock().unwrap().push((what.clone(), serde_json::from_slice(request.body()).unwrap_or_default()));
        answer(&what)
    });
    (session, asked)
}

fn put_args(line: &str) -> SecretPutArgs {
    match Cli::try_parse_from(line.split(' ')).unwrap().command {
        Command::Secret(SecretCommand::Put(args)) => args,
        other => panic!("{other:?}"),
    }
}

fn listed() -> Value {
    json!({"metadata": {"resourceVersion": "9"}, "items": [
        {"version": 3, "created": "2026-01-01T00:00:00Z", "current": true, "keys": ["password", "user"]},
        {"version": 2, "created": "2025-12-31T00:00:00Z", "current": false, "keys": ["password"]},
    ]})
}

#[tokio::test]
async fn put_changes_the_keys_that_are_given_or_makes_the_secret() {
    let args = put_args("cloudctl secret put db --generate password");
    let (there, asked) = recorded(|_| Answer::json(200, json!({})));
    let (screen, printed) = Screen::captured();
    put(&there, &args, &screen).await.unwrap();
    let (what, body) = asked.lock().unwrap().remove(0);
    assert!(what.starts_with(&format!("PATCH {PATH}?")), "{what}");
    assert_eq!(STANDARD.decode(body["data"]["password"].as_str().unwrap()).unwrap().len(), 32);
    assert_eq!(printed.text(), "secret/db changed\n");

    let (absent, asked) = recorded(|what| match what.split(' ').next() {
        Some("PATCH") => Answer::status(404, "NotFound", "secrets \"db\" not found"),
        _ => Answer::json(201, json!({})),
    });
    let (screen, printed) = Screen::captured();
    put(&absent, &args, &screen).await.unwrap();
    assert_eq!(asked.lock().unwrap()[1].1["type"], "Opaque");
    assert_eq!(printed.text(), "secret/db created\n");
}

#[tokio::test]
async fn an_immutable_secret_is_refused_with_the_way_out() {
    let (session, _) = recorded(|_| {
        let why = "Secret \"db\" is invalid: data: Forbidden: field is immutable when `immutable` is set";
        Answer::status(422, "Invalid", why)
    });
    let args = put_args("cloudctl secret put db --generate password");
    let error = put(&session, &args, &Screen::plain()).await.unwrap_err();
    insta::assert_snapshot!(error, @"the Secret `db` is immutable, so it stays as it is: `cloudctl secret delete db` and put it anew, or put another one");
}

#[test]
fn get_takes_the_only_key_or_asks_which() {
    let secret = |data: Value| json!({"data": data});
    assert_eq!(value(&secret(json!({"a": "aHVzaA=="})), "db", None).unwrap(), b"hush");
    let two = secret(json!({"a": "aHVzaA==", "b": "/wA="}));
    assert_eq!(value(&two, "db", Some("b")).unwrap(), [0xff, 0]);
    let refused = |secret: &Value, key| value(secret, "db", key).unwrap_err().to_string();
    assert_eq!(refused(&two, None), "the Secret `db` has several keys; name one of: a, b");
    assert_eq!(refused(&two, Some("c")), "the Secret `db` has no key `c`; it has: a, b");
    assert_eq!(refused(&secret(json!(null)), None), "the Secret `db` has no keys");
}

#[tokio::test]
async fn lists_tell_keys_and_versions_and_no_value() {
    let (session, _) = recorded(|what| {
        if what.contains("/versions") {
            return Answer::json(200, listed());
        }
        let made = "2020-01-01T00:00:00Z";
        let one = json!({"metadata": {"name": "db", "creationTimestamp": made}, "data": {"password": "aHVzaA==", "user": "YW5u"}});
        Answer::json(200, json!({"items": [one]}))
    });
    let (screen, printed) = Screen::captured();
    list(&session, &screen).await.unwrap();
    let text = printed.text();
    assert!(text.starts_with("NAME  KEYS           VERSION  AGE\ndb    password,user  3        "), "{text}");
    assert!(!text.contains("aHVzaA") && !text.contains("hush"), "{text}");
    let now = "2026-01-01T00:05:00Z".parse().unwrap();
    let lines = table::lines(&["VERSION", "AGE", "CURRENT", "KEYS"], &rows(&listed(), now), screen.paint());
    insta::assert_snapshot!(lines.join("\n"), @r"
    VERSION  AGE  CURRENT  KEYS
    3        5m   yes      password,user
    2        24h           password
    ");
}

#[tokio::test]
async fn rollback_puts_the_older_content_over_the_state_that_was_looked_at() {
    let answer = |what: &str| match what {
        _ if what.starts_with("PATCH") => Answer::json(200, json!({})),
        _ if what.contains("version=2") => Answer::json(200, json!({"data": {"password": "b2xk"}})),
        _ => Answer::json(200, listed()),
    };
    let (session, asked) = recorded(answer);
    let (screen, printed) = Screen::captured();
    let args = |to| SecretRollbackArgs { name: "db".into(), to };
    roll_back(&session, &args(None), &screen).await.unwrap();
    assert_eq!(printed.text(), "secret/db rolled back to the content of version 2\n");
    let (_, change) = asked.lock().unwrap().pop().unwrap();
    assert_eq!(change[0], json!({"op": "test", "path": "/metadata/resourceVersion", "value": "9"}));
    assert_eq!(change[1], json!({"op": "add", "path": "/data", "value": {"password": "b2xk"}}));
    let error = roll_back(&session, &args(Some(3)), &screen).await.unwrap_err();
    assert_eq!(error.to_string(), "version 3 is what the Secret `db` holds now");
}

#[tokio::test]
async fn rollback_of_what_changed_meanwhile_changes_nothing() {
    let (session, _) = recorded(|what| match what {
        _ if what.starts_with("PATCH") => {
            Answer::status(422, "Invalid", "the server rejected our request: testing value")
        }
        _ if what.contains("version=2") => Answer::json(200, json!({"data": {}})),
        _ => Answer::json(200, listed()),
    });
    let args = SecretRollbackArgs { name: "db".into(), to: None };
    let error = roll_back(&session, &args, &Screen::plain()).await.unwrap_err().to_string();
    assert!(error.contains("was changed meanwhile, so nothing was rolled back"), "{error}");
}
