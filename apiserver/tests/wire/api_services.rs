//! What `kubectl get apiservices` shows: that everything is served from here.

use serde_json::{Value, json};

use crate::harness::Server;

const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_served_version_has_an_api_service_that_is_available_here() {
    let server = Server::with_widgets().await;
    let list = server.get(SERVICES).await.expect(200);
    assert_eq!(list["kind"], "APIServiceList");
    let names = names(&list);
    for name in ["v1.", "v1.rbac.authorization.k8s.io", "v1beta1.authentication.k8s.io", "v1.wire.test"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(!names.contains(&"v1.apiregistration.k8s.io"), "{names:?}");

    let core = server.get(&format!("{SERVICES}/v1.")).await.expect(200);
    assert_eq!(core["spec"], json!({"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}));
    assert_eq!(core["metadata"]["labels"], json!({"kube-aggregator.kubernetes.io/automanaged": "onstart"}));
    let mut widgets = server.get(&format!("{SERVICES}/v1.wire.test")).await.expect(200);
    let spec = json!({"group": "wire.test", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100});
    assert_eq!(widgets["spec"], spec);
    assert_eq!(widgets["metadata"]["labels"], json!({"kube-aggregator.kubernetes.io/automanaged": "true"}));
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.wire.test";
    let since = server.get(definition).await.expect(200)["metadata"]["creationTimestamp"].clone();
    let condition = widgets["status"]["conditions"][0].take();
    let message = "Local APIServices are always available";
    let available = json!({
        "type": "Available", "status": "True", "reason": "Local", "message": message, "lastTransitionTime": since,
    });
    assert_eq!(condition, available);
    for field in ["uid", "resourceVersion"] {
        assert_ne!(widgets["metadata"][field].as_str().unwrap_or_default(), "", "{field}");
    }
    assert_eq!(server.get(&format!("{SERVICES}/v9.none")).await.refusal(404).0, "NotFound");

    // It goes with the last definition of its group.
    server.delete(definition, json!({})).await.expect(200);
    server.until_gone(&format!("{SERVICES}/v1.wire.test")).await;
}

#[tokio::test]
async fn they_are_selected_paged_and_printed_like_everything_else() {
    let server = Server::with_widgets().await;
    let selected =
        server.get(&format!("{SERVICES}?labelSelector=kube-aggregator.kubernetes.io/automanaged=true")).await;
    assert_eq!(names(&selected.expect(200)), ["v1.wire.test"]);
    let one = server.get(&format!("{SERVICES}?fieldSelector=metadata.name=v1.")).await.expect(200);
    assert_eq!(names(&one), ["v1."]);

    let all = server.get(SERVICES).await.expect(200);
    let mut paged = Vec::new();
    let mut url = format!("{SERVICES}?limit=2");
    loop {
        let page = server.get(&url).await.expect(200);
        paged.extend(names(&page).into_iter().map(str::to_owned));
        match page["metadata"]["continue"].as_str() {
            Some(token) => url = format!("{SERVICES}?limit=2&continue={token}"),
            None => break,
        }
    }
    assert_eq!(paged, names(&all));

    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = server.send("GET", &format!("{SERVICES}/v1.wire.test"), &table, "").await.expect(200);
    let columns: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["Name", "Service", "Available", "Age"]);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..3], [json!("v1.wire.test"), json!("Local"), json!("True")]);
}

#[tokio::test]
async fn nothing_but_reading_is_offered() {
    let server = Server::start().await;
    let list = server.get("/apis/apiregistration.k8s.io/v1").await.expect(200);
    assert_eq!(list["resources"][0]["verbs"], json!(["get", "list"]));
    let message = "watch is not supported on resources of kind \"apiservices.apiregistration.k8s.io\"";
    let refusal = server.get(&format!("{SERVICES}?watch=true")).await.refusal(405);
    assert_eq!(refusal, ("MethodNotAllowed".into(), message.into()));
    let service =
        json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.x"}});
    assert_eq!(server.post(SERVICES, service).await.refusal(405).0, "MethodNotAllowed");
    assert_eq!(server.delete(&format!("{SERVICES}/v1."), json!({})).await.refusal(405).0, "MethodNotAllowed");
}
