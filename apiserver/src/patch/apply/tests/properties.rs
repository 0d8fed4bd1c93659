//! What holds whatever is applied.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::patch::apply::managers::{Managers, Object, Unconvertible, Versions, Writer};
use crate::patch::apply::merge::merge;
use crate::patch::apply::reconcile::with_named_fields;
use crate::patch::apply::set::Set;
use crate::patch::apply::walk::{field_set, misfits};
use crate::schema::merging::{Field, List, Map, Relationship, Scalar, Type, TypeId, Types, equal};

const VERSION: &str = "v1";

/// One version with a bit of everything.
struct Kind {
    types: Types,
    root: TypeId,
}

impl Kind {
    fn new() -> Self {
        let mut types = Types::new();
        let text = types.add(Type { scalar: Some(Scalar::Untyped), ..Type::default() });
        let list = |element, relationship| Type { list: Some(List { element, relationship }), ..Type::default() };
        let set = types.add(list(text, Relationship::Set));
        let atomic = types.add(list(text, Relationship::Atomic));
        let map = |fields: Vec<(&str, TypeId)>, element, atomic| {
            let fields = fields.into_iter().map(|(name, of)| (name.to_owned(), Field { of, default: None }));
            Type { map: Some(Map { fields: fields.collect(), element, atomic }), ..Type::default() }
        };
        let item = types.add(map(vec![("name", text), ("value", text)], None, false));
        let items = types.add(list(item, Relationship::Map(vec!["name".into()])));
        let labels = types.add(map(vec![], Some(text), false));
        let whole = types.add(map(vec![], Some(text), true));
        let fields = vec![
            ("text", text),
            ("set", set),
            ("atomic", atomic),
            ("items", items),
            ("labels", labels),
            ("whole", whole),
            ("free", Types::DEDUCED),
        ];
        let root = types.add(map(fields, None, false));
        Self { types, root }
    }
}

impl Versions for Kind {
    fn types(&self, version: &str) -> Option<(&Types, TypeId)> {
        (version == VERSION).then_some((&self.types, self.root))
    }

    fn convert<'a>(&self, value: &'a Value, _: &str, to: &str) -> Result<Cow<'a, Value>, Unconvertible> {
        if to == VERSION { Ok(Cow::Borrowed(value)) } else { Err(Unconvertible::Gone) }
    }
}

fn letter() -> impl Strategy<Value = String> {
    "[a-c]"
}

fn object() -> impl Strategy<Value = Value> {
    // Never empty: what lost its last part is null until it is said again that it is empty, as upstream.
    let letters = || prop::collection::btree_set(letter(), 1..3);
    let map = || prop::collection::btree_map(letter(), letter(), 1..3);
    let items = prop::collection::btree_map(letter(), prop::option::of(letter()), 1..3).prop_map(|items| {
        let items = items.into_iter().map(|(name, value)| match value {
            Some(value) => json!({"name": name, "value": value}),
            None => json!({"name": name}),
        });
        Value::Array(items.collect())
    });
    let fields = (
        prop::option::of(letter().prop_map(Value::from)),
        prop::option::of(letters().prop_map(|set| json!(set))),
        prop::option::of(letters().prop_map(|set| json!(set))),
        prop::option::of(items),
        prop::option::of(map().prop_map(|map| json!(map))),
        prop::option::of(map().prop_map(|map| json!(map))),
        prop::option::of(map().prop_map(|map| json!({"deep": map}))),
    );
    let objects = fields.prop_map(|(text, set, atomic, items, labels, whole, free)| {
        let names = ["text", "set", "atomic", "items", "labels", "whole", "free"];
        let values = [text, set, atomic, items, labels, whole, free];
        let present = names.into_iter().zip(values).filter_map(|(name, value)| Some((name.to_owned(), value?)));
        present.collect::<serde_json::Map<_, _>>()
    });
    // Nor is the whole: what is served has a kind and a name at least.
    objects.prop_filter("an object holds something", |object| !object.is_empty()).prop_map(Value::Object)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[.fkvi:a\"{}]{0,4}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("text|set|items|labels|name|f:a|v:1|k:\\{\\}|\\.", inner, 0..4)
                .prop_map(Value::from_iter),
        ]
    })
}

