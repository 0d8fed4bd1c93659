//! In which forms requests come and answers go.

use std::io::Read;

use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::harness::{Server, WIDGETS, config_map, request, widget};

#[tokio::test]
async fn large_answers_are_packed_for_those_who_ask_and_watches_never() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/default/configmaps";
    let text = "x".repeat(100 << 10);
    for name in ["a", "b"] {
        server.post(path, config_map(name, [("k", text.as_str())].into())).await.expect(201);
    }
    let plain = server.get(path).await;
    assert_eq!((plain.code, plain.header("content-encoding")), (200, ""));
    let asked = [("accept-encoding", "gzip")];
    let answer = server.raw(request("GET", path, &asked, "")).await;
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert_eq!(answer.headers()["vary"], "Accept-Encoding");
    let packed = answer.into_body().collect().await.unwrap().to_bytes();
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.text);

    let small = server.raw(request("GET", &format!("{path}/none"), &asked, "")).await;
    assert!(!small.headers().contains_key("content-encoding"));
    let mut lines = server.watch(&format!("{path}?watch=true"), &asked).await;
    assert_eq!(lines.next_brief().await, ("ADDED".into(), "a".into()));
}

#[tokio::test]
async fn refusals_come_in_the_language_that_was_asked_for() {
    let server = Server::with_widgets().await;
    let yaml = server.send("GET", &format!("{WIDGETS}/none"), &[("accept", "application/yaml")], "").await;
    assert_eq!((yaml.code, yaml.header("content-type")), (404, "application/yaml"));
    assert!(yaml.text.contains("reason: NotFound\n"), "{}", yaml.text);
    for accept in
        ["application/json;as=Table;g=meta.k8s.io;v=v1", "application/xml", "application/vnd.kubernetes.protobuf"]
    {
        let reply = server.send("GET", &format!("{WIDGETS}/none"), &[("accept", accept)], "").await;
        assert_eq!(reply.header("content-type"), "application/json", "{accept}");
    }
}

#[tokio::test]
async fn bodies_come_as_json_without_a_type_or_as_yaml_but_not_as_cbor() {
    let server = Server::with_widgets().await;
    let json = widget("w1", json!({"color": "red"})).to_string();
    server.send("POST", &format!("{WIDGETS}/"), &[], json.clone()).await.expect(201);
    let yaml = "apiVersion: wire.test/v1\nkind: Widget\nmetadata: {name: w2}\nspec: {color: red}\n";
    server.send("POST", WIDGETS, &[("content-type", "application/yaml; charset=utf-8")], yaml).await.expect(201);
    for type_ in ["application/cbor", "text/plain", "application/x-www-form-urlencoded"] {
        let (reason, _) = server.send("POST", WIDGETS, &[("content-type", type_)], json.clone()).await.refusal(415);
        assert_eq!(reason, "UnsupportedMediaType", "{type_}");
    }
    for accept in ["*/*", "application/*", "", "application/json;q=0.9, */*;q=0.1"] {
        let reply = server.send("GET", &format!("{WIDGETS}/w1/"), &[("accept", accept)], "").await;
        assert_eq!(reply.header("content-type"), "application/json", "{accept}");
        reply.expect(200);
    }
}

#[tokio::test]
async fn heads_have_no_body_and_unknown_methods_are_refused() {
    let server = Server::with_widgets().await;
    for path in [WIDGETS, "/version", "/apis", "/openapi/v3"] {
        let head = server.send("HEAD", path, &[], "").await;
        assert_eq!((head.code, head.text.as_str()), (200, ""), "{path}");
    }
    for method in ["OPTIONS", "TRACE", "PURGE"] {
        let (reason, _) = server.send(method, WIDGETS, &[], "").await.refusal(405);
        assert_eq!(reason, "MethodNotAllowed", "{method}");
    }
}

