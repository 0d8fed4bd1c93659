//! What the server says about itself.

use serde_json::json;

use crate::harness::Server;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[tokio::test]
async fn version_is_kubernetes_and_ours() {
    let server = Server::start().await;
    for path in ["/version", "/version/", "/version?timeout=32s"] {
        let version = server.get(path).await.expect(200);
        assert!(version["gitVersion"].as_str().unwrap().starts_with("v1.36.0+thecloud."), "{version}");
    }
}

#[tokio::test]
async fn both_languages_of_discovery_tell_the_same_kinds() {
    let server = Server::with_widgets().await;
    let groups = server.get("/apis/").await.expect(200);
    assert_eq!(groups["kind"], "APIGroupList");
    assert!(groups["groups"].to_string().contains("\"wire.test\""));
    assert_eq!(server.get("/api").await.expect(200)["versions"], json!(["v1"]));
    let list = server.get("/apis/wire.test/v1").await.expect(200);
    let names: Vec<&str> =
        list["resources"].as_array().unwrap().iter().map(|resource| resource["name"].as_str().unwrap()).collect();
    for name in ["widgets", "widgets/status", "widgets/scale"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(server.get("/apis/wire.test").await.expect(200)["preferredVersion"]["version"], "v1");

    for path in ["/api", "/apis"] {
        let reply = server.send("GET", path, &[("accept", AGGREGATED)], "").await;
        assert_eq!(reply.header("content-type"), AGGREGATED, "{path}");
        assert_eq!(reply.header("vary"), "Accept");
        assert_eq!(reply.expect(200)["kind"], "APIGroupDiscoveryList");
        let known = [("accept", AGGREGATED), ("if-none-match", reply.header("etag"))];
        let again = server.send("GET", path, &known, "").await;
        assert_eq!((again.code, again.text.as_str()), (304, ""));
    }
}

#[tokio::test]
async fn openapi_is_found_by_its_hash_and_revalidated() {
    let server = Server::with_widgets().await;
    let index = server.get("/openapi/v3").await;
    let date = index.header("last-modified").to_owned();
    let url = index.expect(200)["paths"]["apis/wire.test/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let document = server.get(&url).await;
    assert_eq!(document.header("cache-control"), "public, immutable");
    assert!(document.expect(200)["components"]["schemas"].to_string().contains("\"Widget\""));
    let (path, _) = url.split_once('?').unwrap();
    assert_eq!(server.get(path).await.code, 200);
    let moved = server.get(&format!("{path}?hash=0000")).await;
    assert_eq!((moved.code, moved.header("location")), (301, url.as_str()));
    assert_eq!(server.send("GET", "/openapi/v3", &[("if-modified-since", &date)], "").await.code, 304);
    assert_eq!(server.get("/openapi/v3/apis/none/v1").await.code, 404);

    let v2 = server.get("/openapi/v2").await;
    assert_eq!(v2.expect(200)["swagger"], "2.0");
    let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let answer = server.raw(crate::harness::request("GET", "/openapi/v2", &[("accept", protobuf)], "")).await;
    assert_eq!(answer.headers()["content-type"], "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
}

#[tokio::test]
async fn a_new_kind_is_a_new_edition_of_everything() {
    let server = Server::start().await;
    let before = server.get("/openapi/v3").await.header("last-modified").to_owned();
    server.add_widgets().await;
    let after = server.send("GET", "/openapi/v3", &[("if-modified-since", &before)], "").await;
    assert_eq!(after.code, 200);
    assert!(after.text.contains("apis/wire.test/v1"));
}

#[tokio::test]
async fn root_lists_the_paths() {
    let server = Server::start().await;
    let paths = server.get("/").await.expect(200)["paths"].clone();
    for path in ["/api/v1", "/apis/coordination.k8s.io/v1", "/readyz"] {
        assert!(paths.as_array().unwrap().contains(&json!(path)), "{paths}");
    }
    assert_eq!(server.post("/version", json!({})).await.code, 405);
}
