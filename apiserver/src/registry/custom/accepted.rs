//! Decides which of the names that a definition wants it may have: name by name, as upstream does, so that a definition
//! keeps what nobody else wants.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::Kind;
use super::{list, text, texts};
use crate::schema::words;

/// The names that definitions have, by group and by the definition's name.
#[derive(Debug, Default)]
pub struct Claims(BTreeMap<String, BTreeMap<String, Value>>);

impl Claims {
    /// The names of kinds that need no definition.
    pub fn of_kinds<'a>(kinds: impl IntoIterator<Item = &'a Kind>) -> Self {
        let mut claims = Self::default();
        for kind in kinds {
            let names = json!({
                "plural": kind.plural, "singular": kind.singular, "shortNames": kind.short_names,
                "kind": kind.kind, "listKind": kind.list_kind,
            });
            claims.set(&kind.group, &format!("{}.{}", kind.plural, kind.group), names);
        }
        claims
    }

    /// Says which names a definition has. It has no others any more.
    pub fn set(&mut self, group: &str, definition: &str, names: Value) {
        self.0.entry(group.to_owned()).or_default().insert(definition.to_owned(), names);
    }

    fn of_others(&self, definition: &Value) -> Taken {
        let own = text(&definition["metadata"], "name");
        let mut taken = Taken::default();
        let group = self.0.get(text(&definition["spec"], "group"));
        for (_, names) in group.into_iter().flatten().filter(|(name, _)| *name != own) {
            taken.resources.extend(["plural", "singular"].map(|field| text(names, field).to_owned()));
            taken.resources.extend(texts(names, "shortNames"));
            taken.kinds.extend(["kind", "listKind"].map(|field| text(names, field).to_owned()));
        }
        taken
    }
}

/// The names that others of the group have.
#[derive(Default)]
struct Taken {
    /// Plural, singular and short names are typed in one place, so they share one space.
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

/// Something wrong with a name.
pub(super) struct Conflict {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// The names that the definition has: those it wants as far as no other definition of its group has them, else those it
/// had. Beside them the last that it may not have, as upstream tells it.
pub(super) fn accept_all(definition: &Value, claims: &Claims) -> (Value, Option<Conflict>) {
    let spec = &definition["spec"];
    let (wanted, had) = (&spec["names"], &definition["status"]["acceptedNames"]);
    let taken = claims.of_others(definition);
    let mut accepted = json!({"plural": text(had, "plural"), "kind": text(had, "kind")});
    let mut conflict = None;
    let mut refuse = |reason, message| conflict = Some(Conflict { reason, message });
    for (field, reason) in [("plural", "PluralConflict"), ("singular", "SingularConflict")] {
        accept(&mut accepted, field, wanted, had, &taken.resources).unwrap_or_else(|why| refuse(reason, why));
    }
    let (short, known) = (texts(wanted, "shortNames"), texts(had, "shortNames"));
    let mut clashes: Vec<String> = Vec::new();
    for name in short.iter().filter(|name| !known.contains(name) && taken.resources.contains(*name)) {
        if !clashes.contains(&in_use(name)) {
            clashes.push(in_use(name));
        }
    }
    // All of them or none.
    let kept = if clashes.is_empty() { short } else { known };
    if !clashes.is_empty() {
        let listed = clashes.join(", ");
        refuse("ShortNamesConflict", if clashes.len() == 1 { listed } else { format!("[{listed}]") });
    }
    if !kept.is_empty() {
        accepted["shortNames"] = kept.into();
    }
    for (field, reason) in [("kind", "KindConflict"), ("listKind", "ListKindConflict")] {
        accept(&mut accepted, field, wanted, had, &taken.kinds).unwrap_or_else(|why| refuse(reason, why));
    }
    if !list(wanted, "categories").is_empty() {
        accepted["categories"] = wanted["categories"].clone();
    }
    (accepted, conflict)
}

/// Takes over one name, or keeps the one that was had.
fn accept(
    accepted: &mut Value,
    field: &'static str,
    wanted: &Value,
    had: &Value,
    taken: &BTreeSet<String>,
) -> Result<(), String> {
    let (wanted, had) = (text(wanted, field), text(had, field));
    let is_free = wanted == had || !taken.contains(wanted);
    let name = if is_free { wanted } else { had };
    if !name.is_empty() {
        accepted[field] = name.into();
    }
    if is_free { Ok(()) } else { Err(in_use(wanted)) }
}

fn in_use(name: impl AsRef<str>) -> String {
    format!("{} is already in use", words::quoted(name.as_ref()))
}
