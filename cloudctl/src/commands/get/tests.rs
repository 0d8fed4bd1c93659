//! What `get` prints, against a server that answers as the real one does.

use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser as _;
use http::{Request, header};

use super::*;
use crate::api::tests::{Answer, session};
use crate::args::{Cli, Command};

fn resource(plural: &str, singular: &str) -> Resource {
    Resource {
        group: "thecloud.dev".into(),
        version: "v1alpha1".into(),
        kind: singular[..1].to_uppercase() + &singular[1..],
        plural: plural.into(),
        singular: singular.into(),
        namespaced: true,
        verbs: vec!["list".into()],
        preferred: true,
        categories: vec!["all".into()],
        ..Resource::default()
    }
}

fn catalog() -> Catalog {
    Catalog::of(vec![resource("instances", "instance"), resource("vpcs", "vpc")])
}

fn row(name: &str, version: &str, phase: &str) -> Value {
    json!({"cells": [name, phase, "img"], "object": {"metadata": {"name": name, "namespace": "default",
        "resourceVersion": version, "labels": {"app": name}}}})
}

fn table(rows: &[Value]) -> Value {
    json!({"kind": "Table", "metadata": {"resourceVersion": "9"}, "rows": rows, "columnDefinitions": [
        {"name": "Name", "priority": 0}, {"name": "Phase", "priority": 0}, {"name": "Image", "priority": 1}]})
}

fn object(name: &str) -> Value {
    json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": "Instance",
        "metadata": {"name": name, "resourceVersion": "3", "managedFields": [1]}, "spec": {"image": name}})
}

/// Two Instances and no Vpc.
fn answer(request: &Request<bytes::Bytes>) -> Answer {
    let tables = request.headers()[header::ACCEPT].to_str().unwrap().contains("as=Table");
    match (request.uri().path(), tables) {
        (path, true) if path.ends_with("/instances") => {
            Answer::json(200, table(&[row("web", "1", "Running"), row("db-with-a-long-name", "2", "Pending")]))
        }
        (path, true) if path.ends_with("/vpcs") => Answer::json(200, table(&[])),
        (path, true) if path.ends_with("/vpcs/main") => Answer::json(200, table(&[row("main", "1", "Ready")])),
        (path, true) if path.ends_with("/web") => Answer::json(200, table(&[row("web", "1", "Running")])),
        (path, false) if path.ends_with("/instances") => {
            Answer::json(200, json!({"items": [object("web"), object("db")], "metadata": {"resourceVersion": "9"}}))
        }
        (path, false) if path.ends_with("/web") => Answer::json(200, object("web")),
        (path, _) => Answer::status(404, "NotFound", &format!("{} not found", path.rsplit('/').next().unwrap())),
    }
}

async fn printed(line: &str) -> (String, Result<(), Error>) {
    let Command::Get(args) = Cli::try_parse_from(format!("cloudctl get {line}").split(' ')).unwrap().command else {
        panic!("not get")
    };
    let session = session(|request| answer(&request));
    let (screen, printed) = Screen::captured();
    let selection = targets::select(&args.targets, &catalog(), "default").unwrap();
    let sort = args.sort_by.as_deref().map(|path| Template::parse(path).unwrap());
    let format = format(args.output.as_deref()).unwrap();
    let result = Get { session: &session, args: &args, format, sort, screen: &screen }.list(selection).await;
    (printed.text(), result)
}

#[tokio::test]
async fn every_shape_of_a_list() {
    let mut text = String::new();
    for line in [
        "instances",
        "instances -o wide",
        "instances -A",
        "instances --show-labels",
        "instances --no-headers",
        "instances --sort-by .metadata.name",
        "instances -o name",
        "vpc",
        "vpc -A",
        "all",
        "instance/web vpc/main",
        "instance web -o yaml",
        "instance web -o json",
        "instances -o custom-columns=N:.metadata.name,I:.spec.image,X:.spec.x",
        "instance web -o jsonpath={.spec.image}",
        "instances -o jsonpath={.items[*].metadata.name}",
        "instance web nope",
        "instance nope",
        "instance nope --ignore-not-found",
        "instance nope -o yaml",
    ] {
        let (printed, result) = printed(line).await;
        let end = result.map_or_else(|error| format!(" -> exit {}", error.exit().code()), |()| String::new());
        text.push_str(&format!("$ get {line}{end}\n{printed}\n"));
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn unknown_format_names_those_there_are() {
    let Err(error) = format(Some("xml")) else { panic!("accepted") };
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.to_string().contains("jsonpath=TEMPLATE"), "{error}");
}

#[tokio::test]
async fn watch_prints_the_list_and_then_each_change_but_nothing_twice() {
    let calls = AtomicUsize::new(0);
    let session = session(move |_| {
        let event = |kind: &str, row: Value| json!({"type": kind, "object": {"kind": "Table", "columnDefinitions": null, "rows": [row]}});
        match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::json(200, table(&[row("web", "1", "Running")])),
            1 => Answer::lines(&[
                event("MODIFIED", row("web", "10", "Stopped")),
                json!({"type": "ERROR", "object": {"code": 410}}),
            ]),
            // The list after the 410 holds one known and one new state.
            2 => Answer::json(200, table(&[row("web", "10", "Stopped"), row("db", "12", "Pending")])),
            3 => Answer::lines(&[event("DELETED", row("db", "14", "Terminating"))]),
            _ => Answer::status(403, "Forbidden", "enough"),
        }
    });
    let Command::Get(args) = Cli::try_parse_from(["cloudctl", "get", "instances", "-w"]).unwrap().command else {
        panic!("not get")
    };
    let (screen, printed) = Screen::captured();
    let get =
        Get { session: &session, args: &args, format: Format::Table { wide: false }, sort: None, screen: &screen };
    let result = get.watch(Selection::Kinds(vec![resource("instances", "instance")])).await;
    assert_eq!(result.unwrap_err().to_string(), "enough");
    insta::assert_snapshot!(printed.text(), @r"
    NAME  PHASE
    web   Running
    web   Stopped
    db    Pending
    db    Terminating
    ");
}

#[tokio::test]
async fn watch_of_nothing_prints_the_headings_with_the_first_row() {
    let calls = AtomicUsize::new(0);
    let session = session(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::json(200, table(&[])),
        1 => Answer::lines(&[json!({"type": "ADDED", "object": table(&[row("a-long-name", "10", "Pending")])})]),
        _ => Answer::status(403, "Forbidden", "enough"),
    });
    let Command::Get(args) = Cli::try_parse_from(["cloudctl", "get", "instances", "-w"]).unwrap().command else {
        panic!("not get")
    };
    let (screen, printed) = Screen::captured();
    let get =
        Get { session: &session, args: &args, format: Format::Table { wide: false }, sort: None, screen: &screen };
    let _ = get.watch(Selection::Kinds(vec![resource("instances", "instance")])).await;
    insta::assert_snapshot!(printed.text(), @r"
    NAME         PHASE
    a-long-name  Pending
    ");
}
