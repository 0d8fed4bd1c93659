//! `/`: the paths that there are, for people with curl.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::registry::Registry;

pub(super) fn paths(registry: &Registry) -> Value {
    let fixed =
        ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"];
    let mut paths: BTreeSet<String> = fixed.into_iter().map(str::to_owned).collect();
    for kind in registry.kinds() {
        for version in kind.versions.iter().filter(|version| version.served) {
            if kind.group.is_empty() {
                paths.insert(format!("/api/{}", version.name));
            } else {
                paths.insert(format!("/apis/{}", kind.group));
                paths.insert(format!("/apis/{}/{}", kind.group, version.name));
            }
        }
    }
    json!({"paths": paths})
}
