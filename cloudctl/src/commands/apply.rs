//! `apply`: makes the server match YAML files, by a three-way merge that it shares with kubectl through one annotation.
//! Every file is read before the first request; a failing object does not keep the others from being applied.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::targets::{self, Named};
use crate::api::{ApiError, Catalog, FIELD_MANAGER, Query, Session};
use crate::args::Global;
use crate::args::manifests::{ApplyArgs, DryRun};
use crate::connect;
use crate::error::{Error, Exit, chain};
use crate::manifests::Manifest;
use crate::merge;
use crate::output::{Colour, Screen, yaml};

/// How often a write is tried again when somebody else wrote in between.
const ATTEMPTS: usize = 10;
/// How long a kind may take to be served after its definition was applied.
const NEW_KIND: Duration = Duration::from_secs(10);

/// What applying did to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Created,
    Configured,
    Unchanged,
}

/// Applies the files.
pub(super) async fn run(args: &ApplyArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let manifests = targets::of_files(&args.filenames, args.recursive, global.namespace.as_deref())?;
    let session = connect::connect(global, screen).await?;
    let mut catalog = Catalog::fetch(&session).await?;
    let mut new_kinds = false;
    let mut failures = Failures::new(screen);
    let mut applied = Vec::new();
    for manifest in &manifests {
        let done = match locate(manifest, &mut catalog, &session, new_kinds).await {
            Ok(named) => one(&session, manifest, &named, args).await.map(|(outcome, object)| (named, outcome, object)),
            Err(error) => Err(error),
        };
        match done {
            Ok((named, outcome, object)) => {
                new_kinds |= manifest.kind == "CustomResourceDefinition";
                match args.output.as_deref() {
                    None => tell(screen, &named, outcome, args.dry_run)?,
                    Some("name") => screen.line(&named.full())?,
                    Some(_) => applied.push(object),
                }
            }
            Err(error) => failures.add(manifest, error),
        }
    }
    print(screen, args.output.as_deref(), applied)?;
    failures.end()
}

/// Errors of several objects, each told where it happened.
pub(super) struct Failures<'a> {
    screen: &'a Screen,
    exit: Option<Exit>,
}

impl<'a> Failures<'a> {
    /// None so far.
    pub(super) fn new(screen: &'a Screen) -> Self {
        Self { screen, exit: None }
    }

    /// Tells one, with the manifest that it belongs to.
    pub(super) fn add(&mut self, manifest: &Manifest, error: Error) {
        self.exit = Some(match (self.exit, error.exit()) {
            (None, exit) => exit,
            (Some(before), exit) if before == exit => exit,
            _ => Exit::Failed,
        });
        let text = chain(&error);
        let place = manifest.origin.to_string();
        let text = if text.starts_with(&place) { text } else { format!("{place}: {text}") };
        self.screen.error(&text);
    }

    /// Success when there was none.
    pub(super) fn end(self) -> Result<(), Error> {
        self.exit.map_or(Ok(()), |exit| Err(Error::Silent(exit)))
    }
}

