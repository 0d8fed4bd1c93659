//! What is sent, and in which order, by applies of one object and of a set.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request};

use super::*;
use crate::api::Resource;
use crate::api::tests::{Answer, session};
use crate::manifests;
use crate::output::Captured;

const INSTANCES: &str = "/apis/thecloud.dev/v1alpha1/namespaces/default/instances";
const VPCS: &str = "/apis/thecloud.dev/v1alpha1/namespaces/default/vpcs";
const PARENT: &str = "/api/v1/namespaces/default/secrets/tour";

fn resource(api_version: &str, kind: &str) -> Resource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Resource {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
        singular: kind.to_lowercase(),
        namespaced: true,
        preferred: true,
        subresources: vec!["status".into()],
        verbs: vec!["list".into()],
        ..Resource::default()
    }
}

fn catalog() -> Catalog {
    Catalog::of(vec![
        resource("thecloud.dev/v1alpha1", "Instance"),
        resource("thecloud.dev/v1alpha1", "Vpc"),
        resource("v1", "Secret"),
    ])
}

fn instance(name: &str, spec: &str) -> String {
    format!("apiVersion: thecloud.dev/v1alpha1\nkind: Instance\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n")
}

fn vpc(name: &str) -> String {
    format!("apiVersion: thecloud.dev/v1alpha1\nkind: Vpc\nmetadata: {{name: {name}}}\nspec: {{}}\n---\n")
}

/// What a test server holds by path, and what it was asked to change.
#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    writes: Vec<String>,
    /// What it answers once, instead of doing it, to the next request of a method that ends so.
    refusals: Vec<(Method, &'static str, Answer)>,
}

/// A server that makes of an apply what was wished, and nothing else.
struct Server {
    state: Arc<Mutex<State>>,
    session: Session,
    printed: Captured,
}

impl Server {
    fn new() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let (screen, printed) = Screen::captured();
        let session = session(move |request| answer(&mut shared.lock().unwrap(), &request)).with_trace(screen, 0);
        Self { state, session, printed }
    }

    async fn apply(&self, text: &str, flags: &str) -> Result<(), Error> {
        use clap::Parser as _;
        let line = format!("cloudctl apply -f - {flags}");
        let crate::args::Command::Apply(args) =
            crate::args::Cli::try_parse_from(line.split_whitespace()).unwrap().command
        else {
            panic!("no apply")
        };
        let mut manifests = manifests::parse("f.yaml", text).unwrap();
        manifests::sort(&mut manifests);
        all(&self.session, catalog(), &manifests, &args).await
    }

    fn hold(&self, path: &str, object: Value) {
        self.state.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    fn refuse(&self, method: Method, path: &'static str, answer: Answer) {
        self.state.lock().unwrap().refusals.push((method, path, answer));
    }

    fn object(&self, path: &str) -> Value {
        self.state.lock().unwrap().objects.get(path).cloned().unwrap_or_default()
    }

    /// The writes since the last look.
    fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().writes)
    }
}

