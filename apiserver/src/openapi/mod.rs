//! Publishes the OpenAPI documents: one v3 document a group and version, and one v2 document of everything, as JSON
//! and as the protobuf that Argo CD and kubectl fetch.
//!
//! In: a registry. Out: bytes with a hash of them. Nothing is made before somebody asks for it, and only what was
//! asked for is kept. It never changes an object or a schema that is in force.

mod builtin;
mod declared;
mod gnostic;
mod names;
mod parameters;
mod paths;
mod schemas;
mod v2;
mod v3;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::registry::Registry;

use names::GroupVersion;

/// The `Content-Type` of the v2 document as protobuf.
pub const PROTOBUF_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// A document and the hash of its bytes: the `ETag` without quotes, and `?hash=` of v3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The document.
    pub body: Bytes,
    /// Upper-case hex.
    pub hash: String,
}

impl Published {
    fn of(body: Vec<u8>) -> Self {
        let hash = hex(&Sha256::digest(&body));
        Self { body: body.into(), hash }
    }
}

/// The documents of one registry. Make a new one when the registry changes.
#[derive(Debug)]
pub struct Documents {
    registry: Arc<Registry>,
    versions: BTreeMap<String, Slot>,
    v2_json: OnceLock<Published>,
    v2_protobuf: OnceLock<Published>,
}

/// A group and version. The index needs every hash but no document, so the two are kept apart.
#[derive(Debug)]
struct Slot {
    group_version: GroupVersion,
    hash: OnceLock<String>,
    document: OnceLock<Published>,
}

impl Documents {
    /// Documents of these kinds. Makes none yet.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        let versions = names::group_versions(&registry)
            .into_iter()
            .map(|group_version| {
                let slot = Slot { hash: OnceLock::new(), document: OnceLock::new(), group_version };
                (slot.group_version.path(), slot)
            })
            .collect();
        Self { registry, versions, v2_json: OnceLock::new(), v2_protobuf: OnceLock::new() }
    }

    /// `/openapi/v3`: where each document is, by hash.
    #[must_use]
    pub fn index(&self) -> Published {
        let paths: serde_json::Map<String, Value> = self
            .versions
            .iter()
            .map(|(path, slot)| {
                let url = format!("/openapi/v3/{path}?hash={}", self.hash_of(slot));
                (path.clone(), json!({"serverRelativeURL": url}))
            })
            .collect();
        Published::of(json!({"paths": paths}).to_string().into_bytes())
    }

    /// The hash of a v3 document; `path` is `api/v1` or `apis/{group}/{version}`.
    #[must_use]
    pub fn v3_hash(&self, path: &str) -> Option<String> {
        self.versions.get(path).map(|slot| self.hash_of(slot).to_owned())
    }

    /// A v3 document; `path` is `api/v1` or `apis/{group}/{version}`.
    #[must_use]
    pub fn v3(&self, path: &str) -> Option<Published> {
        let slot = self.versions.get(path)?;
        let make = || Published::of(v3::document(&self.registry, &slot.group_version).to_string().into_bytes());
        Some(slot.document.get_or_init(make).clone())
    }

    /// `/openapi/v2` as JSON.
    #[must_use]
    pub fn v2_json(&self) -> Published {
        self.v2_json.get_or_init(|| Published::of(v2::json(&self.registry, self.group_versions()))).clone()
    }

    /// `/openapi/v2` as protobuf.
    #[must_use]
    pub fn v2_protobuf(&self) -> Published {
        self.v2_protobuf.get_or_init(|| Published::of(v2::protobuf(&self.registry, self.group_versions()))).clone()
    }

    fn group_versions(&self) -> impl Iterator<Item = &GroupVersion> {
        self.versions.values().map(|slot| &slot.group_version)
    }

    fn hash_of<'a>(&'a self, slot: &'a Slot) -> &'a str {
        slot.hash.get_or_init(|| match slot.document.get() {
            Some(document) => document.hash.clone(),
            None => {
                let mut hasher = Hasher(Sha256::new());
                let document = v3::document(&self.registry, &slot.group_version);
                serde_json::to_writer(&mut hasher, &document).expect("a value is always JSON, and hashing can't fail");
                hex(&hasher.0.finalize())
            }
        })
    }
}

/// Hashes what is written, so that a document need not exist as a whole to be hashed.
struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

#[cfg(test)]
mod tests;
