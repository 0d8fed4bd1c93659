//! Numbers from samples, and the clients that both benchmarks need.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use e2e::Cloud;
use futures::StreamExt as _;
use kube::api::{Api, DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How often it is looked whether everything is gone.
const LOOK: Duration = Duration::from_millis(20);

/// The median of some durations, in milliseconds.
pub(crate) fn median(samples: &[Duration]) -> f64 {
    middle(samples.iter().map(|sample| sample.as_secs_f64() * 1000.0).collect())
}

/// The median of some numbers.
pub(crate) fn middle(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A client of this cloud, over TLS as anybody's.
pub(crate) async fn client(cloud: &Cloud) -> anyhow::Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(cloud.kubeconfig())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// A kind that can be created and watched.
pub(crate) trait Watched: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned> Watched for K {}

/// Creates objects, all at once, and waits until each is Ready.
pub(crate) async fn create_and_await<K: Watched>(
    api: &Api<K>,
    is_ready: fn(&K) -> bool,
    objects: &[K],
) -> anyhow::Result<()> {
    let post = PostParams::default();
    let names = objects.iter().map(ResourceExt::name_any).collect();
    let create = async { futures::future::try_join_all(objects.iter().map(|object| api.create(&post, object))).await };
    do_and_await(api, names, is_ready, create).await
}

/// Does something, and waits until each of these objects was seen Ready after it began.
pub(crate) async fn do_and_await<K: Watched, T>(
    api: &Api<K>,
    mut names: BTreeSet<String>,
    is_ready: impl Fn(&K) -> bool,
    action: impl Future<Output = kube::Result<T>>,
) -> anyhow::Result<()> {
    let parameters = WatchParams::default().timeout(290);
    let start = api.list_metadata(&ListParams::default().limit(1)).await?;
    let revision = start.metadata.resource_version.unwrap_or_default();
    let mut events = api.watch(&parameters, &revision).await?.boxed();
    let ready = async {
        while !names.is_empty() {
            let event = events.next().await.context("the watch ended before every object was Ready")??;
            if let WatchEvent::Modified(object) | WatchEvent::Added(object) = event
                && is_ready(&object)
            {
                names.remove(&object.name_any());
            }
        }
        anyhow::Ok(())
    };
    let (done, ready) = tokio::join!(action, ready);
    done?;
    ready
}

/// Deletes all objects and waits until none is left.
pub(crate) async fn delete_all<K: Watched>(api: &Api<K>) -> anyhow::Result<()> {
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    let limit = Instant::now() + Duration::from_secs(600);
    while !api.list_metadata(&ListParams::default()).await?.items.is_empty() {
        anyhow::ensure!(Instant::now() < limit, "objects are still there ten minutes after their deletion");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
