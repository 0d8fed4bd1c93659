//! An unchanged kube client inside the process.

use std::collections::BTreeMap;

use apiserver::Identity;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::json;

use crate::harness::Server;

fn map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([("k".to_owned(), "v".to_owned())])),
        ..ConfigMap::default()
    }
}

fn client(server: &Server) -> Client {
    Client::new(server.server.service_as(Identity::master("system:controller")), "default")
}

#[tokio::test]
async fn kube_client_does_everything_without_a_socket() {
    let server = Server::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&server));
    let made = maps.create(&PostParams::default(), &map("c")).await.unwrap();
    assert_eq!(maps.get("c").await.unwrap(), made);
    assert!(maps.get_opt("none").await.unwrap().is_none());
    assert_eq!(maps.list(&ListParams::default()).await.unwrap().items.len(), 1);

    let parameters = WatchParams::default();
    let mut events = maps.watch(&parameters, "0").await.unwrap().boxed();
    assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Added(_))));
    assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Bookmark(_))), "that was all there is");
    let patch = json!({"data": {"k": "w"}});
    let patched = maps.patch("c", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    assert_eq!(patched.data.unwrap()["k"], "w");
    assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Modified(_))));
    maps.delete("c", &DeleteParams::default()).await.unwrap();
    assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Deleted(_))));
}

#[tokio::test]
async fn both_ways_of_a_kube_watcher_work() {
    let server = Server::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&server));
    maps.create(&PostParams::default(), &map("first")).await.unwrap();
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut seen = watcher(maps.clone(), config).default_backoff().applied_objects().boxed();
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), seen.try_next());
        assert_eq!(next.await.unwrap().unwrap().unwrap().metadata.name.as_deref(), Some("first"));
        let name = format!("later-{}", uuid::Uuid::new_v4());
        maps.create(&PostParams::default(), &map(&name)).await.unwrap();
        let next = seen.try_next().await.unwrap().unwrap();
        assert_eq!(next.metadata.name.as_deref(), Some(name.as_str()));
        maps.delete(&name, &DeleteParams::default()).await.unwrap();
    }
}
