//! `apply`: makes the server match YAML files. Every file is read before the first request; a failing object does not keep the
//! others from being applied, only from being pruned.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::failures::Failures;
use super::targets::{self, Named};
use crate::api::{Catalog, Session};
use crate::args::Global;
use crate::args::manifests::ApplyArgs;
use crate::connect;
use crate::error::{Error, Exit};
use crate::manifests::Manifest;
use crate::output::{Colour, Screen, yaml};

pub(super) mod foretold;
mod hand_over;
mod object;
mod refusal;
mod set;

pub(crate) use hand_over::RUN_MANAGER;
pub(crate) use object::{Applied, Manner, apply, substance, wish};
pub(crate) use set::{Set, left_alone};

/// How long a kind may take to be served after its definition was applied.
const NEW_KIND: Duration = Duration::from_secs(10);

/// What applying did to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Created,
    Configured,
    Unchanged,
    Pruned,
}

impl Outcome {
    fn of(applied: &Applied, named: &Named) -> Self {
        match &applied.before {
            None => Self::Created,
            Some(before) if substance(before, named) == substance(&applied.after, named) => Self::Unchanged,
            Some(_) => Self::Configured,
        }
    }
}

/// Applies the files.
pub(super) async fn run(args: &ApplyArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let manifests = targets::of_files(&args.filenames, args.recursive, global.namespace.as_deref())?;
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    all(&session, catalog, &manifests, args).await
}

async fn all(session: &Session, mut catalog: Catalog, manifests: &[Manifest], args: &ApplyArgs) -> Result<(), Error> {
    let screen = session.screen();
    let manner = Manner { dry_run: args.dry_run, force: args.force_conflicts };
    let mut set = match &args.applyset {
        Some(word) => Some(Set::open(session, &catalog, word, args.dry_run).await?),
        None => None,
    };
    if let Some(set) = &mut set {
        set.take_in(manifests, &catalog)?;
    }
    let mut home = match &set {
        Some(set) => announce(set, session, manifests, &catalog, manner).await?,
        None => None,
    };
    let mut new_kinds = false;
    let mut failures = Failures::new(screen);
    let mut objects = Vec::new();
    for manifest in manifests {
        if args.dry_run && foretold::kind_comes_with(manifests, manifest, &catalog) {
            tell(screen, args, &foretold::name(manifest), Outcome::Created)?;
            objects.push(manifest.object.clone());
            continue;
        }
        let done = match locate(manifest, &mut catalog, session, new_kinds).await {
            Ok(named) => {
                let mut wish = wish(manifest, &named);
                if let Some(set) = &set {
                    set.mark(&mut wish);
                }
                let made = home.take_if(|_| set.as_ref().is_some_and(|set| set.is_home(manifest)));
                let applied = match made {
                    Some(made) => Ok(made),
                    None => apply(session, &named, &wish, manner).await,
                };
                applied.map(|applied| (named, applied))
            }
            Err(error) => Err(error),
        };
        match done {
            Ok((named, applied)) => {
                new_kinds |= manifest.kind == "CustomResourceDefinition";
                tell(screen, args, &named.full(), Outcome::of(&applied, &named))?;
                if let Some(set) = &mut set {
                    set.keep(&applied.after);
                }
                objects.push(applied.after);
            }
            Err(error) if args.dry_run && foretold::namespace_comes_with(manifests, manifest, session, &error) => {
                tell(screen, args, &foretold::name(manifest), Outcome::Created)?;
                objects.push(manifest.object.clone());
            }
            Err(error) => {
                failures.add(manifest, &error);
                if error.exit() == Exit::Unreachable {
                    break;
                }
            }
        }
    }
    match set {
        Some(_) if !failures.is_empty() => left_alone(screen),
        Some(set) => {
            set.prune(&catalog, &mut failures, |named| tell(screen, args, &named.full(), Outcome::Pruned)).await?;
        }
        None => {}
    }
    print(screen, args.output.as_deref(), objects)?;
    failures.end()
}

/// Notes the set on the server. Its own namespace may be among what is applied, and goes first then.
async fn announce(
    set: &Set<'_>,
    session: &Session,
    manifests: &[Manifest],
    catalog: &Catalog,
    manner: Manner,
) -> Result<Option<Applied>, Error> {
    let Err(error) = set.announce().await else { return Ok(None) };
    let home = manifests.iter().find(|manifest| error.lacks_namespace() && set.is_home(manifest));
    let Some((manifest, named)) =
        home.and_then(|manifest| Some((manifest, targets::of_manifest(manifest, catalog, session)?)))
    else {
        return Err(error.into());
    };
    if manner.dry_run {
        return Ok(None);
    }
    let mut wish = wish(manifest, &named);
    set.mark(&mut wish);
    let applied = apply(session, &named, &wish, manner).await?;
    set.announce().await?;
    Ok(Some(applied))
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

fn tell(screen: &Screen, args: &ApplyArgs, name: &str, outcome: Outcome) -> Result<(), Error> {
    let (colour, word) = match outcome {
        Outcome::Created => (Colour::Green, "created"),
        Outcome::Configured => (Colour::Yellow, "configured"),
        Outcome::Unchanged => (Colour::Dim, "unchanged"),
        Outcome::Pruned => (Colour::Red, "pruned"),
    };
    let note = if args.dry_run { " (server dry run)" } else { "" };
    let line = format!("{name} {}{note}", screen.paint().colour(colour, word));
    match (args.output.as_deref(), outcome) {
        (None, _) => screen.line(&line)?,
        // The result is what was applied.
        (Some(_), Outcome::Pruned) => screen.note(&line),
        (Some("name"), _) => screen.line(name)?,
        (Some(_), _) => {}
    }
    Ok(())
}

fn print(screen: &Screen, format: Option<&str>, mut objects: Vec<Value>) -> Result<(), Error> {
    let Some(format) = format.filter(|format| *format != "name") else { return Ok(()) };
    objects.iter_mut().for_each(yaml::without_managed_fields);
    let whole = match objects.len() {
        0 => return Ok(()),
        1 => objects.remove(0),
        _ => json!({"apiVersion": "v1", "kind": "List", "items": objects}),
    };
    screen.text(&if format == "json" { yaml::json(&whole) } else { yaml::yaml(&whole) })?;
    Ok(())
}

#[cfg(test)]
mod tests;
