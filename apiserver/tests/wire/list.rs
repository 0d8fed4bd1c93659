//! Reading many objects, and one.

use std::collections::BTreeSet;

use apiserver_store::Revision;
use serde_json::{Value, json};

use crate::harness::{Server, WIDGETS, config_map, namespace, widget};

async fn with_three() -> Server {
    let server = Server::with_widgets().await;
    for (name, color, app) in [("w1", "red", "one"), ("w2", "green", "two"), ("w3", "blue", "two")] {
        let mut made = widget(name, json!({"color": color}));
        made["metadata"]["labels"] = json!({"app": app});
        server.post(WIDGETS, made).await.expect(201);
    }
    server
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

async fn names_at(server: &Server, query: &str) -> Vec<String> {
    names(&server.get(&format!("{WIDGETS}?{query}")).await.expect(200))
}

#[tokio::test]
async fn list_shows_objects_in_order_with_a_revision() {
    let server = with_three().await;
    let list = server.get(WIDGETS).await.expect(200);
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("WidgetList"), &json!("wire.test/v1")));
    assert_eq!(names(&list), ["w1", "w2", "w3"]);
    assert_eq!(list["metadata"]["resourceVersion"], server.storage.revision().to_string());
    assert_eq!(list["items"][0]["kind"], "Widget");
    let none = server.get("/apis/wire.test/v1/namespaces/b/widgets").await;
    assert!(none.text.contains("\"items\":[]"), "{}", none.text);
    assert_eq!(names(&server.get("/apis/wire.test/v1/widgets").await.expect(200)).len(), 3);
}

#[tokio::test]
async fn selectors_choose_by_label_and_field() {
    let server = with_three().await;
    assert_eq!(names_at(&server, "labelSelector=app%3Dtwo").await, ["w2", "w3"]);
    assert_eq!(names_at(&server, "labelSelector=app%20in%20(one,three)").await, ["w1"]);
    assert_eq!(names_at(&server, "fieldSelector=metadata.name%3Dw2").await, ["w2"]);
    assert_eq!(names_at(&server, "fieldSelector=spec.color%3Dblue&labelSelector=app%3Dtwo").await, ["w3"]);
    let (_, message) = server.get(&format!("{WIDGETS}?fieldSelector=spec.note%3Dx")).await.refusal(400);
    assert_eq!(message, "field label not supported: spec.note");
    server.get(&format!("{WIDGETS}?labelSelector=a%3D%3D%3Db")).await.refusal(400);
}