fn answer(state: &mut State, request: &Request<Bytes>) -> Answer {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    if let Some(place) =
        state.refusals.iter().position(|(method, end, _)| method == request.method() && path.ends_with(end))
    {
        return state.refusals.remove(place).2;
    }
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let kind = request.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if request.method() != Method::GET {
        let short = path.rsplit('/').next().unwrap_or_default();
        let what = kind.trim_start_matches("application/").split(['-', '+']).next().unwrap_or_default();
        state.writes.push(format!("{} {what} {short} {query}", request.method()));
    }
    let dry = query.contains("dryRun=All");
    let held = state.objects.get(&path).cloned();
    match (request.method().as_str(), held) {
        ("GET", _) if query.contains("labelSelector") => {
            // More than was asked for: what has no label of the set must not be touched even then.
            assert!(query.contains("part-of%3Dapplyset-"), "{query}");
            let below = format!("{path}/");
            let items: Vec<_> =
                state.objects.iter().filter(|(place, _)| place.starts_with(&below)).map(|(_, object)| object).collect();
            Answer::json(200, json!({"metadata": {}, "items": items}))
        }
        ("GET" | "DELETE", None) => Answer::status(404, "NotFound", "not found"),
        ("GET", Some(object)) => Answer::json(200, object),
        ("DELETE", Some(object)) => {
            assert_eq!(body["preconditions"]["uid"], object["metadata"]["uid"]);
            if !dry {
                state.objects.remove(&path);
            }
            Answer::json(200, object)
        }
        (_, Some(mut object)) if kind.contains("json-patch") => {
            object["metadata"]["managedFields"] = body[0]["value"].clone();
            state.objects.insert(path, object.clone());
            Answer::json(200, object)
        }
        _ => {
            let mut object = body;
            object["metadata"]["uid"] = json!(path);
            object["spec"]["powerState"] = json!("Running");
            if !dry {
                state.objects.insert(path, object.clone());
            }
            Answer::json(200, object)
        }
    }
}

fn conflict() -> Answer {
    Answer::json(
        409,
        json!({"kind": "Status", "status": "Failure", "reason": "Conflict", "code": 409, "message": "Apply failed with 1 conflict",
            "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".spec.image",
                "message": "conflict with \"kubectl-edit\" using thecloud.dev/v1alpha1"}]}}),
    )
}

#[tokio::test]
async fn object_is_created_then_unchanged_then_configured() {
    let server = Server::new();
    for spec in ["{image: a, vpc: main}", "{image: a, vpc: main}", "{image: b}"] {
        server.apply(&instance("web", spec), "").await.unwrap();
    }
    assert_eq!(
        server.printed.text(),
        "instance.thecloud.dev/web created\ninstance.thecloud.dev/web unchanged\ninstance.thecloud.dev/web configured\n"
    );
    assert_eq!(server.writes(), ["PATCH apply web fieldManager=cloudctl&fieldValidation=Strict"; 3]);
}

#[tokio::test]
async fn conflict_names_manager_field_and_way_out_and_force_takes_it() {
    let server = Server::new();
    server.refuse(Method::PATCH, "/web", conflict());
    let error = server.apply(&instance("web", "{image: a}"), "").await.unwrap_err();
    assert_eq!(error.exit().code(), 1);
    insta::assert_snapshot!(server.printed.text());
    server.apply(&instance("web", "{image: a}"), "--force-conflicts").await.unwrap();
    assert!(server.writes()[0].contains("force=true"));
}

fn of_older_cloudctl() -> Value {
    let last = json!({"metadata": {"annotations": {}, "name": "web"}, "spec": {"image": "a", "vpc": "main"}});
    json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": "Instance", "metadata": {"name": "web", "resourceVersion": "7",
        "annotations": {crate::manifests::LAST_APPLIED: last.to_string()},
        "managedFields": [{"manager": "cloudctl", "operation": "Update", "apiVersion": "thecloud.dev/v1alpha1", "fieldsV1": {
            "f:metadata": {"f:annotations": {format!("f:{}", crate::manifests::LAST_APPLIED): {}}},
            "f:spec": {"f:image": {}, "f:vpc": {}}}}]},
        "spec": {"image": "a", "vpc": "main"}})
}

#[tokio::test]
async fn object_of_an_older_cloudctl_is_handed_over_before_it_is_applied() {
    let server = Server::new();
    let path = format!("{INSTANCES}/web");
    server.hold(&path, of_older_cloudctl());
    // Somebody writes in between: the hand-over is worked out again.
    server.refuse(Method::PATCH, "/web", Answer::status(409, "Conflict", "the object has been modified"));
    server.apply(&instance("web", "{image: a}"), "").await.unwrap();
    let writes = server.writes();
    assert!(writes[0].starts_with("PATCH json web") && writes[1].starts_with("PATCH apply web"), "{writes:?}");
    assert_eq!(writes.len(), 2);
    server.apply(&instance("web", "{image: a}"), "").await.unwrap();
    assert_eq!(server.writes().len(), 1, "handed over once");
}