struct World {
    live: Value,
    managers: Managers,
}

impl World {
    fn apply(&mut self, kind: &Kind, manager: &str, applied: &Value) -> bool {
        let writer = Writer { versions: kind, manager };
        let live = Object { value: &self.live, version: VERSION };
        let applied = Object { value: applied, version: VERSION };
        let (new, managers) = writer.apply(live, applied, self.managers.clone(), true).expect("forced");
        self.managers = managers;
        let changed = new.is_some();
        self.live = new.unwrap_or_else(|| self.live.clone());
        changed
    }
}

proptest! {
    #[test]
    fn applying_the_same_again_changes_nothing(first in object(), second in object(), other in object()) {
        let kind = Kind::new();
        let mut world = World { live: json!({}), managers: Managers::new() };
        world.apply(&kind, "one", &first);
        world.apply(&kind, "other", &other);
        world.apply(&kind, "one", &second);
        let (live, managers) = (world.live.clone(), world.managers.clone());
        prop_assert!(!world.apply(&kind, "one", &second));
        prop_assert_eq!(world.live, live);
        prop_assert_eq!(world.managers, managers);
    }

    #[test]
    fn what_another_manager_owns_is_never_removed(first in object(), other in object(), second in object()) {
        let kind = Kind::new();
        let mut world = World { live: json!({}), managers: Managers::new() };
        world.apply(&kind, "one", &first);
        world.apply(&kind, "other", &other);
        world.apply(&kind, "one", &second);
        let mut kept = field_set(&kind.types, kind.root, &world.live);
        let owned = world.managers.get("other").map(|owned| owned.set.clone()).unwrap_or_default();
        // What is named above a member counts as there with it.
        let mut missing = owned.clone();
        kept.add(&field_set(&kind.types, kind.root, &second));
        let kept = with_named_fields(&kind.types, Some(kind.root), &kept);
        missing.subtract(&kept);
        prop_assert!(missing.is_empty(), "{:?} is gone from {}", missing.paths(), world.live);
    }

    #[test]
    fn a_merge_has_everything_that_was_applied(live in object(), applied in object()) {
        let kind = Kind::new();
        let merged = merge(&kind.types, kind.root, &live, &applied).expect("it fits");
        let mut lacking = field_set(&kind.types, kind.root, &applied);
        let set = with_named_fields(&kind.types, Some(kind.root), &field_set(&kind.types, kind.root, &merged));
        lacking.subtract(&set);
        prop_assert!(lacking.is_empty(), "{:?} is not in {merged}", lacking.paths());
    }

    #[test]
    fn sets_are_written_as_they_were_read(object in object()) {
        let kind = Kind::new();
        let set = field_set(&kind.types, kind.root, &object);
        let written = set.to_fields();
        prop_assert_eq!(&Set::parse(&written).expect("fields"), &set);
        prop_assert_eq!(Set::parse(&written).expect("fields").to_fields().to_string(), written.to_string());
    }

    #[test]
    fn nothing_panics_whatever_is_sent(live in any_json(), applied in any_json(), fields in any_json()) {
        let kind = Kind::new();
        let _ = misfits(&kind.types, kind.root, &applied);
        let mut managers = Managers::new();
        if let Some(set) = Set::parse(&fields) {
            let owned = crate::patch::apply::managers::Owned { version: VERSION.into(), applied: true, set };
            managers.insert("one".into(), owned);
        }
        let writer = Writer { versions: &kind, manager: "one" };
        let (live, applied) = (Object { value: &live, version: VERSION }, Object { value: &applied, version: VERSION });
        let _ = writer.apply(live, applied, managers.clone(), false);
        let _ = writer.update(live, applied, managers);
        prop_assert!(equal(live.value, live.value));
    }
}
