//! `delete`: deletes objects and waits until they are gone, saying what holds them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::readiness;
use super::targets::{self, Named};
use crate::api::{ApiError, Catalog, Follow, Query, Session, Sight};
use crate::args::Global;
use crate::args::manifests::DryRun;
use crate::args::objects::{Cascade, DeleteArgs};
use crate::connect;
use crate::error::{Error, Exit};
use crate::output::progress::Progress;
use crate::output::{Screen, age};

/// How long something may take before it is said what holds it.
const PATIENCE: Duration = Duration::from_millis(700);

/// Deletes.
pub(super) async fn run(args: &DeleteArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let mut manifests = if args.filenames.is_empty() {
        Vec::new()
    } else {
        targets::of_files(&args.filenames, args.recursive, global.namespace.as_deref())?
    };
    // What needs others goes before what it needs.
    manifests.reverse();
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let mut objects = Vec::new();
    for manifest in &manifests {
        match targets::of_manifest(manifest, &catalog, &session) {
            Some(named) => objects.push(named),
            None if args.ignore_not_found => {}
            None => return Err(targets::no_such_kind(manifest)),
        }
    }
    if manifests.is_empty() {
        let selection = targets::select(&args.targets, &catalog, session.namespace())?;
        objects = targets::expand(&session, selection, args.selector.as_deref(), args.all).await?;
        if objects.is_empty() {
            screen.note("No resources found.");
            return Ok(());
        }
    }
    let mut leaving = Vec::new();
    let mut exit = None;
    for named in objects {
        match request(&session, &named, args).await {
            Ok(answer) => leaving.push((uid(&answer), named)),
            Err(error) if error.is_not_found() && args.ignore_not_found => {}
            Err(error) => {
                exit = Some(if exit.is_none_or(|before| before == error.exit()) { error.exit() } else { Exit::Failed });
                screen.error(&error.to_string());
            }
        }
    }
    let note = match args.dry_run {
        Some(DryRun::Client) => " (dry run)",
        Some(DryRun::Server) => " (server dry run)",
        None => "",
    };
    if args.wait && args.dry_run.is_none() {
        wait(&session, leaving, args.timeout, screen).await?;
    } else {
        for (_, named) in &leaving {
            screen.line(&format!("{} deleted{note}", named.full()))?;
        }
    }
    exit.map_or(Ok(()), |exit| Err(Error::Silent(exit)))
}

async fn request(session: &Session, named: &Named, args: &DeleteArgs) -> Result<Value, ApiError> {
    if args.dry_run == Some(DryRun::Client) {
        return session.get(&named.path()).await;
    }
    let policy = match args.cascade {
        Cascade::Background => "Background",
        Cascade::Foreground => "Foreground",
        Cascade::Orphan => "Orphan",
    };
    let query = Query::new().with_set("dryRun", (args.dry_run == Some(DryRun::Server)).then_some("All"));
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy});
    session.delete(&query.on(&named.path()), &options).await
}

/// The identity of what was deleted, from either kind of answer.
fn uid(answer: &Value) -> Option<String> {
    let places = [&answer["details"]["uid"], &answer["metadata"]["uid"]];
    places.into_iter().find_map(|value| value.as_str()).map(str::to_owned)
}

/// Waits until all are gone.
async fn wait(
    session: &Session,
    leaving: Vec<(Option<String>, Named)>,
    limit: Duration,
    screen: &Screen,
) -> Result<(), Error> {
    // Tokio's far future, as `timeout` without an end uses it.
    let limit = if limit.is_zero() { Duration::from_secs(86_400 * 365) } else { limit };
    let started = Instant::now();
    let deadline = started + limit;
    let held = std::cell::RefCell::new(BTreeMap::new());
    let mut waits: FuturesUnordered<_> = leaving
        .iter()
        .map(|(uid, named)| {
            let held = &held;
            async move {
                gone(session, named, uid.as_deref(), |why| {
                    held.borrow_mut().insert(named.full(), why);
                })
                .await?;
                held.borrow_mut().remove(&named.full());
                Ok::<_, ApiError>(named)
            }
        })
        .collect();
    let mut progress: Option<Progress> = None;
    loop {
        match timeout_at(deadline.min(Instant::now() + PATIENCE), waits.next()).await {
            Ok(Some(named)) => {
                let line = format!("{} deleted", named?.full());
                match &progress {
                    Some(progress) => progress.keep(&line)?,
                    None => screen.line(&line)?,
                }
            }
            Ok(None) => return Ok(()),
            Err(_) if Instant::now() >= deadline => {
                drop(progress);
                let text = format!("not gone after {}:\n{}", age::span(limit), told(&held.borrow()));
                return Err(Error::Timeout(text));
            }
            Err(_) => {
                let progress = progress.get_or_insert_with(|| Progress::start(screen));
                let held = held.borrow();
                if let Some((name, why)) = held.iter().next() {
                    let more = held.len() - 1;
                    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
                    progress.say(&format!("waiting for {name}: {why}{more}"));
                }
            }
        }
    }
}

