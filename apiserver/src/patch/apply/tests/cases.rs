//! The shared cases: what the reference implementation made of the same steps.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::conversion::Conversion;
use super::schema::Schema;
use crate::patch::apply::managers::{ApplyError, Managers, Object, Unconvertible, Versions, Writer};
use crate::patch::apply::merge::merge;
use crate::patch::apply::reconcile::of_fields;
use crate::patch::apply::remove::only;
use crate::patch::apply::set::Set;
use crate::schema::merging::{TypeId, Types, equal};

/// The kind of a case at one step.
struct Kind<'a> {
    conversion: Conversion,
    schema: &'a Schema,
    types: BTreeMap<String, TypeId>,
    ignored: BTreeMap<String, Set>,
}

impl Versions for Kind<'_> {
    fn types(&self, version: &str) -> Option<(&Types, TypeId)> {
        Some((&self.schema.types, *self.types.get(version)?))
    }

    fn convert<'a>(&self, value: &'a Value, from: &str, to: &str) -> Result<Cow<'a, Value>, Unconvertible> {
        if from == to && self.types.contains_key(to) {
            return Ok(Cow::Borrowed(value));
        }
        let converted = self.conversion.convert(value, from, to)?;
        if self.types.contains_key(to) { Ok(Cow::Owned(converted)) } else { Err(Unconvertible::Gone) }
    }

    fn ignored(&self, version: &str) -> Option<&Set> {
        self.ignored.get(version)
    }
}

struct State {
    live: Value,
    version: String,
    managers: Managers,
}

#[test]
fn every_shared_case_ends_as_the_reference_implementation_ended_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let reference = root.join(std::env::var("REFERENCE_DIR").unwrap_or_else(|_| "../shared".into()));
    let named = std::env::var_os("CONFORMANCE_CASES").map(|file| root.join(PathBuf::from(file)));
    let is_named = named.is_some();
    let file = named.unwrap_or_else(|| reference.join("conformance/cases.jsonl"));
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if is_named => panic!("CONFORMANCE_CASES: {}: {error}", file.display()),
        Err(_) => {
            eprintln!("SKIPPED: no cases of server-side apply at {}", file.display());
            return;
        }
    };
    let schemas = read_schemas(&file, &reference);
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let case: Value = serde_json::from_str(line).expect("a case");
        count += 1;
        if let Err(why) = run(&case, &schemas) {
            wrong.push(format!("{} ({}): {why}", case["test"], case["converter"]));
        }
    }
    assert!(count > 0, "{} holds no case", file.display());
    eprintln!("{} of {count} cases end as they should", count - wrong.len());
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

fn read_schemas(cases: &Path, reference: &Path) -> BTreeMap<String, Schema> {
    // Beside the cases, if they bring their own.
    let beside = cases.parent().map(|dir| dir.join("schemas")).filter(|dir| dir.is_dir());
    let dir = beside.unwrap_or_else(|| reference.join("conformance/schemas"));
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let files = entries.map(|entry| entry.expect("an entry").path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, Schema::read(&fs::read_to_string(&path).expect("a schema")))
        })
        .collect()
}

fn run(case: &Value, schemas: &BTreeMap<String, Schema>) -> Result<(), String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let conversion = Conversion::named(&text(&case["converter"]));
    let mut schema = text(&case["schema"]);
    let mut types: BTreeMap<String, String> =
        case["types"].as_object().into_iter().flatten().map(|(version, name)| (version.clone(), text(name))).collect();
    let mut state = State { live: Value::Null, version: String::new(), managers: Managers::new() };
    for (number, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
        if let Some(new) = step.get("schema") {
            schema = text(new);
        }
        let version = text(&step["apiVersion"]);
        if let Some(of) = step.get("type")
            && !version.is_empty()
        {
            types.insert(version.clone(), text(of));
        }
        if step["op"] == "ChangeParser" {
            continue;
        }
        let schema = schemas.get(&schema).ok_or_else(|| format!("no schema {schema}"))?;
        let known = types.iter().filter_map(|(version, name)| Some((version.clone(), *schema.names.get(name)?)));
        let kind = Kind { conversion, schema, types: known.collect(), ignored: ignored(case) };
        let outcome = take(step, &kind, &mut state, &version);
        check(step, &outcome, &state).map_err(|why| format!("step {number}: {why}"))?;
    }
    Ok(())
}

