//! What nobody may ask for: too much at once, too large, too deep, too long. Every refusal says so.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use crate::harness::{Server, TOKEN, WIDGETS, config_map, request, widget};

const NAMESPACES: &str = "/api/v1/namespaces";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const BOB: [(&str, &str); 1] = [("authorization", "Bearer the-token-of-bob")];
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const YAML: [(&str, &str); 1] = [("content-type", "application/yaml")];

#[tokio::test]
async fn one_user_leaves_room_for_others_and_nobody_keeps_out_what_runs_inside() {
    let server = Server::with(|config| {
        config.limits.reads = 4;
        config.limits.streams = 4;
        config.limits.streams_per_user = 2;
    })
    .await;
    // An answer that is not taken holds its place.
    let held =
        [server.raw(request("GET", NAMESPACES, &[], "")).await, server.raw(request("GET", NAMESPACES, &[], "")).await];
    let refused = server.get(NAMESPACES).await;
    assert_eq!(refused.header("retry-after"), "1");
    let (reason, message) = refused.refusal(429);
    assert_eq!(reason, "TooManyRequests");
    assert_eq!(message, "too many requests, please try again later: user \"admin\" has 2 requests open already.");
    assert_eq!(server.send("GET", NAMESPACES, &BOB, "").await.code, 403, "others are heard");
    assert_eq!(server.get("/livez").await.code, 200);
    server.post(MAPS, config_map("m", [].into())).await.expect(201);
    let inside = server.server.service_as(apiserver::Identity::master("system:controller"));
    let answer = inside.clone().oneshot(request("GET", NAMESPACES, &[], "")).await.unwrap();
    assert_eq!(answer.status(), 200);
    drop(held);
    server.get(NAMESPACES).await.expect(200);

    let path = format!("{NAMESPACES}?watch=true");
    let watches = [server.watch(&path, &[]).await, server.watch(&path, &[]).await];
    let (_, message) = server.get(&path).await.refusal(429);
    assert_eq!(
        message,
        "too many requests, please try again later: user \"admin\" has 2 watches and sessions open already."
    );
    for _ in 0..8 {
        let answer = inside.clone().oneshot(request("GET", &path, &[], "")).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    drop(watches);
    drop(server.watch(&path, &[]).await);
}

#[tokio::test]
async fn large_bodies_take_more_places_than_small_ones() {
    let server = Server::with(|config| config.limits.writes = 20).await;
    let large = config_map("m", [("k", "x".repeat(1 << 20).as_str())].into()).to_string();
    // Its body is read while the answer is made; so two at once are more than half of all places.
    let path = format!("{MAPS}?dryRun=All");
    let first = server.raw(request("POST", &path, &JSON, large.clone())).await;
    assert_eq!(first.status(), 201);
    let second = server.send("POST", &path, &JSON, large).await;
    assert_eq!(second.refusal(429).0, "TooManyRequests");
    server.post(&path, config_map("n", [].into())).await.expect(201);
    drop(first);
}

#[tokio::test]
async fn bodies_beyond_the_limits_are_refused_in_upstreams_words() {
    let server = Server::with_widgets().await;
    let (reason, message) = server.send("POST", MAPS, &JSON, vec![b' '; (3 << 20) + 1]).await.refusal(413);
    assert_eq!(
        (reason.as_str(), message.as_str()),
        ("RequestEntityTooLarge", "Request entity too large: limit is 3145728")
    );

    // Within the body's limit, and beyond an object's.
    let big = widget("w", json!({"color": "red", "note": "x".repeat(2 << 20)}));
    let (reason, message) = server.post(WIDGETS, big).await.refusal(413);
    assert_eq!(reason, "RequestEntityTooLarge");
    assert!(
        message.starts_with("widgets \"w\" has 20") && message.ends_with("an object may have 1572864"),
        "{message}"
    );

    server.post(MAPS, config_map("m", [("a", "b")].into())).await.expect(201);
    let operations = vec![json!({"op": "add", "path": "/data/k", "value": "v"}); 10_001];
    let (reason, message) = server.json_patch(&format!("{MAPS}/m"), json!(operations)).await.refusal(413);
    assert_eq!(reason, "RequestEntityTooLarge");
    assert_eq!(
        message,
        "Request entity is too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
    server.json_patch(&format!("{MAPS}/m"), json!(operations[..10_000])).await.expect(200);
}

#[tokio::test]
async fn bodies_that_would_blow_up_are_refused() {
    let server = Server::with_widgets().await;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1_000), "]".repeat(1_000));
    let many = format!("{{\"a\":[{}{{}}]}}", "{\"a\":0},".repeat(300_000));
    for body in [deep, many] {
        let (reason, message) = server.send("POST", WIDGETS, &JSON, body).await.refusal(400);
        assert_eq!(reason, "BadRequest");
        assert!(message.contains("exceeded max depth") || message.contains("too many values"), "{message}");
    }
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (outer, inner) in ('b'..='i').zip('a'..='h') {
        bomb +=
            &format!("{outer}: &{outer} [*{inner},*{inner},*{inner},*{inner},*{inner},*{inner},*{inner},*{inner}]\n");
    }
    let (reason, message) = server.send("POST", WIDGETS, &YAML, bomb).await.refusal(400);
    assert_eq!(reason, "BadRequest");
    assert!(message.contains("error converting YAML to JSON"), "{message}");

    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&vec![b' '; 4 << 20]).unwrap();
    let headers = [JSON[0], ("content-encoding", "gzip")];
    let (reason, message) = server.send("POST", WIDGETS, &headers, packed.finish().unwrap()).await.refusal(400);
    assert_eq!(reason, "BadRequest");
    assert!(
        message.contains("json parse error: invalid character '\\u{1f}' looking for beginning of value"),
        "{message}"
    );
}

