//! `wait`: comes back when objects are in a state, and says what is missing when they are not in time.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::readiness::{self, Verdict};
use super::targets::{self, Named};
use crate::api::{ApiError, Catalog, Follow, Session, Sight};
use crate::args::Global;
use crate::args::objects::WaitArgs;
use crate::connect;
use crate::error::Error;
use crate::jsonpath::{self, Template};
use crate::output::progress::Progress;
use crate::output::{Screen, age};

/// How long something may take before it is said what is missing.
const PATIENCE: Duration = Duration::from_millis(500);
/// The least time for a first look, however short the timeout.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
enum Goal {
    Condition { name: String, value: String },
    Deleted,
    Created,
    JsonPath { template: Template, value: Option<String> },
}

impl Goal {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "delete" {
            return Ok(Self::Deleted);
        }
        if text == "create" {
            return Ok(Self::Created);
        }
        if let Some(rest) = text.strip_prefix("condition=") {
            let (name, value) = rest.split_once('=').unwrap_or((rest, "True"));
            if !name.is_empty() {
                return Ok(Self::Condition { name: name.to_owned(), value: value.to_owned() });
            }
        }
        if let Some(rest) = text.strip_prefix("jsonpath=") {
            // The value is behind the last brace: a filter in the path has its own equal signs.
            let end = rest.rfind('}').map_or(0, |end| end + 1);
            let (path, value) = match rest[end..].split_once('=') {
                Some((more, value)) => (format!("{}{more}", &rest[..end]), Some(value.to_owned())),
                None => (rest.to_owned(), None),
            };
            let template = Template::parse(&path)?;
            return Ok(Self::JsonPath { template, value });
        }
        Err(format!(
            "`{text}` is not something to wait for; write condition=Ready, delete, create or jsonpath='{{.path}}'=VALUE"
        ))
    }

    fn verdict(&self, sight: &Sight) -> Verdict {
        match (self, sight) {
            (Self::Deleted, Sight::Gone) | (Self::Created, Sight::Present(_)) => Verdict::Met,
            (Self::Deleted, Sight::Present(object)) => Verdict::NotYet(readiness::held(object)),
            (_, Sight::Gone) => Verdict::NotYet("it does not exist".to_owned()),
            (Self::Condition { name, value }, Sight::Present(object)) => readiness::condition(object, name, value),
            (Self::JsonPath { template, value }, Sight::Present(object)) => path(template, value.as_deref(), object),
        }
    }
}

fn path(template: &Template, value: Option<&str>, object: &Value) -> Verdict {
    match (template.first(object), value) {
        (None | Some(Value::Null), _) => Verdict::NotYet("the path selects nothing yet".to_owned()),
        (Some(_), None) => Verdict::Met,
        (Some(found), Some(wanted)) if jsonpath::plain(found) == wanted => Verdict::Met,
        (Some(found), Some(_)) => Verdict::NotYet(format!("it is `{}`", jsonpath::plain(found))),
    }
}

/// Waits.
pub(super) async fn run(args: &WaitArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let goal = Goal::parse(&args.what).map_err(Error::Usage)?;
    let manifests = if args.filenames.is_empty() {
        Vec::new()
    } else {
        targets::of_files(&args.filenames, args.recursive, global.namespace.as_deref())?
    };
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let mut objects = Vec::new();
    for manifest in &manifests {
        let named = targets::of_manifest(manifest, &catalog, &session);
        let named = named.ok_or_else(|| targets::no_such_kind(manifest))?;
        // A Secret or Namespace among the files has no conditions: it is ready as soon as it exists.
        if !(named.resource.group.is_empty() && matches!(goal, Goal::Condition { .. })) {
            objects.push(named);
        }
    }
    if manifests.is_empty() {
        let selection = targets::select(&args.targets, &catalog, session.namespace())?;
        objects = targets::expand(&session, selection, args.selector.as_deref(), args.all).await?;
        if objects.is_empty() {
            return Err(Error::NotFound("no object to wait for".to_owned()));
        }
    }
    all(&session, &objects, &goal, "condition met", args.timeout, screen).await
}