#[tokio::test]
async fn old_watch_paths_watch_many_or_one() {
    let server = Server::with_widgets().await;
    for name in ["w1", "w2"] {
        server.post(WIDGETS, widget(name, json!({"color": "red"}))).await.expect(201);
    }
    let mut many = server.watch("/apis/wire.test/v1/watch/namespaces/a/widgets", &[]).await;
    assert_eq!(many.next_brief().await, ("ADDED".into(), "w1".into()));
    assert_eq!(many.next_brief().await, ("ADDED".into(), "w2".into()));
    let mut one = server.watch("/apis/wire.test/v1/watch/namespaces/a/widgets/w2", &[]).await;
    assert_eq!(one.next_brief().await, ("ADDED".into(), "w2".into()));
    one.expect_silence().await;
    let all = server.watch("/apis/wire.test/v1/watch/widgets", &[]).await.next_brief().await;
    assert_eq!(all, ("ADDED".into(), "w1".into()));
    // Of one object without the old path there is no watch, only the object.
    let object: Value = server.get(&format!("{WIDGETS}/w2?watch=true")).await.expect(200);
    assert_eq!(object["kind"], "Widget");
}

#[tokio::test]
async fn every_document_is_one_line_with_its_end() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    let one = format!("{WIDGETS}/w");
    let table = "application/json;as=Table;g=meta.k8s.io;v=v1";
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    for (path, accept) in [
        (one.as_str(), ""),
        (&one, table),
        (WIDGETS, ""),
        (WIDGETS, table),
        (WIDGETS, partial),
        ("/api/v1/namespaces", ""),
        ("/api/v1/namespaces/a", ""),
        (&format!("{one}/scale"), ""),
        (&format!("{WIDGETS}/none"), ""),
        ("/api", ""),
        ("/apis", ""),
        ("/apis", aggregated),
        ("/apis/wire.test/v1", ""),
    ] {
        let answer = server.raw(request("GET", path, &[("accept", accept)], "")).await;
        let length = http_body::Body::size_hint(answer.body()).exact();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(text.ends_with(b"}\n") && !text.ends_with(b"\n\n"), "{path} {accept}");
        assert_eq!(length, Some(text.len() as u64), "{path} {accept}");
        serde_json::from_slice::<Value>(&text).unwrap();
    }
    let created = server.post(WIDGETS, widget("v", json!({"color": "red"}))).await;
    assert!(created.text.ends_with("}\n"), "{}", created.text);
    let watch = server.raw(request("GET", &format!("{WIDGETS}?watch=1&timeoutSeconds=1"), &[], "")).await;
    let lines = watch.into_body().collect().await.unwrap().to_bytes();
    let lines: Vec<&str> = std::str::from_utf8(&lines).unwrap().split('\n').collect();
    assert_eq!((lines.len(), lines[2]), (3, ""), "an event is a line: {lines:?}");
}

#[tokio::test]
async fn people_get_indented_answers_and_programs_do_not() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    let curl = [("user-agent", "curl/8.5.0")];
    let one = format!("{WIDGETS}/w");
    let table = [("user-agent", "curl/8.5.0"), ("accept", "application/json;as=Table;g=meta.k8s.io;v=v1")];
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    for (path, headers) in [
        (one.as_str(), &curl[..]),
        (WIDGETS, &curl),
        (WIDGETS, &table),
        ("/apis/wire.test", &curl),
        ("/api/v1", &curl),
        ("/apis", &[("user-agent", "curl/8.5.0"), ("accept", aggregated)]),
        (&format!("{one}?pretty=true"), &[]),
        (&one, &[("accept", "application/json;pretty=1")]),
    ] {
        let reply = server.send("GET", path, headers, "").await;
        let document = reply.expect(200);
        assert_eq!(reply.text, format!("{document:#}"), "{path}");
    }
    let refusal = server.send("GET", &format!("{WIDGETS}/none?pretty=1"), &[], "").await;
    assert_eq!(refusal.text, format!("{:#}", refusal.expect(404)));
    let stranger = server.send("GET", WIDGETS, &[("authorization", "Bearer wrong"), curl[0]], "").await;
    assert_eq!(stranger.text, format!("{:#}", stranger.expect(401)));
    for (path, headers, end) in [
        (format!("{one}?pretty=false"), &curl[..], "}\n"),
        (one.clone(), &[("user-agent", "kubectl/v1.37.0 (linux/amd64) kubernetes/x")], "}\n"),
        ("/openapi/v3/apis/wire.test/v1".into(), &curl, "}"),
    ] {
        let reply = server.send("GET", &path, headers, "").await;
        assert!(reply.text.ends_with(end) && !reply.text.trim_end().contains('\n'), "{path}: {}", reply.text);
    }
    let yaml = server.send("GET", &one, &[("accept", "application/yaml"), curl[0]], "").await;
    assert!(yaml.text.starts_with("apiVersion: wire.test/v1\n"), "{}", yaml.text);
    let mut lines = server.watch(&format!("{WIDGETS}?watch=true&pretty=true"), &curl).await;
    assert_eq!(lines.next_brief().await, ("ADDED".into(), "w".into()), "an event is one line");
    for path in ["/version", "/"] {
        let reply = server.get(path).await;
        assert!(reply.text.starts_with("{\n  \""), "always, as upstream: {}", reply.text);
    }
}

