//! Paths, methods and forms that lead nowhere, as upstream's two ways of routing refuse them.

use serde_json::json;

use crate::harness::{Server, WIDGETS, widget};

const MAPS: &str = "/api/v1/namespaces/a/configmaps";

#[tokio::test]
async fn built_in_kinds_are_routed_before_anything_else_is_asked() {
    let server = Server::with_widgets().await;
    for (method, path, code) in [
        ("POST", "/api/v1/namespaces/a/configmaps/c", 405),
        ("PUT", MAPS, 405),
        ("DELETE", "/api/v1/configmaps", 405),
        ("POST", "/api/v1/configmaps", 405),
        ("HEAD", MAPS, 405),
        ("GET", "/api/v1/namespaces/a/configmaps/c/status", 404),
        ("GET", "/api/v1/namespaces/a/configmaps/c/frob/x", 404),
        ("GET", "/api/v1/configmaps/c", 404),
        ("GET", "/api/v1/namespaces/a/frobs", 404),
        ("GET", "/api/v1/namespaces/a/namespaces", 404),
        ("DELETE", "/api/v1/namespaces/a/finalize", 405),
    ] {
        let reply = server.send(method, path, &[("content-type", "application/json")], "").await;
        assert_eq!(reply.code, code, "{method} {path}: {}", reply.text);
        if method == "HEAD" {
            continue;
        }
        let status = reply.json();
        let (reason, message) = match code {
            404 => ("NotFound", "the server could not find the requested resource"),
            _ => ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
        };
        assert_eq!((&status["reason"], &status["message"]), (&json!(reason), &json!(message)), "{method} {path}");
        assert_eq!(status["details"], json!({}));
    }
}

#[tokio::test]
async fn declared_kinds_name_the_verb_that_they_lack() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    let scale = format!("{WIDGETS}/w/scale");
    let (reason, message) = server.delete(&scale, json!({})).await.refusal(405);
    assert_eq!(reason, "MethodNotAllowed");
    assert_eq!(message, "delete is not supported on resources of kind \"widgets.wire.test\"");
    let (reason, message) = server.get(&format!("{WIDGETS}/w/frob")).await.refusal(404);
    assert_eq!((reason.as_str(), message.as_str()), ("NotFound", "widgets.wire.test \"w\" not found"));
    let nowhere = server.get("/apis/wire.test/v1/namespaces/a/frobs").await;
    assert_eq!((nowhere.code, nowhere.text.as_str()), (404, "404 page not found\n"));
    let nowhere = server.post("/apis/wire.test/v1/widgets", widget("w", json!({}))).await;
    assert_eq!((nowhere.code, nowhere.text.as_str()), (404, "404 page not found\n"));
}

#[tokio::test]
async fn a_form_that_a_path_does_not_have_is_refused_by_its_router() {
    let server = Server::with_widgets().await;
    let html = [("accept", "text/html")];
    assert_eq!(server.send("GET", MAPS, &html, "").await.code, 406);
    assert_eq!(server.send("GET", WIDGETS, &html, "").await.code, 406);
    let plain = [("content-type", "text/plain")];
    assert_eq!(server.send("POST", MAPS, &plain, "x").await.code, 415);
    assert_eq!(server.send("POST", WIDGETS, &plain, "x").await.code, 415);
}