/// Waits until all are as their specs say by now, and says so of each in this word.
pub(super) async fn until_ready(
    session: &Session,
    objects: &[Named],
    word: &str,
    limit: Duration,
    screen: &Screen,
) -> Result<(), Error> {
    let goal = Goal::Condition { name: "Ready".to_owned(), value: "True".to_owned() };
    all(session, objects, &goal, word, limit, screen).await
}

async fn all(
    session: &Session,
    objects: &[Named],
    goal: &Goal,
    word: &str,
    limit: Duration,
    screen: &Screen,
) -> Result<(), Error> {
    let started = Instant::now();
    let deadline = started + if limit.is_zero() { FIRST_LOOK } else { limit };
    let missing = std::cell::RefCell::new(BTreeMap::new());
    let mut waits: FuturesUnordered<_> = objects
        .iter()
        .map(|named| {
            let missing = &missing;
            async move {
                let note = |why| {
                    missing.borrow_mut().insert(named.full(), why);
                };
                let met = until(session, named, goal, limit.is_zero(), note).await?;
                if met {
                    missing.borrow_mut().remove(&named.full());
                }
                Ok::<_, Error>(met.then_some(named))
            }
        })
        .collect();
    let mut progress: Option<Progress> = None;
    loop {
        match timeout_at(deadline.min(Instant::now() + PATIENCE), waits.next()).await {
            Ok(Some(met)) => {
                let Some(named) = met? else { continue };
                let line = format!("{} {word}", named.full());
                match &progress {
                    Some(progress) => progress.keep(&line)?,
                    None => screen.line(&line)?,
                }
            }
            Ok(None) if missing.borrow().is_empty() => return Ok(()),
            Ok(None) => return Err(late(limit, &missing.borrow())),
            Err(_) if Instant::now() >= deadline => {
                drop(progress);
                return Err(late(limit, &missing.borrow()));
            }
            Err(_) => {
                let progress = progress.get_or_insert_with(|| Progress::start(screen));
                if let Some((name, why)) = missing.borrow().iter().next() {
                    let more = missing.borrow().len() - 1;
                    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
                    progress.say(&format!("waiting for {name}: {why}{more}"));
                }
            }
        }
    }
}

fn late(limit: Duration, missing: &BTreeMap<String, String>) -> Error {
    let lines: Vec<_> = missing.iter().map(|(name, why)| format!("  {name}: {why}")).collect();
    let lines = if lines.is_empty() { "  no answer from the server".to_owned() } else { lines.join("\n") };
    let head = if limit.is_zero() { "not so now".to_owned() } else { format!("timed out after {}", age::span(limit)) };
    Error::Timeout(format!("{head}; still waiting for\n{lines}"))
}

/// Follows one object until the goal is met; `once` looks a single time.
async fn until(
    session: &Session,
    named: &Named,
    goal: &Goal,
    once: bool,
    mut note: impl FnMut(String),
) -> Result<bool, Error> {
    let mut follow = Follow::new(session, &named.resource, &named.namespace, &named.name);
    let mut first = true;
    loop {
        let sight = follow.next().await.map_err(Error::Api)?;
        if first && matches!(sight, Sight::Gone) && !matches!(goal, Goal::Deleted | Goal::Created) {
            return Err(Error::Api(absent(session, named).await));
        }
        first = false;
        match goal.verdict(&sight) {
            Verdict::Met => return Ok(true),
            Verdict::NotYet(why) => note(why),
        }
        if once {
            return Ok(false);
        }
    }
}

