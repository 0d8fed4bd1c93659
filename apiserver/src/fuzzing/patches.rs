//! Patches of every kind.

use serde_json::{Value, json};

use super::{depth, first_line};
use crate::fixtures;
use crate::managed_fields::{Author, Scope, Wish, apply as applied_to};
use crate::patch::{json, merge, strategic};
use crate::registry::builtin;
use crate::schema::decode;

/// What copies may add to a document, and what the writing of numbers may.
const ADDED: usize = 4 * 1024 * 1024;

/// A line with a document, and a JSON patch: the outcome is bounded, and a patch that fails changes nothing.
pub fn json_patch(data: &[u8]) {
    let Some((document, patch)) = split(data) else { return };
    let Ok(json::Read { operations, .. }) = json::read(patch) else { return };
    let Ok(patched) = json::apply(&document, &operations) else { return };
    let size = patched.to_string().len();
    assert!(size <= data.len() * 8 + ADDED, "{size} bytes out of {}", data.len());
    assert!(depth(&patched) <= 128);
    assert_eq!(json::apply(&document, &operations).expect("it applied before"), patched);
}

/// A line with an object, and a merge patch, which is also read as a strategic one: no more comes out than went in, and to
/// merge again changes nothing.
pub fn merge_patch(data: &[u8]) {
    let Some((document, patch)) = split(data) else { return };
    let Ok(patch) = decode::merge_patch(patch) else { return };
    let patch = patch.value;
    let mut merged = document.clone();
    merge::apply(&mut merged, &patch);
    assert!(merged.to_string().len() <= document.to_string().len() + patch.to_string().len());
    let once = merged.clone();
    merge::apply(&mut merged, &patch);
    assert_eq!(merged, once);
    for kind in builtin::kinds().iter().filter(|kind| kind.review.is_none()) {
        if let Ok(merged) = strategic::apply(&document, &patch, kind) {
            let (size, given) = (merged.to_string().len(), document.to_string().len() + patch.to_string().len());
            assert!(size <= given, "{size} bytes of {} out of {given}", kind.kind);
        }
    }
}

/// Lines with what two managers apply in turn: to apply the same again changes nothing.
pub fn apply(data: &[u8]) {
    for kind in [fixtures::widget(), fixtures::built_in("", "ConfigMap")] {
        let scope = Scope::new(&kind, &kind.versions[0], "");
        let mut live: Option<Value> = None;
        for (index, line) in data.split(|byte| *byte == b'\n').enumerate().take(8) {
            let Ok(config) = decode::yaml(line) else { continue };
            let mut config = config.value;
            config["apiVersion"] = kind.api_version("v1").into();
            config["kind"] = kind.kind.as_str().into();
            let author = Author { manager: format!("manager-{}", index % 2), subresource: String::new() };
            let wish = Wish { config: &config, author: &author, force: index % 3 > 0 };
            let Ok(mut object) = applied_to(&scope, live.as_ref(), &wish, "2026-01-01T00:00:01Z") else { continue };
            if !object["metadata"].is_object() {
                continue;
            }
            object["metadata"]["uid"] = "u".into();
            let wish = Wish { force: false, ..wish };
            let again =
                applied_to(&scope, Some(&object), &wish, "2026-01-01T00:00:09Z").expect("it was applied before");
            assert_eq!(again, object, "{config} was applied a second time");
            live = Some(object);
        }
    }
}

fn split(data: &[u8]) -> Option<(Value, &[u8])> {
    let (document, patch) = first_line(data)?;
    let document = decode::any_json(document.as_bytes()).ok()?.value;
    Some((if document.is_null() { json!({}) } else { document }, patch))
}
