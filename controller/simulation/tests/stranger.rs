//! No door leads from one tenant to another: every verb of every kind and subresource that discovery tells of is tried by
//! strangers, who find 403 or 404, learn no name, and can't tell what is there from what isn't.

use std::collections::BTreeSet;

use apiserver::Identity;
use controller_simulation::Cloud;
use http::{Method, Request};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// The other tenant's namespace.
const OTHERS: &str = "victim";
/// What is in every name of the other tenant's.
const HIDDEN: &str = "hidden";
/// One that is there, and one as long that isn't.
const NAMES: [&str; 2] = ["hidden-web", "absent-web"];

/// What everybody known may do, by design: kinds of the whole installation that are meant to be read, and questions about
/// oneself.
const OPEN: [(&str, &[&str]); 5] = [
    ("instancetypes", &["get", "list", "watch"]),
    ("clusterimages", &["get", "list", "watch"]),
    ("selfsubjectaccessreviews", &["create"]),
    ("selfsubjectrulesreviews", &["create"]),
    ("selfsubjectreviews", &["create"]),
];

/// Whom a request is from, and how it went.
struct Stranger {
    client: Client,
}

struct Reply {
    code: u16,
    text: String,
}

impl Stranger {
    async fn ask(&self, method: &Method, path: &str, form: &str) -> Reply {
        let request = Request::builder().method(method).uri(path).header("content-type", form);
        let body = if method == Method::GET { Vec::new() } else { b"{}".to_vec() };
        let answer = self.client.send(request.body(Body::from(body)).unwrap()).await.unwrap();
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect_bytes().await.unwrap();
        Reply { code, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    async fn json(&self, path: &str) -> Value {
        let reply = self.ask(&Method::GET, path, "application/json").await;
        assert_eq!(reply.code, 200, "{path}: {}", reply.text);
        serde_json::from_str(&reply.text).unwrap()
    }

    /// Everything that discovery tells of: the path of its version, and the resource.
    async fn resources(&self) -> Vec<(String, Value)> {
        let mut versions = vec!["/api/v1".to_owned()];
        for group in self.json("/apis").await["groups"].as_array().unwrap() {
            let of_group = group["versions"].as_array().unwrap();
            versions.extend(of_group.iter().map(|one| format!("/apis/{}", one["groupVersion"].as_str().unwrap())));
        }
        let mut resources = Vec::new();
        for version in versions {
            let found = self.json(&version).await;
            resources.extend(found["resources"].as_array().unwrap().iter().map(|one| (version.clone(), one.clone())));
        }
        resources
    }
}

/// The methods and paths by which something is done to a resource.
fn doors(version: &str, resource: &Value, name: &str) -> Vec<(Method, String, &'static str, &'static str)> {
    let full = resource["name"].as_str().unwrap();
    let (plural, subresource) = full.split_once('/').unwrap_or((full, ""));
    let place = match (resource["namespaced"].as_bool().unwrap(), plural) {
        (true, _) => format!("{version}/namespaces/{OTHERS}/{plural}"),
        (false, _) => format!("{version}/{plural}"),
    };
    let name = if plural == "namespaces" { OTHERS } else { name };
    let json = "application/json";
    let one = if subresource.is_empty() { format!("{place}/{name}") } else { format!("{place}/{name}/{subresource}") };
    let mut doors = vec![
        (Method::GET, one.clone(), "get", json),
        (Method::PUT, one.clone(), "update", json),
        (Method::PATCH, one.clone(), "patch", "application/merge-patch+json"),
        (Method::PATCH, one.clone(), "patch", "application/json-patch+json"),
        (Method::PATCH, format!("{one}?fieldManager=f&force=true"), "patch", "application/apply-patch+yaml"),
        (Method::DELETE, one.clone(), "delete", json),
    ];
    if subresource.is_empty() {
        doors.extend([
            (Method::GET, place.clone(), "list", json),
            (Method::GET, format!("{place}?watch=1&timeoutSeconds=1"), "watch", json),
            (Method::GET, format!("{place}?fieldSelector=metadata.name%3D{name}"), "list", json),
            (Method::POST, place.clone(), "create", json),
            (Method::POST, format!("{place}?dryRun=All"), "create", json),
            (Method::DELETE, place.clone(), "deletecollection", json),
            (Method::GET, format!("{version}/{plural}"), "list", json),
            (Method::GET, format!("{version}/watch/{plural}"), "watch", json),
        ]);
    } else {
        doors.push((Method::POST, one, "create", json));
    }
    doors
}

fn is_open(resource: &Value, verb: &str) -> bool {
    OPEN.iter().any(|(plural, verbs)| resource["name"] == *plural && verbs.contains(&verb))
}

/// What the other tenant has, so that there is something to find.
async fn furnish(cloud: &Cloud) {
    let post = async |path: &str, object: Value| {
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(Body::from(object.to_string().into_bytes())).unwrap();
        let answer = cloud.client.send(request).await.unwrap();
        let code = answer.status();
        let text = answer.into_body().collect_bytes().await.unwrap();
        assert!(code.is_success(), "{path}: {}", String::from_utf8_lossy(&text));
    };
    for name in [OTHERS, "mine"] {
        post("/api/v1/namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await;
    }
    let name = NAMES[0];
    for (kind, plural) in [("Secret", "secrets"), ("ConfigMap", "configmaps"), ("ServiceAccount", "serviceaccounts")] {
        let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
        post(&format!("/api/v1/namespaces/{OTHERS}/{plural}"), object).await;
    }
    let ours = [
        ("Vpc", "vpcs", json!({})),
        ("Volume", "volumes", json!({"size": "1Gi"})),
        ("Instance", "instances", json!({"image": "web:1", "vpc": name})),
    ];
    for (kind, plural, spec) in ours {
        let object =
            json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        post(&format!("/apis/thecloud.dev/v1alpha1/namespaces/{OTHERS}/{plural}"), object).await;
    }
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "admins"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cloud-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "neighbour"}],
    });
    post("/apis/rbac.authorization.k8s.io/v1/namespaces/mine/rolebindings", binding).await;
}

