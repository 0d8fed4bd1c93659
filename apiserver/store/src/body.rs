//! Turns an object's JSON into the bytes that are stored (no revision inside) and those that are served (revision in
//! its sorted place), without building a tree of values.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::Revision;

const REVISION_FIELD: &str = "resourceVersion";

/// An object's JSON without a revision, and the place where one belongs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    splice: Splice,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Splice {
    at: usize,
    comma: Comma,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comma {
    None,
    Before,
    After,
}

impl Body {
    /// Reads an object, dropping its revision. The error says what is wrong with the JSON.
    pub(crate) fn parse(json: &[u8]) -> Result<Body, String> {
        let object: BTreeMap<String, &RawValue> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let metadata: BTreeMap<String, &RawValue> = match object.get("metadata") {
            Some(raw) => serde_json::from_str(raw.get()).map_err(|error| format!("metadata: {error}"))?,
            None => BTreeMap::new(),
        };
        let labels = match metadata.get("labels") {
            Some(raw) => serde_json::from_str::<Option<BTreeMap<String, String>>>(raw.get())
                .map_err(|error| format!("metadata.labels: {error}"))?
                .unwrap_or_default(),
            None => BTreeMap::new(),
        };
        let (bytes, splice) = render(&object, &metadata);
        Ok(Body { bytes, splice, labels })
    }

    /// What the database keeps.
    pub(crate) fn stored(&self) -> &[u8] {
        &self.bytes
    }

    /// What clients read.
    pub(crate) fn served(&self, revision: Revision) -> Bytes {
        let Splice { at, comma } = self.splice;
        let field = match comma {
            Comma::None => format!("\"{REVISION_FIELD}\":\"{revision}\""),
            Comma::Before => format!(",\"{REVISION_FIELD}\":\"{revision}\""),
            Comma::After => format!("\"{REVISION_FIELD}\":\"{revision}\","),
        };
        let mut served = Vec::with_capacity(self.bytes.len() + field.len());
        served.extend_from_slice(&self.bytes[..at]);
        served.extend_from_slice(field.as_bytes());
        served.extend_from_slice(&self.bytes[at..]);
        Bytes::from(served)
    }

    /// `metadata.labels`.
    pub(crate) fn into_labels(self) -> BTreeMap<String, String> {
        self.labels
    }
}

fn render(object: &BTreeMap<String, &RawValue>, metadata: &BTreeMap<String, &RawValue>) -> (Vec<u8>, Splice) {
    let mut bytes = vec![b'{'];
    let mut splice = None;
    let metadata_is_missing = !object.contains_key("metadata");
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    if metadata_is_missing {
        keys.insert(keys.partition_point(|key| *key < "metadata"), "metadata");
    }
    for (place, key) in keys.into_iter().enumerate() {
        if place > 0 {
            bytes.push(b',');
        }
        push_name(&mut bytes, key);
        if key == "metadata" {
            splice = Some(render_metadata(&mut bytes, metadata));
        } else {
            bytes.extend_from_slice(object[key].get().as_bytes());
        }
    }
    bytes.push(b'}');
    (bytes, splice.expect("metadata is always among the keys"))
}

fn render_metadata(bytes: &mut Vec<u8>, metadata: &BTreeMap<String, &RawValue>) -> Splice {
    bytes.push(b'{');
    let mut splice = None;
    let mut first = true;
    for (key, value) in metadata {
        if key == REVISION_FIELD {
            continue;
        }
        if !first {
            bytes.push(b',');
        }
        if splice.is_none() && key.as_str() > REVISION_FIELD {
            splice = Some(Splice { at: bytes.len(), comma: Comma::After });
        }
        first = false;
        push_name(bytes, key);
        bytes.extend_from_slice(value.get().as_bytes());
    }
    let splice = splice.unwrap_or(Splice { at: bytes.len(), comma: if first { Comma::None } else { Comma::Before } });
    bytes.push(b'}');
    splice
}

fn push_name(bytes: &mut Vec<u8>, name: &str) {
    serde_json::to_writer(&mut *bytes, name).expect("a string can be written to memory");
    bytes.push(b':');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn revision_is_served_in_its_sorted_place_and_not_stored() {
        let body = Body::parse(br#"{"kind":"K","metadata":{"uid":"u","resourceVersion":"old","name":"n"}}"#).unwrap();
        assert_eq!(String::from_utf8_lossy(body.stored()), r#"{"kind":"K","metadata":{"name":"n","uid":"u"}}"#);
        assert_eq!(
            String::from_utf8_lossy(&body.served(Revision(12))),
            r#"{"kind":"K","metadata":{"name":"n","resourceVersion":"12","uid":"u"}}"#
        );
    }

    #[test]
    fn revision_is_served_last_alone_or_without_metadata() {
        let served = |json: &str| {
            let body = Body::parse(json.as_bytes()).unwrap();
            String::from_utf8(body.served(Revision(1)).to_vec()).unwrap()
        };
        assert_eq!(served(r#"{"metadata":{"name":"n"}}"#), r#"{"metadata":{"name":"n","resourceVersion":"1"}}"#);
        assert_eq!(served(r#"{"metadata":{}}"#), r#"{"metadata":{"resourceVersion":"1"}}"#);
        assert_eq!(served(r#"{"a":1,"z":2}"#), r#"{"a":1,"metadata":{"resourceVersion":"1"},"z":2}"#);
        assert_eq!(served("{}"), r#"{"metadata":{"resourceVersion":"1"}}"#);
    }

    #[test]
    fn labels_are_read_and_null_labels_are_none() {
        let body = Body::parse(br#"{"metadata":{"labels":{"a\n":"1"}}}"#).unwrap();
        assert_eq!(body.into_labels(), BTreeMap::from([("a\n".to_owned(), "1".to_owned())]));
        assert!(Body::parse(br#"{"metadata":{"labels":null}}"#).unwrap().into_labels().is_empty());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["", "[]", "1", r#"{"metadata":1}"#, r#"{"metadata":{"labels":{"a":1}}}"#] {
            assert!(Body::parse(json.as_bytes()).is_err(), "{json}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..4).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn serving_changes_nothing_but_the_revision(
            spec in any_value(),
            metadata in prop::collection::btree_map("[a-z]{1,18}|resourceVersion", Just(json!("x")), 0..6),
            extra in ".{0,6}",
        ) {
            let mut metadata = metadata;
            metadata.remove("labels");
            let mut object = json!({"spec": spec, "metadata": metadata});
            object.as_object_mut().unwrap().entry(extra).or_insert(json!([]));
            let body = Body::parse(object.to_string().as_bytes()).unwrap();
            object["metadata"]["resourceVersion"] = json!("99");
            prop_assert_eq!(serde_json::from_slice::<Value>(&body.served(Revision(99))).unwrap(), object.clone());
            prop_assert_eq!(String::from_utf8(body.served(Revision(99)).to_vec()).unwrap(), object.to_string());
            let again = Body::parse(&body.served(Revision(99))).unwrap();
            prop_assert_eq!(again, body);
        }
    }
}
