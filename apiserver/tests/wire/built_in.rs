//! What Kubernetes' own kinds do otherwise than declared ones.

use serde_json::{Value, json};

use crate::harness::{Server, config_map, namespace};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/a/leases";
const MAPS: &str = "/api/v1/namespaces/a/configmaps";

async fn with_namespace() -> Server {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    server
}

fn lease(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec})
}

fn message_of(reply: &crate::harness::Reply, code: u16) -> String {
    reply.refusal(code).1
}

#[tokio::test]
async fn a_lease_is_made_by_an_update_and_a_config_map_is_not() {
    let server = with_namespace().await;
    let path = format!("{LEASES}/l");
    let made = server.put(&path, lease("l", json!({"holderIdentity": "me"}))).await.expect(201);
    assert_eq!(made["spec"], json!({"holderIdentity": "me"}));
    let mut next = lease("l", json!({"holderIdentity": "you"}));
    server.put(&path, next.clone()).await.refusal(422);
    next["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    let again = server.put(&path, next).await.expect(200);
    assert_eq!(again["metadata"]["uid"], made["metadata"]["uid"]);
    let mut late = lease("m", json!({}));
    late["metadata"]["resourceVersion"] = "5".into();
    server.put(&format!("{LEASES}/m"), late).await.expect(201);
    let missing = server.put(&format!("{MAPS}/c"), config_map("c", [].into())).await;
    assert_eq!(message_of(&missing, 404), "configmaps \"c\" not found");
}

#[tokio::test]
async fn objects_in_a_list_do_not_say_their_kind() {
    let server = with_namespace().await;
    server.post(MAPS, config_map("c", [("a", "1")].into())).await.expect(201);
    let list = server.get(MAPS).await.expect(200);
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    let item = &list["items"][0];
    assert_eq!(item["data"], json!({"a": "1"}));
    assert!(item.get("kind").is_none() && item.get("apiVersion").is_none(), "{item}");
    let one = server.get(&format!("{MAPS}/c")).await.expect(200);
    assert_eq!((&one["kind"], &one["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
}

#[tokio::test]
async fn a_lease_says_sensible_times() {
    let server = with_namespace().await;
    let bad = json!({"leaseDurationSeconds": 0, "leaseTransitions": -1});
    let refused = server.post(LEASES, lease("l", bad)).await;
    assert_eq!(
        message_of(&refused, 422),
        "Lease.coordination.k8s.io \"l\" is invalid: [spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0, \
         spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0]"
    );
}

#[tokio::test]
async fn an_event_is_about_something_in_its_namespace() {
    let server = with_namespace().await;
    let event = |namespace: &str| {
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "reason": "R", "count": 0,
            "involvedObject": {"kind": "Widget", "name": "w", "namespace": namespace}})
    };
    let refused = server.post("/api/v1/namespaces/a/events", event("b")).await;
    assert_eq!(
        message_of(&refused, 422),
        "Event \"e\" is invalid: involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"
    );
    let made = server.post("/api/v1/namespaces/a/events", event("a")).await.expect(201);
    for time in ["eventTime", "firstTimestamp", "lastTimestamp"] {
        assert_eq!(made.get(time), Some(&Value::Null), "{made}");
    }
    assert_eq!((&made["source"], &made["reportingComponent"]), (&json!({}), &json!("")));
    assert!(made.get("count").is_none(), "{made}");
}

#[tokio::test]
async fn a_secret_keeps_its_type_and_what_its_type_asks_for() {
    let server = with_namespace().await;
    let path = "/api/v1/namespaces/a/secrets";
    let secret = |type_: &str, data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": type_, "data": data});
    let refused = server.post(path, secret("kubernetes.io/tls", json!({"tls.crt": ""}))).await;
    assert_eq!(message_of(&refused, 422), "Secret \"s\" is invalid: data[tls.key]: Required value");
    server.post(path, secret("Opaque", json!({}))).await.expect(201);
    let refused = server.merge(&format!("{path}/s"), json!({"type": "other"})).await;
    assert_eq!(
        message_of(&refused, 422),
        "Secret \"s\" is invalid: type: Invalid value: \"other\": field is immutable"
    );
    server.merge(&format!("{path}/s"), json!({"immutable": true})).await.expect(200);
    let refused = server.merge(&format!("{path}/s"), json!({"stringData": {"a": "b"}})).await;
    assert!(message_of(&refused, 422).contains("data: Forbidden: field is immutable when `immutable` is set"));
}

#[tokio::test]
async fn many_are_deleted_page_by_page_and_in_one_namespace() {
    let server = with_namespace().await;
    for name in ["c1", "c2", "c3"] {
        server.post(MAPS, config_map(name, [].into())).await.expect(201);
    }
    let deleted = server.delete(&format!("{MAPS}?limit=2"), json!({})).await.expect(200);
    assert_eq!(deleted["items"].as_array().unwrap().len(), 2);
    let left = server.get(MAPS).await.expect(200);
    assert_eq!(left["items"][0]["metadata"]["name"], "c3");
    server.delete("/api/v1/configmaps", json!({})).await.refusal(405);
}

#[tokio::test]
async fn a_patch_that_no_longer_fits_the_kind_is_invalid() {
    let server = with_namespace().await;
    let path = format!("{MAPS}/c");
    server.post(MAPS, config_map("c", [("a", "1")].into())).await.expect(201);
    let (reason, message) = server.merge(&path, json!({"data": {"a": 1}})).await.refusal(422);
    assert_eq!(reason, "Invalid");
    assert!(message.starts_with(" \"\" is invalid: patch: Invalid value: "), "{message}");
    assert!(message.ends_with("json: cannot unmarshal number into Go struct field ConfigMap.data of type string"));
    let strict = format!("{path}?fieldValidation=Strict");
    let (_, message) = server.merge(&strict, json!({"frob": 1})).await.refusal(422);
    assert!(message.ends_with("strict decoding error: unknown field \"frob\""), "{message}");
}

#[tokio::test]
async fn an_event_in_the_new_form_says_everything_and_stays_what_it_is() {
    let server = Server::start().await;
    let events = "/apis/events.k8s.io/v1/namespaces/default/events";
    let causes = |reply: &crate::harness::Reply| -> Vec<String> {
        let status = reply.expect(422);
        let causes = status["details"]["causes"].as_array().unwrap();
        causes
            .iter()
            .map(|cause| format!("{}: {}", cause["field"].as_str().unwrap(), cause["message"].as_str().unwrap()))
            .collect()
    };
    let mut event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
        "eventTime": "2026-01-02T03:04:05.000006Z", "reportingController": "example.com/c", "reportingInstance": "c-1",
        "action": "Act", "reason": "Why", "type": "Normal", "note": "n",
        "regarding": {"kind": "Thing", "namespace": "default", "name": "t"},
        "series": {"count": 1},
    });
    let refused = server.post(events, event.clone()).await;
    assert_eq!(
        causes(&refused),
        ["series.count: Invalid value: \"\": should be at least 2", "series.lastObservedTime: Required value"]
    );
    event.as_object_mut().unwrap().remove("series");
    server.post(events, event).await.expect(201);
    let one = format!("{events}/e");
    let again = json!({"series": {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000000Z"}});
    server.merge(&one, again).await.expect(200);
    let other = json!({
        "note": "other", "type": "Warning", "reason": "Because", "deprecatedCount": 3,
        "regarding": {"name": "u"}, "deprecatedSource": {"host": "h"}, "reportingController": "example.com/d",
    });
    assert_eq!(
        causes(&server.merge(&one, other).await),
        [
            "involvedObject: Invalid value: {\"Kind\":\"Thing\",\"Namespace\":\"default\",\"Name\":\"u\",\"UID\":\"\",\
             \"APIVersion\":\"\",\"ResourceVersion\":\"\",\"FieldPath\":\"\"}: field is immutable",
            "reason: Invalid value: \"Because\": field is immutable",
            "message: Invalid value: \"other\": field is immutable",
            "source: Invalid value: {\"Component\":\"\",\"Host\":\"h\"}: field is immutable",
            "count: Invalid value: 3: field is immutable",
            "reason: Invalid value: \"Because\": field is immutable",
            "type: Invalid value: \"Warning\": field is immutable",
            "reportingController: Invalid value: \"example.com/d\": field is immutable",
        ]
    );
    // Whoever writes the old form may change anything, as before there was another.
    server.merge("/api/v1/namespaces/default/events/e", json!({"message": "other"})).await.expect(200);
}