#[tokio::test]
async fn dry_run_hands_nothing_over_and_still_tells_what_would_go() {
    let server = Server::new();
    let path = format!("{INSTANCES}/web");
    server.hold(&path, of_older_cloudctl());
    server.apply(&instance("web", "{image: a}"), "--dry-run=server").await.unwrap();
    assert_eq!(server.printed.text(), "instance.thecloud.dev/web configured (server dry run)\n");
    assert_eq!(server.object(&path), of_older_cloudctl());
    assert!(server.writes().iter().all(|write| write.contains("dryRun=All")));
}

#[tokio::test]
async fn set_is_announced_before_and_settled_after_and_what_is_not_given_any_more_is_pruned() {
    let server = Server::new();
    let flags = "--prune --applyset tour";
    server.apply(&(vpc("main") + &instance("web", "{}") + &instance("old", "{}")), flags).await.unwrap();
    server.writes();
    server.hold(&format!("{INSTANCES}/stranger"), json!({"metadata": {"name": "stranger", "uid": "s"}}));
    server.hold(&format!("{VPCS}/copy"), json!({"metadata": {"name": "copy", "uid": "c", "labels": {"app": "tour"}}}));
    server.apply(&instance("web", "{}"), flags).await.unwrap();
    insta::assert_snapshot!(server.writes().join("\n"));
    assert!(server.printed.text().ends_with(
        "instance.thecloud.dev/web unchanged\ninstance.thecloud.dev/old pruned\nvpc.thecloud.dev/main pruned\n"
    ));
    let left: Vec<_> = server.state.lock().unwrap().objects.keys().cloned().collect();
    assert_eq!(
        left,
        [PARENT.to_owned(), format!("{INSTANCES}/stranger"), format!("{INSTANCES}/web"), format!("{VPCS}/copy")]
    );
    let annotations = server.object(PARENT)["metadata"]["annotations"].clone();
    assert_eq!(annotations["applyset.kubernetes.io/contains-group-kinds"], "Instance.thecloud.dev");
}

#[tokio::test]
async fn nothing_is_pruned_when_something_cannot_be_applied() {
    let server = Server::new();
    let flags = "--prune --applyset tour";
    server.apply(&(instance("web", "{}") + &instance("old", "{}")), flags).await.unwrap();
    server.refuse(Method::PATCH, "/web", Answer::status(422, "Invalid", "no"));
    assert!(server.apply(&(instance("web", "{}") + &vpc("new")), flags).await.is_err());
    assert!(server.printed.text().ends_with("Nothing is pruned until everything can be applied.\n"));
    assert!(!server.object(&format!("{INSTANCES}/old")).is_null());
    let kinds = server.object(PARENT)["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"].clone();
    assert_eq!(kinds, "Instance.thecloud.dev,Vpc.thecloud.dev");
    // The next run makes up for it.
    server.apply(&instance("web", "{}"), flags).await.unwrap();
    assert!(server.object(&format!("{INSTANCES}/old")).is_null() && server.object(&format!("{VPCS}/new")).is_null());
}

#[tokio::test]
async fn what_cannot_be_pruned_stays_in_the_set() {
    let server = Server::new();
    let flags = "--prune --applyset tour";
    server.apply(&(vpc("main") + &vpc("other") + &instance("web", "{}")), flags).await.unwrap();
    server.refuse(Method::DELETE, "/main", Answer::status(403, "Forbidden", "it is protected"));
    assert!(server.apply(&instance("web", "{}"), flags).await.is_err());
    let printed = server.printed.text();
    assert!(printed.contains("Error: vpc.thecloud.dev/main cannot be pruned: it is protected"), "{printed}");
    assert!(printed.contains("vpc.thecloud.dev/other pruned"), "{printed}");
    server.apply(&instance("web", "{}"), flags).await.unwrap();
    assert!(server.object(&format!("{VPCS}/main")).is_null());
}

