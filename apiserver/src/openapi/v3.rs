//! The v3 document of a group and version.

use serde_json::{Map, Value, json};

use crate::registry::Registry;

use super::names::GroupVersion;
use super::{builtin, paths, schemas};

/// Paths and schemas of everything served, with every schema that they point at.
pub(super) fn document(registry: &Registry, group_version: &GroupVersion) -> Value {
    let (paths, schemas) = parts(registry, group_version);
    json!({
        "openapi": "3.0.0",
        "info": {"title": "The Cloud", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// The document's two maps.
pub(super) fn parts(registry: &Registry, group_version: &GroupVersion) -> (Map<String, Value>, Map<String, Value>) {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for kind in registry.kinds().filter(|kind| kind.group == group_version.group) {
        if let Some(version) = kind.version(&group_version.version) {
            paths::add(&mut paths, kind, version);
            schemas::add(&mut schemas, kind, version);
        }
    }
    builtin::add_referenced(&mut schemas, &paths);
    (paths, schemas)
}