/// The object that a manifest means. A kind whose definition was applied a moment ago may need another moment.
async fn locate(
    manifest: &Manifest,
    catalog: &mut Catalog,
    session: &Session,
    new_kinds: bool,
) -> Result<Named, Error> {
    let started = Instant::now();
    loop {
        if let Some(named) = targets::of_manifest(manifest, catalog, session) {
            return Ok(named);
        }
        if !new_kinds || started.elapsed() > NEW_KIND {
            return Err(targets::no_such_kind(manifest));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        *catalog = Catalog::fetch(session).await?;
    }
}

/// Applies one object.
async fn one(
    session: &Session,
    manifest: &Manifest,
    named: &Named,
    args: &ApplyArgs,
) -> Result<(Outcome, Value), Error> {
    let wanted = wanted(manifest, named);
    let mut attempt = 1;
    loop {
        match try_one(session, &wanted, named, args).await {
            Err(error) if attempt < ATTEMPTS && (error.is_conflict() || error.already_exists()) => attempt += 1,
            result => return result.map_err(Error::Api),
        }
    }
}

/// What a manifest asks for, as it is sent.
pub(super) fn wanted(manifest: &Manifest, named: &Named) -> Value {
    let namespace = named.resource.namespaced.then_some(named.namespace.as_str());
    let has_status = named.resource.subresources.iter().any(|below| below == "status");
    merge::prepared(&manifest.object, namespace, has_status)
}

async fn try_one(
    session: &Session,
    wanted: &Value,
    named: &Named,
    args: &ApplyArgs,
) -> Result<(Outcome, Value), ApiError> {
    let validation = match args.validate.as_str() {
        "warn" => "Warn",
        "ignore" => "Ignore",
        _ => "Strict",
    };
    let query = Query::new()
        .with("fieldManager", FIELD_MANAGER)
        .with("fieldValidation", validation)
        .with_set("dryRun", (args.dry_run == Some(DryRun::Server)).then_some("All"));
    let live = match session.get(&named.path()).await {
        Ok(live) => live,
        Err(error) if error.is_not_found() => {
            let created = create(session, wanted, named, &query, args.dry_run).await?;
            return Ok((Outcome::Created, created));
        }
        Err(error) => return Err(error),
    };
    if live["metadata"]["deletionTimestamp"].is_string() {
        session.screen().warning(&format!("{} is being deleted; the change will go with it", named.full()));
    }
    let mut patch = merge::three_way(merge::recorded(&live).as_ref(), wanted, &live);
    if patch == json!({}) {
        return Ok((Outcome::Unchanged, live));
    }
    if args.dry_run == Some(DryRun::Client) {
        return Ok((Outcome::Configured, merge::patched(&live, &patch)));
    }
    // The patch was worked out from this state, so it must not be put on another one.
    patch["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    let patched = session.merge_patch(&query.on(&named.path()), &patch).await?;
    let same = patched["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"];
    // A dry run gives no new revision to compare.
    let outcome = if same && args.dry_run.is_none() { Outcome::Unchanged } else { Outcome::Configured };
    Ok((outcome, patched))
}

async fn create(
    session: &Session,
    wanted: &Value,
    named: &Named,
    query: &Query,
    dry_run: Option<DryRun>,
) -> Result<Value, ApiError> {
    let object = merge::without_nulls(wanted);
    if dry_run == Some(DryRun::Client) {
        return Ok(object);
    }
    let path = named.resource.collection(Some(&named.namespace));
    session.post(&query.on(&path), &object).await
}

fn tell(screen: &Screen, named: &Named, outcome: Outcome, dry_run: Option<DryRun>) -> Result<(), Error> {
    let (colour, word) = match outcome {
        Outcome::Created => (Colour::Green, "created"),
        Outcome::Configured => (Colour::Yellow, "configured"),
        Outcome::Unchanged => (Colour::Dim, "unchanged"),
    };
    let note = match dry_run {
        None => "",
        Some(DryRun::Client) => " (dry run)",
        Some(DryRun::Server) => " (server dry run)",
    };
    screen.line(&format!("{} {}{note}", named.full(), screen.paint().colour(colour, word)))?;
    Ok(())
}

fn print(screen: &Screen, format: Option<&str>, mut objects: Vec<Value>) -> Result<(), Error> {
    objects.iter_mut().for_each(yaml::without_managed_fields);
    let whole = match objects.len() {
        0 => return Ok(()),
        1 => objects.remove(0),
        _ => json!({"apiVersion": "v1", "kind": "List", "items": objects}),
    };
    screen.text(&if format == Some("json") { yaml::json(&whole) } else { yaml::yaml(&whole) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::Method;

    use super::*;
    use crate::api::Resource;
    use crate::api::tests::{Answer, session};
    use crate::manifests;

    fn named() -> Named {
        let resource = Resource {
            group: "thecloud.dev".into(),
            version: "v1alpha1".into(),
            kind: "Instance".into(),
            plural: "instances".into(),
            singular: "instance".into(),
            namespaced: true,
            subresources: vec!["status".into()],
            ..Resource::default()
        };
        Named { resource, namespace: "default".into(), name: "web".into() }
    }

    fn manifest(spec: &str) -> Manifest {
        let text =
            format!("apiVersion: thecloud.dev/v1alpha1\nkind: Instance\nmetadata: {{name: web}}\nspec: {spec}\n");
        manifests::parse("web.yaml", &text).unwrap().remove(0)
    }

    fn args(dry_run: Option<DryRun>) -> ApplyArgs {
        ApplyArgs { filenames: vec![], recursive: false, dry_run, output: None, validate: "strict".into() }
    }

    /// The one object that a test server holds, and what it was asked.
    type Held = Arc<Mutex<(Option<Value>, Vec<String>)>>;

    /// A server that holds one object, as merge patches leave it.
    fn server(conflicts: usize) -> (Session, Held) {
        let state = Arc::new(Mutex::new((None::<Value>, Vec::new())));
        let shared = state.clone();
        let conflicts = Mutex::new(conflicts);
        let session = session(move |request| {
            let mut state = shared.lock().unwrap();
            state.1.push(format!("{} {}", request.method(), request.uri().query().unwrap_or_default()));
            let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            let dry = request.uri().to_string().contains("dryRun=All");
            let result = match (request.method().clone(), state.0.clone()) {
                (Method::GET, Some(object)) => return Answer::json(200, object),
                (Method::GET, None) => return Answer::status(404, "NotFound", "not found"),
                (Method::POST, None) => body,
                (Method::PATCH, Some(object)) => {
                    let mut left = conflicts.lock().unwrap();
                    if *left > 0 {
                        *left -= 1;
                        return Answer::status(409, "Conflict", "the object has been modified");
                    }
                    assert_eq!(body["metadata"]["resourceVersion"], object["metadata"]["resourceVersion"]);
                    merge::patched(&object, &body)
                }
                (method, _) => panic!("unexpected {method}"),
            };
            let mut result = result;
            if !dry {
                result["metadata"]["resourceVersion"] = json!(state.1.len().to_string());
                result["spec"]["powerState"] = json!("Running");
                state.0 = Some(result.clone());
            }
            Answer::json(200, result)
        });
        (session, state)
    }

    async fn outcome(session: &Session, spec: &str) -> Outcome {
        one(session, &manifest(spec), &named(), &args(None)).await.unwrap().0
    }

    #[tokio::test]
    async fn object_is_created_then_unchanged_then_configured() {
        let (session, state) = server(0);
        assert_eq!(outcome(&session, "{image: a, vpc: main}").await, Outcome::Created);
        assert_eq!(outcome(&session, "{image: a, vpc: main}").await, Outcome::Unchanged);
        assert_eq!(outcome(&session, "{image: b}").await, Outcome::Configured);
        let state = state.lock().unwrap();
        assert_eq!(state.0.as_ref().unwrap()["spec"], json!({"image": "b", "powerState": "Running"}));
        assert!(state.1[1].contains("fieldValidation=Strict"), "{:?}", state.1);
        assert_eq!(state.1.iter().filter(|asked| asked.starts_with("PATCH")).count(), 1);
    }

    #[tokio::test]
    async fn conflict_is_tried_again_from_the_new_state() {
        let (session, state) = server(2);
        outcome(&session, "{image: a}").await;
        assert_eq!(outcome(&session, "{image: b}").await, Outcome::Configured);
        assert_eq!(state.lock().unwrap().1.iter().filter(|asked| asked.starts_with("PATCH")).count(), 3);
    }

    #[tokio::test]
    async fn conflict_without_end_is_reported() {
        let (session, _) = server(usize::MAX);
        outcome(&session, "{image: a}").await;
        assert!(one(&session, &manifest("{image: b}"), &named(), &args(None)).await.is_err());
    }

    #[tokio::test]
    async fn dry_run_changes_nothing() {
        let (session, state) = server(0);
        for dry_run in [DryRun::Client, DryRun::Server] {
            let (outcome, _) = one(&session, &manifest("{image: a}"), &named(), &args(Some(dry_run))).await.unwrap();
            assert_eq!(outcome, Outcome::Created);
            assert_eq!(state.lock().unwrap().0, None);
        }
        assert_eq!(state.lock().unwrap().1.iter().filter(|asked| asked.starts_with("POST")).count(), 1);
    }
}
