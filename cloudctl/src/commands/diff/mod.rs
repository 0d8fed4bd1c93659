//! `diff`: shows what `apply` would change, by asking the server to try it without keeping it. Ends with 1 when there is a
//! difference.

use super::apply::{Manner, Set, apply, foretold, left_alone, substance, wish};
use super::failures::Failures;
use super::targets;
use crate::api::Catalog;
use crate::args::Global;
use crate::args::manifests::DiffArgs;
use crate::connect;
use crate::error::{Error, Exit};
use crate::output::Screen;

mod consequence;
mod text;

use text::difference;

/// Shows the differences.
pub(super) async fn run(args: &DiffArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let manifests = targets::of_files(&args.filenames, args.recursive, global.namespace.as_deref())?;
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let mut set = match &args.applyset {
        Some(word) => Some(Set::open(&session, &catalog, word, true).await?),
        None => None,
    };
    if let Some(set) = &mut set {
        set.take_in(&manifests, &catalog)?;
    }
    let manner = Manner { dry_run: true, force: args.force_conflicts };
    let mut failures = Failures::new(screen);
    let mut differs = false;
    let mut show = |name: &str, before: Option<&_>, after: Option<&_>| {
        let text = difference(name, before, after, screen.paint());
        differs |= !text.is_empty();
        screen.text(&text)
    };
    for manifest in &manifests {
        let Some(named) = targets::of_manifest(manifest, &catalog, &session) else {
            if foretold::kind_comes_with(&manifests, manifest, &catalog) {
                show(&foretold::name(manifest), None, Some(&manifest.object))?;
            } else {
                failures.add(manifest, &targets::no_such_kind(manifest));
            }
            continue;
        };
        let mut wish = wish(manifest, &named);
        if let Some(set) = &set {
            set.mark(&mut wish);
        }
        match apply(&session, &named, &wish, manner).await {
            Ok(applied) => {
                if let Some(set) = &mut set {
                    set.keep(&applied.after);
                }
                let before = applied.before.map(|object| substance(&object, &named));
                show(&named.full(), before.as_ref(), Some(&substance(&applied.after, &named)))?;
            }
            Err(error) if foretold::namespace_comes_with(&manifests, manifest, &session, &error) => {
                show(&named.full(), None, Some(&wish))?;
            }
            Err(error) => failures.add(manifest, &error),
        }
    }
    match set {
        Some(_) if !failures.is_empty() => left_alone(screen),
        Some(set) => {
            for stray in set.strays(&catalog).await? {
                show(&stray.named.full(), Some(&substance(&stray.object, &stray.named)), None)?;
            }
        }
        None => {}
    }
    failures.end()?;
    if differs { Err(Error::Silent(Exit::Failed)) } else { Ok(()) }
}
