//! What managers may do to an object, made up by chance.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Map, Value, json};

use super::kinds::Target;

const MANAGERS: [&str; 3] = ["one", "two", "three"];

/// What somebody does.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Apply { manager: &'static str, force: bool, config: Value },
    Update { manager: &'static str, patch: Value },
}

fn word() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![Just("x"), Just("y"), Just("z")].prop_map(Value::from)
}

fn map_of(keys: &'static [&'static str], value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    let values = prop::collection::vec(value, keys.len());
    // Never empty: whoever applies a map that holds nothing owns the map, and then all of it is one field.
    let pairs = (subsequence(keys, 1..=keys.len()), values);
    pairs
        .prop_map(|(keys, values)| keys.into_iter().map(str::to_owned).zip(values).collect::<Map<_, _>>().into())
        .boxed()
}

fn some_of(all: &'static [&'static str]) -> BoxedStrategy<Value> {
    subsequence(all, 1..=all.len()).prop_shuffle().prop_map(|chosen| json!(chosen)).boxed()
}

/// An object with some of these fields.
fn fields(all: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Map<String, Value>> {
    let (names, values): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let values: Vec<_> = values.into_iter().map(prop::option::of).collect();
    let present = move |values: Vec<Option<Value>>| {
        names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?))).collect()
    };
    values.prop_map(present).boxed()
}

fn object(all: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let some = fields(all).prop_filter("it holds something", |fields| !fields.is_empty());
    some.prop_map(Value::Object).boxed()
}

fn ports() -> BoxedStrategy<Value> {
    let key = prop::sample::select(vec![json!({"port": 1}), json!({"port": 2}), json!({"port": 1, "protocol": "UDP"})]);
    let rest = fields(vec![("note", word().boxed()), ("inner", map_of(&["a", "b"], word()))]);
    let items = prop::collection::vec((key, rest), 1..4).prop_map(|items| {
        let items = items.into_iter().map(|(key, rest)| {
            let mut item = rest;
            item.extend(key.as_object().unwrap().clone());
            (key.to_string(), Value::Object(item))
        });
        Value::Array(items.collect::<BTreeMap<_, _>>().into_values().collect())
    });
    items.boxed()
}

fn gadget_spec() -> BoxedStrategy<Value> {
    let size = prop_oneof![Just(json!(5)), Just(json!("5%")), Just(json!(6))];
    let depth = object(vec![
        ("b", object(vec![("c", word().boxed()), ("d", (1..3).prop_map(Value::from).boxed())])),
        ("e", map_of(&["a", "b"], word().prop_map(|word| json!({"f": word})))),
    ]);
    let unknown =
        map_of(&["a", "b"], prop_oneof![word(), Just(json!(1)), Just(json!(1.5)), Just(json!([1, {"a": 2}]))]);
    object(vec![
        ("text", word().boxed()),
        ("size", size.boxed()),
        ("mode", prop_oneof![word(), Just(json!("auto"))].boxed()),
        ("tags", some_of(&["x", "y", "z"])),
        ("order", prop::collection::vec(word(), 0..3).prop_map(Value::from).boxed()),
        ("ports", ports()),
        ("labels", map_of(&["a", "b"], word())),
        ("whole", map_of(&["a", "b"], word())),
        ("nested", object(vec![("a", depth)])),
        ("free", object(vec![("known", word().boxed()), ("unknown", unknown)])),
    ])
}

fn rules() -> BoxedStrategy<Value> {
    let rule = (some_of(&["", "apps"]), some_of(&["a", "b"]), some_of(&["get", "list"]))
        .prop_map(|(groups, resources, verbs)| json!({"apiGroups": groups, "resources": resources, "verbs": verbs}));
    prop::collection::vec(rule, 0..3).prop_map(Value::from).boxed()
}

/// What may be said of an object beside its metadata.
fn content(target: Target) -> BoxedStrategy<Map<String, Value>> {
    let encoded = || prop_oneof![Just(json!("YQ==")), Just(json!("Yg=="))];
    let named = || {
        some_of(&["a", "b"])
            .prop_map(|names| names.as_array().unwrap().iter().map(|name| json!({"name": name})).collect())
            .boxed()
    };
    let time = prop_oneof![Just(json!("2026-01-01T00:00:00Z")), Just(json!("2026-01-01T00:00:00.500000Z"))];
    match target.kind {
        "Gadget" => fields(vec![("spec", gadget_spec())]),
        "ConfigMap" => {
            fields(vec![("data", map_of(&["a", "b", "c"], word())), ("binaryData", map_of(&["d", "e"], encoded()))])
        }
        "Secret" => fields(vec![("data", map_of(&["a", "b", "c"], encoded()))]),
        "ServiceAccount" => fields(vec![
            ("secrets", named()),
            ("imagePullSecrets", named()),
            ("automountServiceAccountToken", any::<bool>().prop_map(Value::from).boxed()),
        ]),
        "Role" => fields(vec![("rules", rules())]),
        "Lease" => fields(vec![(
            "spec",
            object(vec![
                ("holderIdentity", word().boxed()),
                ("leaseDurationSeconds", (1..3).prop_map(Value::from).boxed()),
                ("renewTime", time.boxed()),
            ]),
        )]),
        other => unreachable!("{other}"),
    }
}

pub(super) fn config(target: Target) -> BoxedStrategy<Value> {
    let metadata = fields(vec![
        ("labels", map_of(&["a", "b"], word())),
        ("annotations", map_of(&["a", "b"], word())),
        ("finalizers", some_of(&["example.com/a", "example.com/b"])),
    ]);
    let whole = (metadata, content(target)).prop_map(move |(mut metadata, mut object)| {
        metadata.insert("name".into(), "it".into());
        object.insert("apiVersion".into(), target.api_version.into());
        object.insert("kind".into(), target.kind.into());
        object.insert("metadata".into(), metadata.into());
        Value::Object(object)
    });
    whole.boxed()
}

pub(super) fn step(target: Target) -> BoxedStrategy<Step> {
    let manager = || prop::sample::select(&MANAGERS[..]);
    let apply = (manager(), any::<bool>(), config(target)).prop_map(|(manager, force, config)| Step::Apply {
        manager,
        force,
        config,
    });
    let update = (manager(), config(target)).prop_map(|(manager, patch)| Step::Update { manager, patch });
    // Mostly applies: an update takes what it changes without asking.
    prop_oneof![4 => apply, 1 => update].boxed()
}

pub(super) fn steps(target: Target) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(target), 2..7)
}