#[tokio::test]
async fn dry_run_of_a_prune_deletes_nothing() {
    let server = Server::new();
    server.apply(&(vpc("main") + &instance("web", "{}")), "--prune --applyset tour").await.unwrap();
    let before = server.object(PARENT);
    server.apply(&instance("web", "{}"), "--prune --applyset tour --dry-run=server").await.unwrap();
    assert!(server.printed.text().ends_with("vpc.thecloud.dev/main pruned (server dry run)\n"));
    assert!(!server.object(&format!("{VPCS}/main")).is_null());
    assert_eq!(server.object(PARENT), before);
}

#[tokio::test]
async fn set_of_another_tool_and_ordinary_object_are_refused_before_anything_is_sent() {
    let server = Server::new();
    for tooling in [json!({"applyset.kubernetes.io/tooling": "kubectl/v1.32.4"}), json!({})] {
        server.hold(PARENT, json!({"metadata": {"name": "tour", "annotations": tooling}}));
        let error = server.apply(&instance("web", "{}"), "--prune --applyset tour").await.unwrap_err();
        assert!(error.to_string().starts_with("secret/tour: it "), "{error}");
        assert_eq!(server.writes(), [""; 0]);
    }
    let error = server.apply(&instance("web", "{}"), "--prune --applyset vpc/tour").await.unwrap_err();
    assert!(error.to_string().contains("a Vpc cannot stand for an apply set"), "{error}");
}

#[tokio::test]
async fn member_stays_in_its_set_when_it_is_applied_alone_and_is_not_taken_by_another() {
    let server = Server::new();
    server.apply(&instance("web", "{}"), "--prune --applyset tour").await.unwrap();
    let path = format!("{INSTANCES}/web");
    let mut web = server.object(&path);
    web["metadata"]["managedFields"] = json!([{"manager": "cloudctl", "operation": "Apply",
        "fieldsV1": {"f:metadata": {"f:labels": {"f:applyset.kubernetes.io/part-of": {}}}}}]);
    server.hold(&path, web.clone());
    server.apply(&instance("web", "{image: b}"), "").await.unwrap();
    assert_eq!(server.object(&path)["metadata"]["labels"], web["metadata"]["labels"]);
    assert!(server.apply(&instance("web", "{}"), "--prune --applyset other").await.is_err());
    assert!(server.printed.text().contains("instance.thecloud.dev/web belongs to another apply set"));
    server.apply(&instance("web", "{}"), "--prune --applyset other --force-conflicts").await.unwrap();
    assert_ne!(server.object(&path)["metadata"]["labels"], web["metadata"]["labels"]);
}

#[test]
fn bookkeeping_is_no_change_and_a_status_is_one_only_where_it_is_the_users() {
    let mut named = Named { resource: resource("v1", "Instance"), namespace: "n".into(), name: "web".into() };
    let object = |version: &str, phase: &str| {
        json!({"metadata": {"resourceVersion": version, "annotations": {crate::manifests::LAST_APPLIED: version}},
            "spec": {}, "status": {"phase": phase}})
    };
    let outcome = |named: &Named, phase: &str| {
        Outcome::of(&Applied { before: Some(object("1", "Pending")), after: object("2", phase) }, named)
    };
    assert_eq!(outcome(&named, "Running"), Outcome::Unchanged);
    named.resource.subresources.clear();
    assert_eq!(outcome(&named, "Pending"), Outcome::Unchanged);
    assert_eq!(outcome(&named, "Running"), Outcome::Configured);
}

#[test]
fn what_cannot_be_in_a_set_is_refused() {
    for line in ["--prune", "--applyset tour", "--dry-run=client"] {
        use clap::Parser as _;
        let line = format!("cloudctl apply -f - {line}");
        assert!(crate::args::Cli::try_parse_from(line.split_whitespace()).is_err(), "{line}");
    }
}
