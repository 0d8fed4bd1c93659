//! How long a container takes from apply to Ready, one and many at once, and how long a killed one is away.

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
    direct.time(1, 1).await?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..SAMPLES {
        let start = Instant::now();
        create_and_await(&instances, is_ready, &[instance(&format!("one-{number}"))]).await?;
        ours.push(start.elapsed());
        delete_all(&instances).await?;
        theirs.push(direct.time(1, 1).await?);
    }
    head("containers");
    row("one Instance, apply to Ready (median of 10)", median(&ours), median(&theirs));

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

    let mut best = (Duration::MAX, CONCURRENCIES[0]);
    for concurrency in CONCURRENCIES {
        best = best.min((direct.time(at_once, concurrency).await?, concurrency));
    }
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let batch: Vec<Instance> = (0..at_once).map(|number| instance(&format!("many-{round}-{number}"))).collect();
        let start = Instant::now();
        create_and_await(&instances, is_ready, &batch).await?;
        let ours = start.elapsed();
        delete_all(&instances).await?;
        let theirs = direct.time(at_once, best.1).await?;
        ratios.push(ours.as_secs_f64() / theirs.as_secs_f64());
        row(&format!("{at_once} at once, round {} (direct: {} at a time)", round + 1, best.1), ms(ours), ms(theirs));
    }
    println!("\n{at_once} at once: median ratio {:.2} of {rounds} interleaved rounds", middle(ratios));
    direct.remove().await
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