fn told(held: &BTreeMap<String, String>) -> String {
    let parts: Vec<_> = held.iter().map(|(name, why)| format!("  {name}: {why}")).collect();
    parts.join("\n")
}

/// Comes back when the object is gone, or another one has its name.
async fn gone(
    session: &Session,
    named: &Named,
    uid: Option<&str>,
    mut tell: impl FnMut(String),
) -> Result<(), ApiError> {
    let mut follow = Follow::new(session, &named.resource, &named.namespace, &named.name);
    loop {
        match follow.next().await {
            Ok(Sight::Gone) => return Ok(()),
            Ok(Sight::Present(object)) => {
                if uid.is_some() && object["metadata"]["uid"].as_str() != uid {
                    return Ok(());
                }
                tell(readiness::held(&object));
            }
            // The kind itself is gone: a deleted definition takes its objects along.
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::api::Resource;
    use crate::api::tests::{Answer, session};

    fn named() -> Named {
        let resource =
            Resource { version: "v1".into(), plural: "vpcs".into(), singular: "vpc".into(), ..Resource::default() };
        Named { resource, namespace: "default".into(), name: "main".into() }
    }

    fn vpc(uid: &str) -> Value {
        json!({"metadata": {"name": "main", "uid": uid, "resourceVersion": "5"}, "status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "InUse", "message": "used by Instances web"}]}})
    }

    #[tokio::test(start_paused = true)]
    async fn timeout_says_what_holds_the_object() {
        let session = session(|request| {
            if request.uri().to_string().contains("watch=true") {
                return Answer::lines(&[]);
            }
            Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": [vpc("u")]}))
        });
        let (screen, printed) = Screen::captured();
        let leaving = vec![(Some("u".to_owned()), named())];
        let error = wait(&session, leaving, Duration::from_secs(5), &screen).await.unwrap_err();
        assert_eq!(error.exit(), Exit::Timeout);
        assert_eq!(error.to_string(), "not gone after 5s:\n  vpc/main: InUse: used by Instances web");
        assert_eq!(printed.text(), "waiting for vpc/main: InUse: used by Instances web\n");
    }

    #[tokio::test]
    async fn object_with_the_same_name_but_another_identity_counts_as_gone() {
        let session =
            session(|_| Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": [vpc("another")]})));
        gone(&session, &named(), Some("u"), |_| {}).await.unwrap();
    }

    #[tokio::test]
    async fn deletion_is_seen_in_the_watch() {
        let calls = AtomicUsize::new(0);
        let session = session(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": [vpc("u")]})),
            _ => Answer::lines(&[json!({"type": "DELETED", "object": vpc("u")})]),
        });
        let (screen, printed) = Screen::captured();
        wait(&session, vec![(Some("u".to_owned()), named())], Duration::ZERO, &screen).await.unwrap();
        assert_eq!(printed.text(), "vpc/main deleted\n");
    }

    #[test]
    fn identity_comes_from_either_kind_of_answer() {
        assert_eq!(uid(&json!({"kind": "Status", "details": {"uid": "a"}})).as_deref(), Some("a"));
        assert_eq!(uid(&json!({"metadata": {"uid": "b"}})).as_deref(), Some("b"));
        assert_eq!(uid(&json!({})), None);
    }
}