#[tokio::test]
async fn pages_show_one_state_whatever_happens_between() {
    let server = with_three().await;
    let first = server.get(&format!("{WIDGETS}?limit=2")).await.expect(200);
    assert_eq!(names(&first), ["w1", "w2"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    server.delete(&format!("{WIDGETS}/w3"), json!({})).await.expect(200);
    server.post(WIDGETS, widget("w4", json!({"color": "red"}))).await.expect(201);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = server.get(&format!("{WIDGETS}?limit=2&continue={token}")).await.expect(200);
    assert_eq!(names(&second), ["w3"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(second["metadata"]["continue"], "");
    server.get(&format!("{WIDGETS}?continue=zzz")).await.refusal(400);
    let other_word = server.get(&format!("{WIDGETS}?continue={token}&resourceVersion=5")).await;
    other_word.refusal(400);
}

#[tokio::test(start_paused = true)]
async fn page_of_a_forgotten_state_is_gone_with_a_token_to_go_on() {
    let server = with_three().await;
    let first = server.get(&format!("{WIDGETS}?limit=1")).await.expect(200);
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    server.post(WIDGETS, widget("w4", json!({"color": "red"}))).await.expect(201);
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    let gone = server.get(&format!("{WIDGETS}?limit=1&continue={token}")).await;
    assert_eq!(gone.refusal(410).0, "Expired");
    let fresh = gone.json()["metadata"]["continue"].as_str().unwrap().to_owned();
    assert_eq!(names_at(&server, &format!("continue={fresh}")).await, ["w2", "w3", "w4"]);
}

#[tokio::test]
async fn revisions_mean_what_upstream_says() {
    let server = with_three().await;
    let then = server.storage.revision();
    server.delete(&format!("{WIDGETS}/w1"), json!({})).await.expect(200);
    assert_eq!(names_at(&server, "").await, ["w2", "w3"]);
    assert_eq!(names_at(&server, "resourceVersion=0").await, ["w2", "w3"]);
    assert_eq!(names_at(&server, &format!("resourceVersion={then}")).await, ["w2", "w3"]);
    assert_eq!(names_at(&server, &format!("resourceVersion={then}&resourceVersionMatch=Exact")).await.len(), 3);
    assert_eq!(names_at(&server, &format!("resourceVersion={then}&limit=9")).await.len(), 3);
    server.get(&format!("{WIDGETS}?resourceVersionMatch=Exact")).await.refusal(422);
    server.get(&format!("{WIDGETS}?resourceVersion=abc")).await.refusal(400);
}

#[tokio::test(start_paused = true)]
async fn revision_of_the_future_is_waited_for_and_then_given_up() {
    let server = with_three().await;
    let next = Revision(server.storage.revision().0 + 1);
    let path = format!("{WIDGETS}?resourceVersion={next}&resourceVersionMatch=NotOlderThan");
    let (listed, _) = tokio::join!(server.get(&path), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        server.post(WIDGETS, widget("w4", json!({"color": "red"}))).await.expect(201)
    });
    assert_eq!(names(&listed.expect(200)).len(), 4);
    let never = server.get(&format!("{WIDGETS}?resourceVersion=99999999")).await;
    let (reason, message) = never.refusal(504);
    assert_eq!(reason, "Timeout");
    assert!(message.starts_with("Timeout: Too large resource version: 99999999, current: "), "{message}");
    assert_eq!(never.json()["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert_eq!(never.header("retry-after"), "1");
}

#[tokio::test]
async fn large_lists_are_whole_and_valid() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    let big = "x".repeat(20_000);
    for number in 0..20 {
        let made = config_map(&format!("c{number:02}"), [("k", big.as_str())].into());
        server.post("/api/v1/namespaces/a/configmaps", made).await.expect(201);
    }
    let list = server.get("/api/v1/configmaps").await.expect(200);
    assert_eq!(names(&list).into_iter().collect::<BTreeSet<_>>().len(), 20);
    assert!(list["metadata"].get("continue").is_none());
}

#[tokio::test]
async fn objects_are_shown_as_tables_metadata_and_yaml() {
    let server = with_three().await;
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    let shown = server.send("GET", WIDGETS, &table, "").await.expect(200);
    assert_eq!(shown["kind"], "Table");
    assert_eq!(shown["columnDefinitions"][1]["name"], "Color");
    assert_eq!(shown["rows"][1]["cells"], json!(["w2", "green"]));
    assert_eq!(shown["rows"][1]["object"]["kind"], "PartialObjectMetadata");
    let one = server.send("GET", &format!("{WIDGETS}/w2?includeObject=None"), &table, "").await.expect(200);
    assert_eq!((one["rows"].as_array().unwrap().len(), &one["rows"][0]["object"]), (1, &Value::Null));

    let partial = [("accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")];
    let shown = server.send("GET", WIDGETS, &partial, "").await.expect(200);
    assert_eq!(shown["kind"], "PartialObjectMetadataList");
    assert!(shown["items"][0].get("spec").is_none());

    let yaml = server.send("GET", &format!("{WIDGETS}/w1"), &[("accept", "application/yaml")], "").await;
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert!(yaml.text.contains("\nspec:\n  color: red\n"), "{}", yaml.text);
    let list = server.send("GET", WIDGETS, &[("accept", "application/yaml")], "").await;
    assert!(list.text.contains("kind: WidgetList"), "{}", list.text);
    let xml = server.send("GET", WIDGETS, &[("accept", "application/xml")], "").await;
    assert_eq!(xml.refusal(406).0, "NotAcceptable");
}

#[tokio::test]
async fn unknown_paths_are_plain_404s_and_unknown_names_are_statuses() {
    let server = with_three().await;
    for path in ["/apis/nope.test/v1", "/apis/wire.test/v1/namespaces/a/nopes", "/apis/wire.test/v2/widgets", "/nope"] {
        let reply = server.get(path).await;
        assert_eq!((reply.code, reply.text.as_str()), (404, "404 page not found\n"), "{path}");
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    }
    let (reason, message) = server.get(&format!("{WIDGETS}/none")).await.refusal(404);
    assert_eq!((reason.as_str(), message.as_str()), ("NotFound", "widgets.wire.test \"none\" not found"));
    for path in ["/api/v1/nopes", "/api/v1/namespaces/a/configmaps/c/none", "/api/v2", "/apis/coordination.k8s.io/v9"] {
        let (_, message) = server.get(path).await.refusal(404);
        assert_eq!(message, "the server could not find the requested resource", "{path}");
    }
    assert_eq!(server.put(WIDGETS, json!({})).await.refusal(400).1, "name must be provided");
    assert_eq!(server.put("/api/v1/namespaces/a/configmaps", json!({})).await.refusal(405).0, "MethodNotAllowed");
    let (_, message) = server.post(&format!("{WIDGETS}/w1/status"), json!({})).await.refusal(405);
    assert_eq!(message, "create is not supported on resources of kind \"widgets.wire.test\"");
}
