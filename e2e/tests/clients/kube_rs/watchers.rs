//! Watchers, reflectors and discovery of kube-rs: by streaming lists and by pages, whole objects and metadata only.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::Cloud;
use futures::{Stream, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::discovery::{Discovery, Scope, verbs};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::{client_of, install_lamps};

#[tokio::test(flavor = "multi_thread")]
async fn watchers_of_every_kind_tell_the_same() {
    let cloud = tokio::task::spawn_blocking(|| Cloud::builder().fake().start()).await.expect("a cloud");
    let client = client_of(&cloud).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    for number in 0..5 {
        maps.create(&PostParams::default(), &map(&format!("c{number}"))).await.expect("a map");
    }
    let metadata: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(client.clone());
    let there: BTreeSet<String> = (0..5).map(|number| format!("c{number}")).collect();
    let streaming = watcher::Config::default().streaming_lists();
    let pages = watcher::Config::default().page_size(2);
    let selected = watcher::Config::default().fields("metadata.name!=none").labels("!none");
    tokio::join!(
        tells(&client, &there, watcher(maps.clone(), streaming.clone()), "a"),
        tells(&client, &there, watcher(maps.clone(), pages.clone()), "b"),
        tells(&client, &there, watcher(maps.clone(), selected), "c"),
        tells(&client, &there, watcher(metadata.clone(), streaming), "d"),
        tells(&client, &there, watcher(metadata.clone(), pages), "e"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_finds_what_can_be_listed_and_watched() {
    let cloud = tokio::task::spawn_blocking(|| Cloud::builder().fake().start()).await.expect("a cloud");
    let client = client_of(&cloud).await;
    install_lamps(&client).await;
    assert!(client.apiserver_version().await.expect("a version").git_version.starts_with("v1."));
    let all = Discovery::new(client.clone()).run().await.expect("discovery, group by group");
    let aggregated = Discovery::new(client.clone()).run_aggregated().await.expect("discovery at once");
    let kinds = |discovery: &Discovery| -> BTreeSet<String> {
        let all = discovery.groups().flat_map(|group| group.recommended_resources());
        all.map(|(resource, _)| format!("{}/{}", resource.api_version, resource.plural)).collect()
    };
    assert_eq!(kinds(&all), kinds(&aggregated));
    assert!(kinds(&all).contains("kube.example.com/v1/lamps"), "{:?}", kinds(&all));

    // Everything that says so can be listed, and its metadata too.
    for (resource, capabilities) in all.groups().flat_map(|group| group.recommended_resources()) {
        if !capabilities.supports_operation(verbs::LIST) {
            continue;
        }
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let listed = api.list(&ListParams::default().limit(1)).await.expect("a list");
        assert!(listed.metadata.resource_version.is_some(), "{resource:?}");
        api.list_metadata(&ListParams::default()).await.expect("a list of metadata");
        assert_eq!(capabilities.scope == Scope::Cluster, !namespaced(&client, &resource).await, "{resource:?}");
    }
}

/// Whether a namespace has such things.
async fn namespaced(client: &Client, resource: &ApiResource) -> bool {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", resource);
    match api.list(&ListParams::default()).await {
        Ok(_) => true,
        Err(kube::Error::Api(status)) => status.code != 404,
        Err(error) => panic!("{resource:?}: {error}"),
    }
}

/// The watcher tells what is there, then what comes, changes and goes.
async fn tells<K: ResourceExt>(
    client: &Client,
    there: &BTreeSet<String>,
    stream: impl Stream<Item = watcher::Result<Event<K>>>,
    own: &str,
) {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let mut stream = std::pin::pin!(stream);
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_secs(20), stream.try_next()).await;
        next.expect("the watcher tells in time").expect("the watcher has no error").expect("the watcher goes on")
    };
    let mut listed = BTreeSet::new();
    assert!(matches!(next().await, Event::Init));
    while let Event::InitApply(object) = next().await {
        listed.insert(object.name_any());
    }
    // The other watchers' own things may be among them.
    assert!(there.is_subset(&listed), "{own}: {listed:?}");
    let mut awaits = async |wanted: &str| {
        loop {
            let told = match next().await {
                Event::Apply(object) => format!("apply {}", object.name_any()),
                Event::Delete(object) => format!("delete {}", object.name_any()),
                Event::Init | Event::InitApply(_) | Event::InitDone => panic!("{own}: the watcher began anew"),
            };
            if told == wanted {
                break;
            }
        }
    };
    maps.create(&PostParams::default(), &map(own)).await.expect("a map");
    awaits(&format!("apply {own}")).await;
    let change = Patch::Merge(json!({"data": {"changed": "yes"}}));
    maps.patch(own, &PatchParams::default(), &change).await.expect("a change");
    awaits(&format!("apply {own}")).await;
    maps.delete(own, &DeleteParams::default()).await.expect("its end");
    awaits(&format!("delete {own}")).await;
}

fn map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() }, ..ConfigMap::default() }
}
