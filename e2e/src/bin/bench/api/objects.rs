//! The kind that is measured and its objects.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::targets::Target;

const GROUP: &str = "bench.thecloud.dev";
const PLURAL: &str = "benchwidgets";

/// Where the objects are.
pub(crate) fn collection() -> String {
    collection_in("default")
}

/// Where the objects of a namespace are.
pub(crate) fn collection_in(namespace: &str) -> String {
    format!("/apis/{GROUP}/v1/namespaces/{namespace}/{PLURAL}")
}

/// Where the objects of all namespaces are.
pub(crate) fn everywhere() -> String {
    format!("/apis/{GROUP}/v1/{PLURAL}")
}

/// Declares the kind and waits until it is served.
pub(crate) async fn define(target: &Target) -> anyhow::Result<()> {
    let mut connection = Connection::open(target).await?;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let body = Bytes::from(definition().to_string());
    let answer = connection.start(Method::POST, path, "application/json", body).await?;
    anyhow::ensure!(answer.status().is_success() || answer.status() == 409, "{}", answer.status());
    for _ in 0..100 {
        if connection.start(Method::GET, &collection(), "", Bytes::new()).await?.status().is_success() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("the kind was not served within ten seconds")
}

fn definition() -> Value {
    let strings = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let port = json!({
        "type": "object",
        "required": ["port"],
        "properties": {
            "name": {"type": "string", "maxLength": 63},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "protocol": {"type": "string", "enum": ["TCP", "UDP"], "default": "TCP"},
        },
    });
    let spec = json!({
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {"type": "string", "minLength": 1},
            "plan": {"type": "string"},
            "replicas": {"type": "integer", "minimum": 0},
            "env": strings,
            "ports": {"type": "array", "items": port},
            "notes": {"type": "string"},
        },
    });
    let status = json!({
        "type": "object",
        "properties": {
            "phase": {"type": "string"},
            "ready": {"type": "integer"},
            "observedGeneration": {"type": "integer"},
        },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{PLURAL}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": PLURAL, "singular": "benchwidget", "kind": "BenchWidget"},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [{"name": "Phase", "type": "string", "jsonPath": ".status.phase"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
            }],
        },
    })
}

/// Makes bodies of a given size.
pub(crate) struct Maker {
    padding: usize,
}

impl Maker {
    pub(crate) fn new(size: usize) -> Self {
        let bare = object("bench-00000", "").to_string().len();
        Self { padding: size.saturating_sub(bare) }
    }

    pub(crate) fn body(&self, name: &str) -> Bytes {
        self.body_in("default", name)
    }

    /// A body that differs from that of the same name in another namespace.
    pub(crate) fn body_in(&self, namespace: &str, name: &str) -> Bytes {
        object(name, &text(&format!("{namespace}/{name}"), self.padding)).to_string().into()
    }
}

fn object(name: &str, notes: &str) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": "BenchWidget",
        "metadata": {"name": name, "labels": {"app": "bench", "tier": "web"}, "annotations": {"owner": "team-a"}},
        "spec": {
            "image": "images/debian-12",
            "plan": "standard-2",
            "replicas": 3,
            "env": {"MODE": "production", "REGION": "zone-a", "LEVEL": "info"},
            "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443, "protocol": "TCP"}],
            "notes": notes,
        },
    })
}

/// Letters that differ from object to object, so that nothing compresses them away.
fn text(name: &str, length: usize) -> String {
    let mut state = name
        .bytes()
        .fold(14_695_981_039_346_656_037_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211))
        | 1;
    let letters = b"abcdefghijklmnopqrstuvwxyz";
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(letters[(state >> 33) as usize % letters.len()])
    };
    (0..length).map(|_| next()).collect()
}