#[tokio::test]
async fn what_is_wrong_many_times_is_told_a_bounded_number_of_times() {
    let server = Server::with_widgets().await;
    let mut unknown = widget("w", json!({"color": "red"}));
    for number in 0..50_000 {
        unknown["spec"][format!("unknown{number:05}")] = 1.into();
    }
    let path = format!("{WIDGETS}?dryRun=All&fieldValidation=");
    let warned = server.post(&format!("{path}Warn"), unknown.clone()).await;
    warned.expect(201);
    let warnings: Vec<usize> = warned.headers.get_all("warning").iter().map(http::HeaderValue::len).collect();
    assert!(warnings.len() > 50 && warnings.iter().sum::<usize>() < 8 << 10, "{} warnings", warnings.len());
    let (_, message) = server.post(&format!("{path}Strict"), unknown).await.refusal(400);
    assert!(message.contains("unknown field \"spec.unknown00000\", unknown field") && message.len() < 16 << 10);

    // A path that is long itself.
    let key = "k".repeat(1 << 20);
    let twice = format!("{{\"{key}\":{{{}\"z\":1}}}}", "\"a\":1,\"b\":1,".repeat(20_000));
    let reply = server.send("POST", &format!("{path}Strict"), &JSON, twice).await;
    assert!(reply.code >= 400 && reply.text.len() < 4 << 20, "{} bytes", reply.text.len());

    let mut labelled = widget("w", json!({"color": "red"}));
    for number in 0..50_000 {
        labelled["metadata"]["labels"][format!("-{number}")] = "x".into();
    }
    let reply = server.post(&path, labelled).await;
    assert_eq!(reply.refusal(422).0, "Invalid");
    assert!(reply.text.len() < 4 << 20, "{} bytes", reply.text.len());
}

#[tokio::test]
async fn body_without_a_length_is_read_up_to_the_limit() {
    let server = Server::with_widgets().await;
    let chunks = futures::stream::repeat_with(|| {
        Ok::<_, std::io::Error>(hyper::body::Frame::data(Bytes::from(vec![b' '; 1 << 20])))
    });
    let body = http_body_util::StreamBody::new(futures::StreamExt::take(chunks, 5));
    let request = http::Request::post(MAPS).header("authorization", format!("Bearer {TOKEN}")).body(body).unwrap();
    let answer = server.server.service().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 413);
    answer.into_body().collect().await.unwrap();
}

#[tokio::test]
async fn a_request_takes_no_longer_than_its_client_waits() {
    let server = Server::with_widgets().await;
    let never = futures::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
    let unfinished = http::Request::builder()
        .method("POST")
        .uri(format!("{WIDGETS}?timeout=50ms"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(http_body_util::StreamBody::new(never))
        .unwrap();
    let answer = server.server.service().oneshot(unfinished).await.unwrap();
    assert_eq!(answer.status(), 504);
    assert!(!answer.headers().contains_key("retry-after"), "whoever set the time decides about another try");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("Timeout")));
    assert_eq!(status["message"], "Timeout: request did not complete within the allotted timeout");

    for path in [WIDGETS, "/apis", "/version", "/openapi/v3"] {
        let (reason, message) = server.get(&format!("{path}?timeout=soon")).await.refusal(400);
        assert_eq!(reason, "BadRequest", "{path}");
        assert_eq!(message, "invalid timeout specified in the request URL - time: invalid duration \"soon\"");
    }
    // What is no bound: the server's own holds.
    for text in ["0s", "-5s", "2540400h"] {
        server.get(&format!("{WIDGETS}?timeout={text}")).await.expect(200);
    }
    let mut lines = server.watch(&format!("{WIDGETS}?watch=true&timeout=soon"), &[]).await;
    lines.expect_silence().await;
}

#[tokio::test]
async fn user_who_asks_too_often_is_told_when_to_come_back_and_keeps_nobody_out() {
    let server = Server::with(|config| {
        config.limits.user_requests_per_second = 1;
        config.limits.user_request_burst = 3;
    })
    .await;
    let bob = [("authorization", "Bearer the-token-of-bob")];
    for _ in 0..3 {
        server.send("GET", "/api", &bob, "").await.expect(200);
    }
    let refused = server.send("GET", "/api", &bob, "").await;
    let (reason, message) = refused.refusal(429);
    assert_eq!((reason.as_str(), refused.header("retry-after")), ("TooManyRequests", "1"));
    assert!(message.contains("user \"bob\" asks too often"), "{message}");
    for _ in 0..10 {
        server.get("/api").await.expect(200);
    }
}