/// What the filters of a case leave out. Of some cases only the outcome tells: what nobody ever owns.
fn ignored(case: &Value) -> BTreeMap<String, Set> {
    let test = case["test"].as_str().unwrap_or_default();
    if let Some(fields) = case["ignoredFields"].as_object() {
        let sets = fields.iter().map(|(version, fields)| (version.clone(), Set::parse(fields).expect("fields")));
        return sets.collect();
    }
    if case["hasIgnoreFilter"] != true {
        return BTreeMap::new();
    }
    let below = |outer: &str, inner: &str| Set::parse(&json!({format!("f:{outer}"): {format!("f:{inner}"): {}}}));
    let begins_with_update = case["steps"][0]["op"] == "Update";
    let pairs = if test.contains("FilteredFieldsUsesVersions") && begins_with_update {
        vec![("v2", below("mapOfMapsRecursive", "c"))]
    } else if test.contains("FilteredFieldsUsesVersions") {
        vec![("v1", below("mapOfMapsRecursive", "c")), ("v2", below("mapOfMapsRecursive", "cc"))]
    } else if case["steps"][0]["objectYAML"].to_string().contains("obj") {
        vec![("v1", Some(of_fields(&["obj"])))]
    } else {
        vec![("v1", Some(of_fields(&["string"])))]
    };
    pairs.into_iter().map(|(version, set)| (version.to_owned(), set.expect("fields"))).collect()
}

fn take(step: &Value, kind: &Kind<'_>, state: &mut State, version: &str) -> Result<(), ApplyError> {
    let manager = step["manager"].as_str().expect("a manager");
    let yaml = step["objectYAML"].as_str().unwrap_or_default().replace('\t', "  ");
    let mut object: Value = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    if object.is_null() {
        object = json!({});
    }
    let nothing = json!({});
    let before = if state.live.is_null() { &nothing } else { &state.live };
    let from = if state.version.is_empty() { version } else { &state.version };
    let live = match kind.convert(before, from, version) {
        Ok(live) => live.into_owned(),
        Err(why) => return Err(ApplyError::Unconvertible(format!("{why:?}"))),
    };
    let writer = Writer { versions: kind, manager };
    let live_object = Object { value: &live, version };
    let managers = state.managers.clone();
    let op = step["op"].as_str().expect("an operation");
    if op == "Update" {
        state.managers = writer.update(live_object, Object { value: &object, version }, managers)?;
        state.live = object;
        version.clone_into(&mut state.version);
        return Ok(());
    }
    if op == "ExtractApply" {
        let (types, of) = kind.types(version).expect("the version");
        let owned = state.managers.get(manager).map(|owned| owned.set.clone()).unwrap_or_default();
        let extracted = only(types, of, &live, &owned);
        object = merge(types, of, &extracted, &object).map_err(|what| ApplyError::Misfit(vec![what]))?;
    }
    let applied = Object { value: &object, version };
    let (new, managers) = writer.apply(live_object, applied, managers, op == "ForceApply")?;
    state.live = new.unwrap_or(live);
    version.clone_into(&mut state.version);
    state.managers = managers;
    Ok(())
}

fn check(step: &Value, outcome: &Result<(), ApplyError>, state: &State) -> Result<(), String> {
    let expected = |field: &str| -> Vec<String> {
        let list = step[field].as_array().into_iter().flatten();
        list.map(|text| text.as_str().expect("text").to_owned()).collect()
    };
    match (outcome, step.get("expectConflicts"), step.get("error")) {
        (Ok(()), None, None) => {}
        (Err(ApplyError::Conflicts(conflicts)), Some(_), _) => {
            let mut found: Vec<String> = conflicts
                .iter()
                .flat_map(|(manager, set)| set.paths().into_iter().map(move |path| format!("{manager} {path}")))
                .collect();
            let mut wanted = expected("expectConflicts");
            found.sort();
            wanted.sort();
            if found != wanted {
                return Err(format!("conflicts {found:?}, expected {wanted:?}"));
            }
        }
        (Err(ApplyError::Misfit(found)), _, Some(error)) => {
            if found.join("\n") != error.as_str().unwrap_or_default() {
                return Err(format!("{found:?}, expected {error}"));
            }
        }
        (outcome, conflicts, error) => {
            return Err(format!("{outcome:?}, expected conflicts {conflicts:?}, error {error:?}"));
        }
    }
    if !equal(&state.live, &step["live"]) {
        return Err(format!("live\n  {}, expected\n  {}", state.live, step["live"]));
    }
    let found: BTreeMap<&String, Value> = state
        .managers
        .iter()
        .map(|(name, owned)| {
            let fields = owned.set.to_fields();
            (name, json!({"apiVersion": owned.version, "applied": owned.applied, "fieldsV1": fields}))
        })
        .collect();
    let found = json!(found);
    if found != step["managers"] {
        return Err(format!("managers\n  {found}, expected\n  {}", step["managers"]));
    }
    Ok(())
}
