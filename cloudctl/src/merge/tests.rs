//! The promises of the three-way merge, by example and for any values.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn nothing_to_do_is_an_empty_patch() {
    let object = json!({"spec": {"image": "a", "ports": [{"port": 80}]}});
    assert_eq!(three_way(Some(&object), &object, &object), json!({}));
}

#[test]
fn field_removed_from_the_yaml_is_removed() {
    let original = json!({"spec": {"image": "a", "vpc": "main"}, "metadata": {"labels": {"x": "1", "y": "2"}}});
    let modified = json!({"spec": {"image": "a"}, "metadata": {"labels": {"x": "1"}}});
    let current = json!({"spec": {"image": "a", "vpc": "main", "powerState": "Running"},
        "metadata": {"labels": {"x": "1", "y": "2", "z": "3"}}});
    assert_eq!(
        three_way(Some(&original), &modified, &current),
        json!({"spec": {"vpc": null}, "metadata": {"labels": {"y": null}}})
    );
}

#[test]
fn field_that_somebody_removed_already_needs_no_patch() {
    let original = json!({"spec": {"vpc": "main"}});
    assert_eq!(three_way(Some(&original), &json!({"spec": {}}), &json!({"spec": {}})), json!({}));
}

#[test]
fn fields_of_others_and_defaults_stay() {
    let current = json!({"spec": {"image": "a", "powerState": "Running"}, "status": {"phase": "Running"}});
    let modified = json!({"spec": {"image": "b"}});
    assert_eq!(three_way(None, &modified, &current), json!({"spec": {"image": "b"}}));
}

#[test]
fn list_with_defaults_filled_in_counts_as_unchanged() {
    let modified = json!({"ports": [{"port": 80, "publish": {}}]});
    let current = json!({"ports": [{"port": 80, "protocol": "TCP", "publish": {}}]});
    assert_eq!(three_way(Some(&modified), &modified, &current), json!({}));
}

#[test]
fn list_is_replaced_when_anything_in_it_changed_or_went() {
    let original = json!({"ports": [{"port": 80, "name": "http"}]});
    let current = json!({"ports": [{"port": 80, "name": "http", "protocol": "TCP"}]});
    for modified in [
        json!({"ports": [{"port": 81, "name": "http"}]}),
        json!({"ports": [{"port": 80}]}),
        json!({"ports": [{"port": 80, "name": "http"}, {"port": 81}]}),
        json!({"ports": []}),
    ] {
        assert_eq!(three_way(Some(&original), &modified, &current), modified, "{modified}");
    }
}

#[test]
fn empty_object_is_set() {
    assert_eq!(three_way(None, &json!({"publish": {}}), &json!({})), json!({"publish": {}}));
}

#[test]
fn null_means_not_set() {
    assert_eq!(three_way(None, &json!({"a": null}), &json!({"a": 1})), json!({"a": null}));
    assert_eq!(three_way(None, &json!({"a": null}), &json!({})), json!({}));
    assert_eq!(without_nulls(&json!({"a": null, "b": [{"c": null, "d": 1}]})), json!({"b": [{"d": 1}]}));
}

#[test]
fn object_may_take_the_place_of_a_scalar_and_back() {
    assert_eq!(
        patched(&json!({"a": 1}), &three_way(None, &json!({"a": {"b": 1}}), &json!({"a": 1}))),
        json!({"a": {"b": 1}})
    );
    assert_eq!(
        patched(&json!({"a": {"b": 1}}), &three_way(None, &json!({"a": 1}), &json!({"a": {"b": 1}}))),
        json!({"a": 1})
    );
}

#[test]
fn whole_numbers_are_the_same_in_either_spelling() {
    assert_eq!(three_way(None, &json!({"n": 1.0}), &json!({"n": 1})), json!({}));
}

/// Values over a small alphabet, so that the three sides meet in every way.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (0..3i64).prop_map(Value::from),
        Just(json!("x")),
        Just(json!(true)),
        Just(json!({})),
        Just(json!([])),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array), map(inner),]
    })
}

fn map(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn root() -> impl Strategy<Value = Value> {
    map(value())
}

/// Whether `whole` holds everything that `part` asks for; lists element by element.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| holds(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
        }
        (whole, part) => whole == part,
    }
}

/// Whether everything of `current` that neither side ever mentioned is still in `result`.
fn untouched(original: &Value, modified: &Value, current: &Value, result: &Value) -> bool {
    let (Some(current), Some(result)) = (current.as_object(), result.as_object()) else { return true };
    current.iter().all(|(key, value)| match (original.get(key), modified.get(key)) {
        (None, None) => result.get(key) == Some(value),
        (original, Some(modified)) if modified.is_object() && value.is_object() => {
            untouched(original.unwrap_or(&Value::Null), modified, value, &result[key])
        }
        _ => true,
    })
}

proptest! {
    #[test]
    fn result_holds_what_was_asked_for(original in root(), modified in root(), current in root()) {
        let result = patched(&current, &three_way(Some(&original), &modified, &current));
        prop_assert!(holds(&result, &modified), "{result}");
    }

    #[test]
    fn applying_again_changes_nothing(original in root(), modified in root(), current in root()) {
        let result = patched(&current, &three_way(Some(&original), &modified, &current));
        prop_assert_eq!(three_way(Some(&modified), &modified, &result), json!({}));
    }

    #[test]
    fn what_left_the_yaml_is_gone(original in root(), modified in root(), current in root()) {
        let result = patched(&current, &three_way(Some(&original), &modified, &current));
        for key in original.as_object().unwrap().keys() {
            prop_assert!(modified.get(key).is_some() || result.get(key).is_none());
        }
    }

    #[test]
    fn what_nobody_mentioned_stays(original in root(), modified in root(), current in root()) {
        let result = patched(&current, &three_way(Some(&original), &modified, &current));
        prop_assert!(untouched(&original, &modified, &current, &result), "{result}");
    }

    #[test]
    fn patch_never_mentions_more_than_the_two_manifests(original in root(), modified in root(), current in root()) {
        let patch = three_way(Some(&original), &modified, &current);
        for key in patch.as_object().unwrap().keys() {
            prop_assert!(original.get(key).is_some() || modified.get(key).is_some());
        }
    }
}