#[tokio::test]
async fn what_is_doubtful_is_told_beside_a_refusal_too() {
    let server = Server::with_widgets().await;
    let said = |reply: &crate::harness::Reply| -> Vec<String> {
        reply.headers.get_all("warning").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    let unknown = "299 - \"unknown field \\\"spec.bogus\\\"\"";
    let refused = server.post(WIDGETS, widget("w", json!({"color": "pink", "bogus": 1}))).await;
    assert_eq!(refused.refusal(422).0, "Invalid");
    assert_eq!(said(&refused), [unknown]);

    let mut held = widget("w", json!({"color": "red"}));
    held["metadata"]["finalizers"] = json!(["mine.example.com", "orphan", "example.com/good", "hold"]);
    let made = server.post(WIDGETS, held).await;
    made.expect(201);
    let doubt = |name: &str, path: &str| {
        format!(
            "299 - \"metadata.finalizers: \\\"{name}\\\": prefer a domain-qualified finalizer name{path} to avoid accidental \
             conflicts with other finalizer writers\""
        )
    };
    assert_eq!(said(&made), [doubt("hold", ""), doubt("mine.example.com", " including a path (/)")]);
    let more = json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "more"}]);
    let more = server.json_patch(&format!("{WIDGETS}/w"), more).await;
    more.expect(200);
    assert_eq!(said(&more), [doubt("more", "")], "the others are known");

    let again = server.post(WIDGETS, widget("w", json!({"color": "red", "bogus": 1}))).await;
    assert_eq!(again.refusal(409).0, "AlreadyExists");
    assert_eq!(said(&again), [unknown]);

    let mut account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "s"}});
    account["metadata"]["annotations"] = json!({"kubernetes.io/enforce-mountable-secrets": "true"});
    let made = server.post("/api/v1/namespaces/a/serviceaccounts", account).await;
    made.expect(201);
    assert!(said(&made)[0].contains("deprecated in v1.32+"), "{:?}", said(&made));
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "s"},
        "stringData": {"tls.crt": "x", "tls.key": "y"},
    });
    let made = server.post("/api/v1/namespaces/a/secrets", secret).await;
    made.expect(201);
    assert_eq!(said(&made), ["299 - \"tls: failed to find any PEM data in certificate input\""]);
}

#[tokio::test]
async fn finalizers_of_kubernetes_own_kinds_have_a_domain() {
    let server = Server::with_widgets().await;
    let maps = "/api/v1/namespaces/a/configmaps";
    let mut held = config_map("m", [].into());
    held["metadata"]["finalizers"] = json!(["example.com/good", "hold", "orphan"]);
    let (reason, message) = server.post(maps, held.clone()).await.refusal(422);
    assert_eq!(reason, "Invalid");
    assert_eq!(
        message,
        "ConfigMap \"m\" is invalid: metadata.finalizers[1]: Invalid value: \"hold\": name is neither a standard \
         finalizer name nor is it fully qualified"
    );
    held["metadata"]["finalizers"] = json!(["example.com/good", "orphan"]);
    server.post(maps, held).await.expect(201);
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "finalizers": ["hold"]},
    });
    server.post("/apis/coordination.k8s.io/v1/namespaces/a/leases", lease).await.expect(201);
}
