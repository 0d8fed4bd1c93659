//! Bodies of requests: JSON, YAML and protobuf, and objects of the kinds that are built in.

use serde_json::Value;

use super::depth;
use crate::registry::builtin;
use crate::schema::decode::{self, Decoded, MAX_DEPTH};
use crate::schema::object;
use crate::{fixtures, yaml};

/// A body in each language: what was read is read again from what is written of it, in any of them.
pub fn body(data: &[u8]) {
    let read = [decode::json(data), decode::yaml(data), decode::merge_patch(data), decode::any_json(data)];
    let _only_of_built_in_kinds = decode::protobuf(data);
    for Decoded { value, .. } in read.into_iter().flatten() {
        assert!(depth(&value) <= MAX_DEPTH);
        if value.is_object() {
            written_is_read_again(&value);
            completed(value);
        }
    }
}

fn written_is_read_again(value: &Value) {
    let json = value.to_string();
    let again = decode::json(json.as_bytes()).expect("what is written can be read");
    assert_eq!(again, Decoded { value: value.clone(), duplicates: Vec::new() });
    let yaml = yaml::to_string(value);
    let again = decode::yaml(yaml.as_bytes()).unwrap_or_else(|error| panic!("{}: {yaml}", error.message));
    assert_eq!(again.value, *value, "{yaml}");
}

/// What a create makes of an object: to do it twice changes nothing more.
fn completed(mut value: Value) {
    let (version, name) =
        (value["apiVersion"].as_str().unwrap_or_default(), value["kind"].as_str().unwrap_or_default());
    let mut kinds = builtin::kinds().into_iter().chain([fixtures::widget()]);
    let Some(kind) = kinds.find(|kind| kind.kind == name && kind.api_version(&kind.versions[0].name) == version) else {
        return;
    };
    let version = &kind.versions[0];
    if object::check(&kind, version, &value).is_err() {
        return;
    }
    version.schema.prune(&mut value).len();
    object::complete(&kind, version, &mut value);
    let once = value.clone();
    object::complete(&kind, version, &mut value);
    assert_eq!(once, value);
    let _wrong = object::validate(&kind, version, &value, None);
    let _wrong = object::validate(&kind, version, &value, Some(&once));
    let _doubtful = object::doubts(&kind, &value, None);
}
