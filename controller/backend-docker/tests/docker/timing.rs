//! What the adapter adds to Docker's own time. Measured only when asked for:
//! `cargo test -p controller-backend-docker --test docker -- --ignored --nocapture adapter_adds_little`.

use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptionsBuilder};
use controller_backend::Resources;

use crate::daemon;

const ROUNDS: u32 = 15;

#[tokio::test]
#[ignore = "a measurement, which needs a quiet machine"]
async fn adapter_adds_little() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let (mut raw, mut ours, mut looks, mut lists) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        fixture.backend.networks.ensure(&fixture.network()).await.expect("ensure");
        let network = controller_backend::machine_name(&fixture.network().owner);
        for round in 0..ROUNDS {
            let started = Instant::now();
            let body = ContainerCreateBody {
                image: Some(fixture.image.clone()),
                entrypoint: Some(["sleep", "1000"].map(str::to_owned).to_vec()),
                host_config: Some(HostConfig {
                    network_mode: Some(network.clone()),
                    memory: Some(32 << 20),
                    memory_swap: Some(32 << 20),
                    nano_cpus: Some(250_000_000),
                    init: Some(true),
                    ..HostConfig::default()
                }),
                ..ContainerCreateBody::default()
            };
            let created = world.docker.create_container(None::<CreateContainerOptions>, body).await.expect("create");
            world.docker.start_container(&created.id, None).await.expect("start");
            raw.push(started.elapsed());
            let options = RemoveContainerOptionsBuilder::default().force(true).build();
            world.docker.remove_container(&created.id, Some(options)).await.expect("remove");

            let mut spec = fixture.networked("timed", 100 + round, 10).await;
            spec.resources = Resources { cpu_millis: 250, memory_bytes: 32 << 20, max_memory_bytes: None };
            let started = Instant::now();
            let id = fixture.start(&spec).await;
            ours.push(started.elapsed());
            let started = Instant::now();
            fixture.only(spec.owner.uid).await;
            looks.push(started.elapsed());
            let started = Instant::now();
            fixture.backend.machines.list().await.expect("list");
            lists.push(started.elapsed());
            fixture.backend.machines.remove(&id).await.expect("remove");
        }
        let (raw, ours) = (median(raw), median(ours));
        eprintln!("create and start: docker {raw:?}, adapter {ours:?}");
        eprintln!("find {:?}, list {:?}", median(looks), median(lists));
        let volume = fixture.volume("timed", 2);
        let started = Instant::now();
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let made = started.elapsed();
        let started = Instant::now();
        fixture.backend.volumes.ensure(&volume).await.expect("ensure");
        let again = started.elapsed();
        let started = Instant::now();
        fixture.backend.volumes.remove(volume.owner.uid).await.expect("remove");
        eprintln!("volume: made in {made:?}, ensured again in {again:?}, removed in {:?}", started.elapsed());
        assert!(ours < raw + Duration::from_millis(150), "docker {raw:?}, adapter {ours:?}");
    })
    .await;
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