#[tokio::test(start_paused = true)]
async fn strangers_find_no_door_and_learn_no_name() {
    let mut cloud = Cloud::new().await;
    furnish(&cloud).await;
    cloud.start();
    cloud.until_gathered("cloud-admin").await;
    let neighbour = Stranger { client: cloud.client_of(Identity::new("neighbour", [])) };
    let nobody = Stranger { client: cloud.client_of(Identity::new("nobody", [])) };
    let own = neighbour.ask(&Method::GET, "/api/v1/namespaces/mine/secrets", "application/json").await;
    assert_eq!(own.code, 200, "the neighbour is at home in its own namespace: {}", own.text);

    let mut tried = BTreeSet::new();
    for stranger in [&neighbour, &nobody] {
        for (version, resource) in stranger.resources().await {
            let doors = NAMES.map(|name| doors(&version, &resource, name));
            let [there, absent] = doors;
            for ((method, path, verb, form), (_, other, ..)) in there.into_iter().zip(absent) {
                if is_open(&resource, verb) {
                    continue;
                }
                let reply = stranger.ask(&method, &path, form).await;
                assert!(matches!(reply.code, 403 | 404), "{method} {path} is {}: {}", reply.code, reply.text);
                let beside = stranger.ask(&method, &other, form).await;
                let blank = |text: &str| NAMES.iter().fold(text.to_owned(), |text, name| text.replace(name, "NAME"));
                assert_eq!((reply.code, blank(&reply.text)), (beside.code, blank(&beside.text)), "{method} {path}");
                assert!(!beside.text.contains(HIDDEN), "{method} {other}: {}", beside.text);
                tried.insert((version.clone(), resource["name"].to_string(), verb));
            }
        }
    }
    for (plural, verb) in [("instances/exec", "create"), ("secrets", "watch"), ("volumesnapshots", "deletecollection")]
    {
        assert!(
            tried.iter().any(|(_, name, tried)| *name == format!("{plural:?}") && *tried == verb),
            "{plural} {verb}"
        );
    }
}
