//! Whether the change of one Instance takes longer where there are many others: on the fake backend, where nothing but
//! the controllers takes time.

use std::time::{Duration, Instant};

use crds::compute::instance::Instance;
use e2e::Cloud;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::containers::instance;
use super::{is_ready, ms, row};
use crate::api::process::Processes;
use crate::measure::{client, create_and_await, do_and_await, median};

/// How many Instances there are to compare with.
const FEW: usize = 20;
/// How often one is changed.
const SAMPLES: usize = 50;
/// Instances created at once while filling the cloud.
const BATCH: usize = 50;

pub(crate) async fn run(many: usize) -> anyhow::Result<()> {
    let cloud = Cloud::builder().fake().start();
    let api: Api<Instance> = Api::default_namespaced(client(&cloud).await?);
    let all: Vec<Instance> = (0..many.max(FEW)).map(|number| instance(&format!("one-{number}"))).collect();
    create_and_await(&api, is_ready, &all[..FEW]).await?;
    time_change(&cloud, &api).await?;
    let few = time_change(&cloud, &api).await?;
    for batch in all[FEW..].chunks(BATCH) {
        create_and_await(&api, is_ready, batch).await?;
    }
    // All that the filling left to do is done.
    tokio::time::sleep(Duration::from_secs(15)).await;
    time_change(&cloud, &api).await?;
    let more = time_change(&cloud, &api).await?;
    println!("\n| a change of one Instance | of {many} | of {FEW} | difference |\n|---|---|---|---|");
    row(&format!("another machine for it (median of {SAMPLES})"), more[0], few[0]);
    println!(
        "| cloudd's processor time for that | {:.1} ms | {:.1} ms | {:.2} times |",
        more[1],
        few[1],
        more[1] / few[1]
    );
    Ok(())
}

/// How long it takes from a patch of the environment until another machine is there, and what it takes of cloudd, in
/// milliseconds.
async fn time_change(cloud: &Cloud, api: &Api<Instance>) -> anyhow::Result<[f64; 2]> {
    let cloudd = Processes::of(vec![cloud.pid()]);
    let before = cloudd.processor_time()?;
    let mut samples = Vec::new();
    for number in 0..SAMPLES {
        let name = format!("one-{}", number % FEW);
        let before = api.get(&name).await?.status.and_then(|status| status.machine_id);
        let old = before.clone();
        let changed = move |instance: &Instance| {
            let status = instance.status.as_ref();
            is_ready(instance) && status.is_some_and(|status| status.machine_id.is_some() && status.machine_id != old)
        };
        // Another value each time, also the second time around.
        let value = format!("{number} {}", before.as_deref().unwrap_or_default());
        let wanted = json!({"spec": {"env": [{"name": "NUMBER", "value": value}]}});
        let (how, patch) = (PatchParams::default(), Patch::Merge(&wanted));
        let start = Instant::now();
        do_and_await(api, [name.clone()].into(), changed, api.patch(&name, &how, &patch)).await?;
        samples.push(start.elapsed());
    }
    let used = cloudd.processor_time()?.saturating_sub(before);
    Ok([median(&samples), ms(used) / SAMPLES as f64])
}
