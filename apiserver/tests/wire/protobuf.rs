//! Bodies in protobuf, as Go clients send them for the built-in kinds. Answers are JSON all the same.

use serde_json::json;

use crate::harness::{Server, WIDGETS, namespace, widget};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// What Go clients send with every request.
pub(crate) const HEADERS: [(&str, &str); 2] =
    [("content-type", PROTOBUF), ("accept", "application/vnd.kubernetes.protobuf,application/json")];

/// A field with a length that fits one byte.
pub(crate) fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
}

pub(crate) fn body(api_version: &str, kind: &str, object: Vec<u8>) -> Vec<u8> {
    let type_meta = [field(1, api_version), field(2, kind)].concat();
    [b"k8s\0".to_vec(), field(1, type_meta), field(2, object)].concat()
}

fn secret(name: &str, value: &str) -> Vec<u8> {
    let data = [field(1, "token"), field(2, value)].concat();
    body("v1", "Secret", [field(1, field(1, name)), field(2, data)].concat())
}

#[tokio::test]
async fn secret_is_made_replaced_and_deleted_by_protobuf_bodies() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    let secrets = "/api/v1/namespaces/a/secrets";
    let strict = format!("{secrets}?fieldManager=kubectl-create&fieldValidation=Strict");
    let made = server.send("POST", &strict, &HEADERS, secret("s", "old")).await;
    assert_eq!(made.header("content-type"), "application/json");
    let made = made.expect(201);
    assert_eq!((&made["kind"], &made["type"]), (&json!("Secret"), &json!("Opaque")));
    assert_eq!(made["data"], json!({"token": "b2xk"}));

    let one = format!("{secrets}/s");
    let put = server.send("PUT", &one, &HEADERS, secret("s", "new")).await.expect(200);
    assert_eq!(put["data"], json!({"token": "bmV3"}));

    let wrong = body("v1", "DeleteOptions", field(2, field(1, "00000000-0000-0000-0000-000000000000")));
    let (reason, _) = server.send("DELETE", &one, &HEADERS, wrong).await.refusal(409);
    assert_eq!(reason, "Conflict");
    let uid = made["metadata"]["uid"].as_str().unwrap();
    let right = body("v1", "DeleteOptions", [field(2, field(1, uid)), field(4, "Background")].concat());
    assert_eq!(server.send("DELETE", &one, &HEADERS, right).await.expect(200)["status"], "Success");
}

#[tokio::test]
async fn options_of_a_deletion_are_read_for_every_kind_and_objects_for_built_in_ones() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w1", json!({"color": "red"}))).await.expect(201);
    let one = format!("{WIDGETS}/w1");
    let dry = body("wire.test/v1", "DeleteOptions", field(5, "All"));
    server.send("DELETE", &one, &HEADERS, dry).await.expect(200);
    server.get(&one).await.expect(200);

    let custom = body("wire.test/v1", "Widget", field(1, field(1, "w2")));
    let (reason, message) = server.send("POST", WIDGETS, &HEADERS, custom).await.refusal(415);
    assert_eq!(reason, "UnsupportedMediaType");
    assert!(message.ends_with("application/json, application/yaml, application/vnd.kubernetes.protobuf"), "{message}");
}

#[tokio::test]
async fn body_of_another_kind_or_of_noise_is_a_bad_request() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/default/configmaps";
    let (reason, message) = server.send("POST", path, &HEADERS, secret("s", "x")).await.refusal(400);
    assert_eq!(reason, "BadRequest");
    assert_eq!(
        message,
        "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): \
         unknown conversion"
    );
    let (_, message) = server.send("POST", path, &HEADERS, &b"k8s\0\x0a\xff\xff\xff\xff\x0f"[..]).await.refusal(400);
    assert_eq!(
        message,
        "the object provided is unrecognized (must be of type ConfigMap): unexpected EOF (6b3873000affffffff0f)"
    );
}

#[tokio::test]
async fn answers_are_never_protobuf() {
    let server = Server::start().await;
    let only = [("accept", PROTOBUF)];
    let (reason, message) = server.send("GET", "/api/v1/namespaces/default", &only, "").await.refusal(406);
    assert_eq!(reason, "NotAcceptable");
    assert!(message.starts_with("only the following media types are accepted: application/json"), "{message}");
}