/// The server's own words for an object that is not there.
async fn absent(session: &Session, named: &Named) -> ApiError {
    match session.get(&named.path()).await {
        Err(error) => error,
        Ok(_) => {
            let status = kube::core::Status::failure(
                &format!("{} \"{}\" not found", named.resource.full_plural(), named.name),
                "NotFound",
            );
            ApiError::Status { status: Box::new(status.with_code(404)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::api::Resource;
    use crate::api::tests::{Answer, session};
    use crate::error::Exit;

    fn named() -> Named {
        let resource = Resource {
            version: "v1".into(),
            plural: "instances".into(),
            singular: "instance".into(),
            ..Resource::default()
        };
        Named { resource, namespace: "default".into(), name: "web".into() }
    }

    fn web(ready: &str) -> Value {
        json!({"metadata": {"name": "web", "resourceVersion": "5"}, "status": {"phase": "Pending", "conditions": [
            {"type": "Ready", "status": ready, "reason": "ImagePullFailed", "message": "no such image `nope`"}]}})
    }

    fn ready() -> Goal {
        Goal::parse("condition=Ready").unwrap()
    }

    #[tokio::test]
    async fn condition_that_comes_true_in_the_watch_is_met() {
        let calls = AtomicUsize::new(0);
        let session = session(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": [web("False")]})),
            _ => Answer::lines(&[json!({"type": "MODIFIED", "object": web("True")})]),
        });
        let (screen, printed) = Screen::captured();
        all(&session, &[named()], &ready(), "condition met", Duration::from_secs(5), &screen).await.unwrap();
        assert_eq!(printed.text(), "instance/web condition met\n");
    }

    #[tokio::test(start_paused = true)]
    async fn timeout_says_why() {
        let session = session(|request| {
            if request.uri().to_string().contains("watch=true") {
                return Answer::lines(&[]);
            }
            Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": [web("False")]}))
        });
        let (screen, _) = Screen::captured();
        let error =
            all(&session, &[named()], &ready(), "condition met", Duration::from_secs(3), &screen).await.unwrap_err();
        assert_eq!(error.exit(), Exit::Timeout);
        insta::assert_snapshot!(error, @r"
        timed out after 3s; still waiting for
          instance/web: ImagePullFailed: no such image `nope`
        ");
    }

    #[tokio::test]
    async fn timeout_zero_looks_once() {
        let session =
            session(|_| Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": [web("False")]})));
        let (screen, _) = Screen::captured();
        let error = all(&session, &[named()], &ready(), "condition met", Duration::ZERO, &screen).await.unwrap_err();
        assert!(error.to_string().starts_with("not so now"), "{error}");
    }

    #[tokio::test]
    async fn object_that_does_not_exist_is_not_waited_for() {
        let session = session(|request| {
            if request.uri().path().ends_with("/web") {
                return Answer::status(404, "NotFound", "instances \"web\" not found");
            }
            Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": []}))
        });
        let (screen, _) = Screen::captured();
        let error =
            all(&session, &[named()], &ready(), "condition met", Duration::from_secs(5), &screen).await.unwrap_err();
        assert_eq!(error.exit(), Exit::NotFound);
        assert_eq!(error.to_string(), "instances \"web\" not found");
        all(&session, &[named()], &Goal::Deleted, "condition met", Duration::from_secs(5), &screen).await.unwrap();
    }

    #[test]
    fn goals_are_read() {
        assert_eq!(Goal::parse("delete"), Ok(Goal::Deleted));
        assert_eq!(
            Goal::parse("condition=Available=false"),
            Ok(Goal::Condition { name: "Available".into(), value: "false".into() })
        );
        let Ok(Goal::JsonPath { value, .. }) = Goal::parse("jsonpath={.a[?(@.b==\"c\")].d}=x") else { panic!() };
        assert_eq!(value.as_deref(), Some("x"));
        for text in ["ready", "condition=", "jsonpath={.a"] {
            assert!(Goal::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn path_is_compared_as_text() {
        let goal = Goal::parse("jsonpath={.status.phase}=Pending").unwrap();
        assert_eq!(goal.verdict(&Sight::Present(web("True"))), Verdict::Met);
        let goal = Goal::parse("jsonpath=.status.phase=Running").unwrap();
        assert_eq!(goal.verdict(&Sight::Present(web("True"))), Verdict::NotYet("it is `Pending`".into()));
    }
}
