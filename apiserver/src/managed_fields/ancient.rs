//! Keeps the entries few: beyond ten that update, the oldest of each version become one.

use std::collections::BTreeMap;

use super::Author;
use super::entries::{About, Entries, updater};

/// How many entries of updates there may be.
const MOST: usize = 10;

/// The manager of those that were folded.
const ANCIENT: &str = "ancient-changes";

pub(super) fn fold(entries: &mut Entries) {
    let updaters = entries.managers.iter().filter(|(_, owned)| !owned.applied);
    let time = |identity: &str| entries.about.get(identity).and_then(|about| about.time.clone());
    let mut oldest_first: Vec<_> =
        updaters.map(|(identity, owned)| (time(identity), identity.clone(), owned.version.clone())).collect();
    let mut count = oldest_first.len();
    if count <= MOST {
        return;
    }
    oldest_first.sort();
    // One alone of its version gains nothing by being folded.
    let mut firsts: BTreeMap<String, String> = BTreeMap::new();
    for (time, identity, version) in oldest_first {
        if count <= MOST {
            return;
        }
        let Some(first) = firsts.get(&version) else {
            firsts.insert(version, identity);
            continue;
        };
        let author = Author { manager: ANCIENT.to_owned(), subresource: String::new() };
        let bucket = updater(&author, &version);
        if !entries.managers.contains_key(&bucket)
            && let Some(owned) = entries.managers.remove(first)
        {
            entries.managers.insert(bucket.clone(), owned);
        }
        if let Some(owned) = entries.managers.remove(&identity)
            && let Some(into) = entries.managers.get_mut(&bucket)
        {
            into.set.add(&owned.set);
        }
        entries.about.insert(bucket, About { author, time });
        count -= 1;
    }
}
