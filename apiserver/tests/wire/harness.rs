//! A server in memory, and a client that says what it sends and shows what it gets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use apiserver::{ApiServer, Config, Identity, ResponseBody, Service, TokenHash, TokenTable};
use apiserver_store::memory::MemoryStore;
use apiserver_store::{Storage, StorageOptions};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) const TOKEN: &str = "the-token-of-the-tests";
/// How long a test waits for something that should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the widgets of the namespace `a` are.
pub(crate) const WIDGETS: &str = "/apis/wire.test/v1/namespaces/a/widgets";

pub(crate) struct Server {
    pub(crate) server: ApiServer,
    pub(crate) storage: Storage,
    pub(crate) shutdown: CancellationToken,
    service: Service,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The document, if the code is the expected one.
    #[track_caller]
    pub(crate) fn expect(&self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", self.text);
        self.json()
    }

    /// The reason and the message of a refusal.
    #[track_caller]
    pub(crate) fn refusal(&self, code: u16) -> (String, String) {
        let status = self.expect(code);
        assert_eq!(status["kind"], "Status");
        assert_eq!(status["code"], code);
        (status["reason"].as_str().unwrap().into(), status["message"].as_str().unwrap().into())
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings of the test's own.
    pub(crate) async fn with(set: impl FnOnce(&mut Config)) -> Self {
        let store = Arc::new(MemoryStore::new(Uuid::from_u128(1)));
        let storage = Storage::open(store, StorageOptions::default()).await.unwrap();
        Self::over(storage, set).await
    }

    /// Over a store that others may use too.
    pub(crate) async fn over(storage: Storage, set: impl FnOnce(&mut Config)) -> Self {
        let tokens = TokenTable::new()
            .with(TokenHash::of(TOKEN), Identity::master("admin"))
            .with(TokenHash::of("the-token-of-bob"), Identity::new("bob", []));
        let mut config = Config::new(storage, tokens);
        set(&mut config);
        let (shutdown, storage) = (config.shutdown.clone(), config.storage.clone());
        let server = ApiServer::new(config).await.unwrap();
        let service = server.service();
        Self { server, storage, shutdown, service }
    }

    /// With the kind Widget and the namespace `a`.
    pub(crate) async fn with_widgets() -> Self {
        let server = Self::start().await;
        server.add_widgets().await;
        server
    }

    pub(crate) async fn add_widgets(&self) {
        self.server.install_kinds(&[widgets()]).await.unwrap();
        self.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    }

    pub(crate) async fn raw(&self, request: Request<Full<Bytes>>) -> Response<ResponseBody> {
        self.service.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let answer = self.raw(request(method, path, headers, body)).await;
        let (parts, body) = answer.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("the answer ends").unwrap();
        let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        Reply { code: parts.status.as_u16(), headers: parts.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.send("PUT", path, &[("content-type", "application/json")], body.to_string()).await
    }

    pub(crate) async fn merge(&self, path: &str, body: Value) -> Reply {
        self.send("PATCH", path, &[("content-type", "application/merge-patch+json")], body.to_string()).await
    }

    pub(crate) async fn json_patch(&self, path: &str, body: Value) -> Reply {
        self.send("PATCH", path, &[("content-type", "application/json-patch+json")], body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str, body: Value) -> Reply {
        self.send("DELETE", path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Begins a watch.
    pub(crate) async fn watch(&self, path: &str, headers: &[(&str, &str)]) -> Lines {
        let answer = self.raw(request("GET", path, headers, "")).await;
        assert_eq!(answer.status(), 200);
        Lines { body: answer.into_body(), read: String::new() }
    }

    /// Waits until an object is as it should be (`None`: gone).
    pub(crate) async fn until(&self, path: &str, what: &str, is_so: impl Fn(Option<&Value>) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let reply = self.get(path).await;
            let found = (reply.code == 200).then(|| reply.json());
            if is_so(found.as_ref()) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{path} is not {what}: {}", reply.text);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until_gone(&self, path: &str) {
        self.until(path, "gone", |found| found.is_none()).await;
    }
}

pub(crate) fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", format!("Bearer {TOKEN}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

/// The lines of a watch.
pub(crate) struct Lines {
    body: ResponseBody,
    read: String,
}

impl Lines {
    /// The next event, which comes soon; `None` when the watch has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(PATIENCE, self.next_patiently()).await.expect("something happens")
    }

    /// The next event, however long it takes.
    pub(crate) async fn next_patiently(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.read.split_once('\n') {
                let event = serde_json::from_str(line).unwrap();
                self.read = rest.to_owned();
                return Some(event);
            }
            let frame = self.body.frame().await?;
            self.read += std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
        }
    }

    /// The next event as its type and the name of its object.
    pub(crate) async fn next_brief(&mut self) -> (String, String) {
        let event = self.next().await.expect("the watch goes on");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }

    /// Fails if anything is said within a moment.
    pub(crate) async fn expect_silence(&mut self) {
        let said = tokio::time::timeout(Duration::from_millis(150), self.next()).await;
        assert!(said.is_err(), "{said:?}");
    }
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

pub(crate) fn config_map(name: &str, data: BTreeMap<&str, &str>) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

pub(crate) fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "wire.test/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

/// A widget that something owns.
pub(crate) fn owned(name: &str, owner: &Value) -> Value {
    let mut made = widget(name, json!({"color": "red"}));
    made["metadata"]["ownerReferences"] = json!([{
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": true,
    }]);
    made
}

pub(crate) fn widgets() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "widgets.wire.test",
            "annotations": {"thecloud.dev/schema-version": "1", "thecloud.dev/connect": "log,exec,portforward,metrics"},
        },
        "spec": {
            "group": "wire.test",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": {
                            "type": "object",
                            "required": ["color"],
                            "properties": {
                                "color": {"type": "string", "enum": ["red", "green", "blue"]},
                                "replicas": {"type": "integer", "minimum": 0, "default": 1},
                                "deletionProtection": {"type": "boolean"},
                                "note": {"type": "string"},
                            },
                        },
                        "status": {
                            "type": "object",
                            "properties": {"ready": {"type": "integer"}, "phase": {"type": "string"}},
                        },
                    },
                }},
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.ready"},
                },
                "additionalPrinterColumns": [
                    {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
                ],
                "selectableFields": [{"jsonPath": ".spec.color"}],
            }],
        },
    })
}
