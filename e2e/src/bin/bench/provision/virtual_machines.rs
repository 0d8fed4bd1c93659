//! How long a virtual machine takes from apply until its domain runs, against `virsh create` of the same domain on the
//! same disk, and from its deletion until nothing of it is left, against `virsh destroy`.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use crds::compute::cluster_image::{ClusterImage, ClusterImageSource, ClusterImageSpec};
use crds::compute::instance::{BackendName, Instance, InstancePhase, InstanceSpec, PowerState, Resources};
use crds::network::vpc::{Vpc, VpcSpec};
use crds::status::{READY, is_true};
use e2e::{Cloud, tiny_vm, virsh};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use super::{head, is_ready, row};
use crate::measure::{client, create_and_await, delete_all, do_and_await, median};

/// How often each is done.
const SAMPLES: usize = 10;
/// The name of the peer's domain.
const PEER: &str = "tc-bench-peer";

pub(crate) async fn run() -> anyhow::Result<()> {
    let Some(disk) = tiny_vm() else {
        println!("\nVirtual machines: not measured. They take libvirt, and a disk that CLOUD_TINY_VM names.");
        return Ok(());
    };
    let images = tempfile::tempdir()?;
    std::fs::copy(disk, images.path().join("tiny.qcow2"))?;
    let cloud = Cloud::builder().argument(&format!("--image-dir={}", images.path().display())).start();
    let client = client(&cloud).await?;
    let vpcs: Api<Vpc> = Api::default_namespaced(client.clone());
    vpcs.create(&PostParams::default(), &Vpc::new("default", VpcSpec::default())).await?;
    let source = ClusterImageSource { path: Some("tiny.qcow2".to_owned()), ..ClusterImageSource::default() };
    let image = ClusterImage::new("tiny", ClusterImageSpec { source, ..ClusterImageSpec::default() });
    create_and_await(&Api::all(client.clone()), is_imported, &[image]).await?;
    let instances: Api<Instance> = Api::default_namespaced(client);
    // The first one probes for KVM, and warms caches.
    create_and_await(&instances, is_ready, &[machine("warm-up")]).await?;
    delete_all(&instances).await?;

    let (mut made, mut deleted) = (Vec::new(), Vec::new());
    for number in 0..SAMPLES {
        let start = Instant::now();
        create_and_await(&instances, is_ready, &[machine(&format!("one-{number}"))]).await?;
        made.push(start.elapsed());
        let start = Instant::now();
        delete_all(&instances).await?;
        deleted.push(start.elapsed());
    }
    let [created, destroyed] = time_virsh(&instances).await?;
    head("virtual machines");
    row(&format!("made, until the domain runs (median of {SAMPLES})"), median(&made), median(&created));
    row(&format!("deleted while it runs (median of {SAMPLES})"), median(&deleted), median(&destroyed));
    delete_all(&instances).await
}

/// The same with virsh alone, on the disk of a machine that was stopped.
async fn time_virsh(instances: &Api<Instance>) -> anyhow::Result<[Vec<Duration>; 2]> {
    create_and_await(instances, is_ready, &[machine("model")]).await?;
    let stop = json!({"spec": {"powerState": PowerState::Stopped}});
    let stopped = |instance: &Instance| {
        is_ready(instance)
            && instance.status.as_ref().is_some_and(|status| status.phase == Some(InstancePhase::Stopped))
    };
    let (how, patch) = (PatchParams::default(), Patch::Merge(&stop));
    let patch = instances.patch("model", &how, &patch);
    do_and_await(instances, ["model".to_owned()].into(), stopped, patch).await?;
    let status = instances.get("model").await?.status.unwrap_or_default();
    let id = status.machine_id.context("it has a machine")?;
    let xml = virsh(&["dumpxml", "--inactive", "--security-info", &id]).ok();
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), peer(&xml).context("a domain has a name, a uuid and metadata")?)?;
    let path = file.path().to_str().context("a path is text")?;
    let (mut created, mut destroyed) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let start = Instant::now();
        let _ = virsh(&["create", path]).ok();
        created.push(start.elapsed());
        let start = Instant::now();
        let _ = virsh(&["destroy", PEER]).ok();
        destroyed.push(start.elapsed());
    }
    Ok([created, destroyed])
}

/// The definition under another name, as nobody's.
fn peer(xml: &str) -> Option<String> {
    let (before, rest) = xml.split_once("<name>")?;
    let (_, rest) = rest.split_once("</uuid>")?;
    let (between, rest) = rest.split_once("<metadata>")?;
    let (_, after) = rest.split_once("</metadata>")?;
    Some(format!("{before}<name>{PEER}</name>{between}{after}"))
}

fn is_imported(image: &ClusterImage) -> bool {
    image.status.as_ref().is_some_and(|status| is_true(&status.conditions, READY))
}

fn machine(name: &str) -> Instance {
    let resources =
        Resources { cpu: Some("1".into()), memory: Some("128Mi".into()), disk: Some("256Mi".into()), max_memory: None };
    Instance::new(
        name,
        InstanceSpec {
            backend: Some(BackendName::Libvirt),
            image: "tiny".to_owned(),
            resources: Some(resources),
            termination_grace_period_seconds: 0,
            ..InstanceSpec::default()
        },
    )
}
