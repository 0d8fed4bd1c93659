//! How long many Vpcs take that come at once, and go at once.

use std::time::{Duration, Instant};

use crds::network::vpc::{Vpc, VpcSpec};
use crds::status::{READY, is_true};
use e2e::Cloud;
use kube::api::Api;

use super::{head, ms, row};
use crate::direct::Direct;
use crate::measure::{client, create_and_await, delete_all, middle};

/// How many networks at a time the direct loop tries, to find what suits it best.
const CONCURRENCIES: [usize; 3] = [1, 2, 4];
/// So many networks tell which.
const SAMPLE: u8 = 20;

pub(crate) async fn run(rounds: usize, at_once: u8) -> anyhow::Result<()> {
    let cloud = Cloud::start();
    let api: Api<Vpc> = Api::default_namespaced(client(&cloud).await?);
    let direct = Direct::prepare().await?;
    // The first of each side warms caches and is not counted.
    create_and_await(&api, is_ready, &[vpc("warm-up")]).await?;
    delete_all(&api).await?;
    direct.time_networks(1, 1).await?;
    let mut best = (Duration::MAX, CONCURRENCIES[0]);
    for concurrency in CONCURRENCIES {
        best = best.min((direct.time_networks(SAMPLE, concurrency).await?[0], concurrency));
    }
    let concurrency = best.1;
    head("Vpcs");
    let mut ratios = [Vec::new(), Vec::new()];
    for round in 1..=rounds {
        let vpcs: Vec<Vpc> = (0..at_once).map(|number| vpc(&format!("many-{round}-{number}"))).collect();
        let start = Instant::now();
        create_and_await(&api, is_ready, &vpcs).await?;
        let made = start.elapsed();
        let start = Instant::now();
        delete_all(&api).await?;
        let ours = [made, start.elapsed()];
        let theirs = direct.time_networks(at_once, concurrency).await?;
        for (index, what) in ["made", "deleted"].into_iter().enumerate() {
            let what = format!("{at_once} at once {what}, round {round} (direct: {concurrency} at a time)");
            row(&what, ms(ours[index]), ms(theirs[index]));
            ratios[index].push(ours[index].as_secs_f64() / theirs[index].as_secs_f64());
        }
    }
    let [made, deleted] = ratios.map(middle);
    println!(
        "\n{at_once} Vpcs at once: median ratio {made:.2} made, {deleted:.2} deleted, of {rounds} interleaved rounds"
    );
    direct.remove().await
}

fn is_ready(vpc: &Vpc) -> bool {
    vpc.status.as_ref().is_some_and(|status| is_true(&status.conditions, READY))
}

fn vpc(name: &str) -> Vpc {
    Vpc::new(name, VpcSpec::default())
}
