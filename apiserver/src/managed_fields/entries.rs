//! Reads and writes the entries of `metadata.managedFields`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Author;
use crate::patch::apply::managers::{Managers, Owned};
use crate::patch::apply::set::Set;

const FIELDS_V1: &str = "FieldsV1";
const APPLY: &str = "Apply";
const UPDATE: &str = "Update";

/// Separates the parts of an identity: no part may have it, for managers are printable.
const SEPARATOR: char = '\u{1}';

/// All entries of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Entries {
    pub(super) managers: Managers,
    /// What else is known of them, by the same identities.
    pub(super) about: BTreeMap<String, About>,
}

/// What doesn't matter to merging.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct About {
    pub(super) author: Author,
    /// When the manager last changed something, as the wire has it.
    pub(super) time: Option<String>,
}

/// The identity of who applies: the same in every version.
pub(super) fn applier(author: &Author) -> String {
    identity(author, true, "")
}

/// The identity of who updates in a version.
pub(super) fn updater(author: &Author, version: &str) -> String {
    identity(author, false, version)
}

fn identity(author: &Author, applied: bool, version: &str) -> String {
    let operation = if applied { APPLY } else { UPDATE };
    [&author.manager, operation, version, &author.subresource].join(&SEPARATOR.to_string())
}

impl Entries {
    /// `None` for what isn't a list of entries.
    pub(super) fn decode(list: &Value) -> Option<Self> {
        let mut entries = Self::default();
        for entry in list.as_array()? {
            let entry = entry.as_object()?;
            let text = |field: &str| match entry.get(field) {
                None | Some(Value::Null) => Some(""),
                Some(value) => value.as_str(),
            };
            let applied = match text("operation")? {
                APPLY => true,
                UPDATE => false,
                _ => return None,
            };
            if text("fieldsType")? != FIELDS_V1 {
                return None;
            }
            let set = match entry.get("fieldsV1") {
                None | Some(Value::Null) => Set::default(),
                Some(fields) => Set::parse(fields)?,
            };
            let author = Author { manager: text("manager")?.to_owned(), subresource: text("subresource")?.to_owned() };
            let version = text("apiVersion")?.to_owned();
            let time = Some(text("time")?).filter(|time| !time.is_empty()).map(str::to_owned);
            let identity = identity(&author, applied, if applied { "" } else { &version });
            entries.managers.insert(identity.clone(), Owned { version, applied, set });
            entries.about.insert(identity, About { author, time });
        }
        Some(entries)
    }

    /// The list in the order in which clients see it; `None` where nobody owns anything.
    pub(super) fn encode(&self) -> Option<Value> {
        if self.managers.is_empty() {
            return None;
        }
        let unknown = About::default();
        let mut list: Vec<(&Owned, &About)> = self
            .managers
            .iter()
            .map(|(identity, owned)| (owned, self.about.get(identity).unwrap_or(&unknown)))
            .collect();
        // Who applies comes first; then who was first. RFC 3339 in whole seconds sorts as text.
        list.sort_by(|(one, about_one), (other, about_other)| {
            let untimed = |about: &About| (about.time.is_none(), about.time.clone());
            other
                .applied
                .cmp(&one.applied)
                .then_with(|| untimed(about_one).cmp(&untimed(about_other)))
                .then_with(|| about_one.author.manager.cmp(&about_other.author.manager))
                .then_with(|| one.version.cmp(&other.version))
                .then_with(|| about_one.author.subresource.cmp(&about_other.author.subresource))
        });
        Some(list.into_iter().map(|(owned, about)| encode_entry(owned, about)).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.managers.is_empty()
    }
}

fn encode_entry(owned: &Owned, about: &About) -> Value {
    let mut entry = Map::new();
    let mut say = |field: &str, text: &str| {
        if !text.is_empty() {
            entry.insert(field.to_owned(), text.into());
        }
    };
    say("apiVersion", &owned.version);
    say("fieldsType", FIELDS_V1);
    say("manager", &about.author.manager);
    say("operation", if owned.applied { APPLY } else { UPDATE });
    say("subresource", &about.author.subresource);
    say("time", about.time.as_deref().unwrap_or_default());
    entry.insert("fieldsV1".to_owned(), owned.set.to_fields());
    Value::Object(entry)
}

/// Whether a client asks for tracking to begin anew: an empty list, or one empty entry.
pub(super) fn is_reset(list: &Value) -> bool {
    match list.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([only]) => only.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}
