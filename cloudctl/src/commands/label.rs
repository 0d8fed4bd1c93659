//! `label`: sets and removes labels, with a patch that touches nothing else. `annotate` does the same for annotations.

use serde_json::{Map, Value, json};

use super::targets::{self, Selection};
use crate::api::{Catalog, Patch, Query};
use crate::args::Global;
use crate::args::objects::LabelArgs;
use crate::connect;
use crate::error::Error;
use crate::output::Screen;

/// What a map in `metadata` is called, and what is said when it was changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// The map.
    pub(super) name: &'static str,
    /// One entry of it.
    pub(super) entry: &'static str,
    /// Behind the object's name.
    pub(super) done: &'static str,
    /// Who writes, in `managedFields`. Not who applies: an apply may not take what was set by hand for its own.
    pub(super) manager: &'static str,
}

/// Sets labels.
pub(super) async fn run(args: &LabelArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let field = Field { name: "labels", entry: "label", done: "labeled", manager: "cloudctl-label" };
    change(&args.words, args.overwrite, field, global, screen).await
}

/// Sets and removes entries of a map in the metadata.
pub(super) async fn change(
    words: &[String],
    overwrite: bool,
    field: Field,
    global: &Global,
    screen: &Screen,
) -> Result<(), Error> {
    let (targets, changes) = split(words);
    if changes.is_empty() {
        return Err(Error::Usage(format!("name at least one {}: KEY=VALUE sets it, KEY- removes it", field.entry)));
    }
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let Selection::Objects(objects) = targets::select(targets, &catalog, session.namespace())? else {
        return Err(Error::Usage("name the object: KIND NAME or KIND/NAME".to_owned()));
    };
    for named in objects {
        let live = session.get(&named.path()).await?;
        let present = &live["metadata"][field.name];
        let patch = patch(&changes, present, overwrite, field)?;
        if patch.is_empty() {
            screen.line(&format!("{} unchanged", named.full()))?;
            continue;
        }
        let query = Query::new().with("fieldManager", field.manager);
        let body = json!({"metadata": {field.name: patch}});
        session.patch(&query.on(&named.path()), Patch::Merge, &body).await?;
        screen.line(&format!("{} {}", named.full(), field.done))?;
    }
    Ok(())
}

/// The changes are the words at the end that are `KEY=VALUE` or `KEY-`.
fn split(words: &[String]) -> (&[String], Vec<(&str, Option<&str>)>) {
    let change = |word: &'_ String| word.contains('=') || word.ends_with('-');
    let first = words.iter().rposition(|word| !change(word)).map_or(0, |last| last + 1);
    let changes = words[first..]
        .iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (word.trim_end_matches('-'), None),
        })
        .collect();
    (&words[..first], changes)
}

fn patch(
    changes: &[(&str, Option<&str>)],
    present: &Value,
    overwrite: bool,
    field: Field,
) -> Result<Map<String, Value>, Error> {
    let mut patch = Map::new();
    for (key, value) in changes {
        let before = present[*key].as_str();
        if before == *value {
            continue;
        }
        if let (Some(before), Some(value), false) = (before, value, overwrite) {
            return Err(Error::Failed(format!(
                "the {} `{key}` is `{before}` already; --overwrite makes it `{value}`",
                field.entry
            )));
        }
        patch.insert((*key).to_owned(), value.map_or(Value::Null, Value::from));
    }
    Ok(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: Field = Field { name: "labels", entry: "label", done: "labeled", manager: "cloudctl-label" };

    #[test]
    fn words_at_the_end_are_the_changes() {
        let words: Vec<_> = ["inst", "web", "app=web", "old-", "url=a=b"].map(str::to_owned).into();
        let (targets, changes) = split(&words);
        assert_eq!(targets, ["inst", "web"]);
        assert_eq!(changes, [("app", Some("web")), ("old", None), ("url", Some("a=b"))]);
    }

    #[test]
    fn only_what_differs_is_sent() {
        let present = json!({"app": "web", "old": "1"});
        let changes = [("app", Some("web")), ("old", None), ("new", Some("2")), ("never", None)];
        assert_eq!(Value::Object(patch(&changes, &present, false, LABELS).unwrap()), json!({"old": null, "new": "2"}));
    }

    #[test]
    fn other_value_is_replaced_only_when_told() {
        let present = json!({"app": "web"});
        let error = patch(&[("app", Some("db"))], &present, false, LABELS).unwrap_err();
        assert_eq!(error.to_string(), "the label `app` is `web` already; --overwrite makes it `db`");
        assert!(patch(&[("app", Some("db"))], &present, true, LABELS).is_ok());
    }
}
