//! `/`: the paths that there are, for people with curl.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::health::checks;
use crate::registry::Registry;

pub(super) fn paths(registry: &Registry) -> Value {
    let fixed = [
        "/.well-known/openid-configuration",
        "/api",
        "/apis",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/openid/v1/jwks",
        "/version",
    ];
    let mut paths: BTreeSet<String> = fixed.into_iter().map(str::to_owned).collect();
    for health in ["healthz", "livez", "readyz"] {
        paths.insert(format!("/{health}"));
        paths.extend(checks(health).iter().map(|check| format!("/{health}/{check}")));
    }
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
