//! Decides how YAML is read: one document, with a budget, so that neither aliases nor nesting can blow it up.

use serde_saphyr::options::DuplicateKeyPolicy;

use super::json::too_large;
use super::value::{Read, Reader};
use super::{Decoded, MAX_BODY, MAX_DEPTH, require_object};
use crate::error::ApiError;

/// How many values a document may hold. The largest CustomResourceDefinitions have 60 000.
const MAX_NODES: usize = 300_000;

/// How many values aliases may add.
const MAX_REPLAYED: usize = 50_000;

/// Decodes a YAML object. JSON is YAML too.
///
/// # Errors
/// 400 for what is no YAML object, or for more than one document; 413 for a body that is too large.
pub fn yaml(body: &[u8]) -> Result<Decoded, ApiError> {
    if body.len() > MAX_BODY {
        return Err(too_large());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: MAX_NODES * 2,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_aliases: 10_000,
            max_anchors: 1_000,
            max_documents: 2,
            max_recorded_anchor_events: MAX_NODES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let mut reader = Reader::default();
    let read = serde_saphyr::with_deserializer_from_slice_with_options(body, options, |deserializer| {
        serde::de::DeserializeSeed::deserialize(Read(&mut reader), deserializer)
    });
    match read {
        Ok(value) => require_object(Decoded { value, duplicates: reader.duplicates }),
        Err(error) => {
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default();
            Err(ApiError::bad_request(format!("error converting YAML to JSON: yaml: {reason}")))
        }
    }
}
