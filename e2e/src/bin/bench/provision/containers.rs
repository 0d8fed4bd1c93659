//! How long a container takes from apply to Ready and from its deletion until it is gone, one and many at once, and how long a
//! killed one is away.

use std::time::{Duration, Instant};

use crds::compute::instance::{Instance, InstanceSpec};
use crds::network::vpc::{Vpc, VpcSpec};
use e2e::Cloud;
use kube::api::{Api, PostParams};

use super::{head, is_ready, ms, row};
use crate::direct::Direct;
use crate::measure::{client, create_and_await, delete_all, median, middle};

/// Samples of what is measured one at a time.
const SAMPLES: usize = 10;
/// How many containers at a time the direct loop tries, to find what suits it best.
const CONCURRENCIES: [usize; 3] = [2, 4, 8];

pub(crate) async fn run(rounds: usize, at_once: usize) -> anyhow::Result<()> {
    let cloud = Cloud::start();
    let client = client(&cloud).await?;
    let direct = Direct::prepare().await?;
    let instances: Api<Instance> = Api::default_namespaced(client.clone());
    let vpcs: Api<Vpc> = Api::default_namespaced(client);
    vpcs.create(&PostParams::default(), &Vpc::new("default", VpcSpec::default())).await?;
    // The first machine of each side warms caches and is not counted.
    create_and_await(&instances, is_ready, &[instance("warm-up")]).await?;
    delete_all(&instances).await?;
    direct.time(1, [1, 1]).await?;

    let (mut ours, mut theirs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for number in 0..SAMPLES {
        let [made, deleted] = time(&instances, &[instance(&format!("one-{number}"))]).await?;
        ours[0].push(made);
        ours[1].push(deleted);
        let [made, removed] = direct.time(1, [1, 1]).await?;
        theirs[0].push(made);
        theirs[1].push(removed);
    }
    head("containers");
    row("one Instance, apply to Ready (median of 10)", median(&ours[0]), median(&theirs[0]));
    row("one Instance, deleted until it is gone (median of 10)", median(&ours[1]), median(&theirs[1]));

    let (mut back, mut started) = (Vec::new(), Vec::new());
    for number in 0..SAMPLES {
        // A new one each time: a second quick crash would be met with a pause.
        let name = format!("heal-{number}");
        create_and_await(&instances, is_ready, &[instance(&name)]).await?;
        back.push(time_heal(&direct, &cloud.container(&name)).await?);
        started.push(direct.time_restart().await?);
    }
    row("killed to running again (median of 10)", median(&back), median(&started));
    delete_all(&instances).await?;

    let mut best = [(Duration::MAX, CONCURRENCIES[0]); 2];
    for concurrency in CONCURRENCIES {
        let took = direct.time(at_once, [concurrency; 2]).await?;
        best = [0, 1].map(|index| best[index].min((took[index], concurrency)));
    }
    let concurrency = best.map(|(_, concurrency)| concurrency);
    let mut ratios = [Vec::new(), Vec::new()];
    for round in 1..=rounds {
        let batch: Vec<Instance> = (0..at_once).map(|number| instance(&format!("many-{round}-{number}"))).collect();
        let ours = time(&instances, &batch).await?;
        let theirs = direct.time(at_once, concurrency).await?;
        for (index, what) in ["made", "deleted"].into_iter().enumerate() {
            let what = format!("{at_once} at once {what}, round {round} (direct: {} at a time)", concurrency[index]);
            row(&what, ms(ours[index]), ms(theirs[index]));
            ratios[index].push(ours[index].as_secs_f64() / theirs[index].as_secs_f64());
        }
    }
    let [made, deleted] = ratios.map(middle);
    println!("\n{at_once} at once: median ratio {made:.2} made, {deleted:.2} deleted, of {rounds} interleaved rounds");
    direct.remove().await
}

/// How long these take from apply to Ready, and from their deletion until none is left.
async fn time(api: &Api<Instance>, instances: &[Instance]) -> anyhow::Result<[Duration; 2]> {
    let start = Instant::now();
    create_and_await(api, is_ready, instances).await?;
    let made = start.elapsed();
    let start = Instant::now();
    delete_all(api).await?;
    Ok([made, start.elapsed()])
}

/// From `docker kill` until the container runs again.
async fn time_heal(direct: &Direct, id: &str) -> anyhow::Result<Duration> {
    let before = direct.started(id).await?;
    let start = Instant::now();
    direct.kill(id).await?;
    loop {
        let now = direct.started(id).await?;
        if now.is_some() && now != before {
            return Ok(start.elapsed());
        }
        anyhow::ensure!(start.elapsed() < Duration::from_secs(60), "the container is not back after a minute");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The same machine as the direct loop makes.
pub(super) fn instance(name: &str) -> Instance {
    Instance::new(
        name,
        InstanceSpec {
            image: "busybox:stable".to_owned(),
            instance_type: Some("nano".to_owned()),
            command: vec!["sleep".to_owned()],
            args: vec!["1000000".to_owned()],
            termination_grace_period_seconds: 0,
            ..InstanceSpec::default()
        },
    )
}
