//! Numbers from samples, and the clients that both benchmarks need.

use std::time::Duration;

use anyhow::Context as _;
use crds::compute::instance::Instance;
use e2e::Cloud;
use futures::StreamExt as _;
use kube::api::{Api, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};

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

/// Creates Instances, all at once, and waits until each is Ready.
pub(crate) async fn create_and_await(api: &Api<Instance>, instances: &[Instance]) -> anyhow::Result<()> {
    let parameters = WatchParams::default().timeout(290);
    let start = api.list_metadata(&kube::api::ListParams::default().limit(1)).await?;
    let revision = start.metadata.resource_version.unwrap_or_default();
    let mut events = api.watch(&parameters, &revision).await?.boxed();
    let post = PostParams::default();
    let created = futures::future::try_join_all(instances.iter().map(|instance| api.create(&post, instance)));
    let mut waiting: std::collections::BTreeSet<String> =
        instances.iter().filter_map(|instance| instance.metadata.name.clone()).collect();
    let ready = async {
        while !waiting.is_empty() {
            let event = events.next().await.context("the watch ended before every Instance was Ready")??;
            if let WatchEvent::Modified(instance) | WatchEvent::Added(instance) = event {
                let status = instance.status.unwrap_or_default();
                if crds::status::is_true(&status.conditions, crds::status::READY) {
                    waiting.remove(instance.metadata.name.as_deref().unwrap_or_default());
                }
            }
        }
        anyhow::Ok(())
    };
    let (created, ready) = tokio::join!(created, ready);
    created?;
    ready
}

/// Deletes every Instance and waits until none is left.
pub(crate) async fn delete_all(api: &Api<Instance>) -> anyhow::Result<()> {
    api.delete_collection(&kube::api::DeleteParams::default(), &kube::api::ListParams::default()).await?;
    let limit = std::time::Instant::now() + Duration::from_secs(600);
    while !api.list_metadata(&kube::api::ListParams::default()).await?.items.is_empty() {
        anyhow::ensure!(
            std::time::Instant::now() < limit,
            "Instances are still there ten minutes after their deletion"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
