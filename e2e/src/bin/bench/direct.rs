//! The peer: the same containers, made through Docker's API with nothing between.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, Ipam, IpamConfig, NetworkCreateRequest, NetworkingConfig,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use futures::{StreamExt as _, TryStreamExt as _};

/// The label on everything that the peer makes.
const LABEL: &str = "thecloud.dev/bench-peer";
/// Where its networks' addresses are taken from when there are many.
const RANGES: [u8; 2] = [10, 200];
/// The network that its containers join.
const NETWORK: &str = "tc-bench-peer";

/// Docker, and a network like that of a Vpc.
pub(crate) struct Direct {
    docker: Docker,
}

impl Direct {
    /// Connects, and makes the network anew.
    pub(crate) async fn prepare() -> anyhow::Result<Self> {
        let docker = Docker::connect_with_unix_defaults()?.negotiate_version().await?;
        let direct = Self { docker };
        direct.clear().await?;
        let _ = direct.docker.remove_network(NETWORK).await;
        direct
            .docker
            .create_network(NetworkCreateRequest {
                name: NETWORK.to_owned(),
                driver: Some("bridge".to_owned()),
                ipam: Some(Ipam {
                    config: Some(vec![IpamConfig { subnet: Some("10.254.240.0/20".to_owned()), ..Default::default() }]),
                    ..Default::default()
                }),
                labels: Some(HashMap::from([(LABEL.to_owned(), String::new())])),
                ..Default::default()
            })
            .await?;
        Ok(direct)
    }

    /// Creates and starts one container.
    async fn run(&self, name: &str) -> anyhow::Result<String> {
        let body = ContainerCreateBody {
            image: Some("busybox:stable".to_owned()),
            entrypoint: Some(vec!["sleep".to_owned()]),
            cmd: Some(vec!["1000000".to_owned()]),
            labels: Some(HashMap::from([(LABEL.to_owned(), String::new())])),
            host_config: Some(HostConfig {
                init: Some(true),
                nano_cpus: Some(250_000_000),
                memory: Some(128 << 20),
                memory_swap: Some(128 << 20),
                pids_limit: Some(1024),
                cap_drop: Some(vec!["NET_RAW".to_owned()]),
                security_opt: Some(vec!["no-new-privileges".to_owned()]),
                network_mode: Some(NETWORK.to_owned()),
                ..Default::default()
            }),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(NETWORK.to_owned(), EndpointSettings::default())])),
            }),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let id = self.docker.create_container(Some(options), body).await?.id;
        self.docker.start_container(&id, None::<StartContainerOptions>).await?;
        Ok(id)
    }

    /// How long some containers take to make and to remove, this many at a time.
    pub(crate) async fn time(&self, count: usize, concurrency: [usize; 2]) -> anyhow::Result<[Duration; 2]> {
        let [making, removing] = concurrency;
        let start = Instant::now();
        let ids = futures::stream::iter(0..count)
            .map(|number| async move { self.run(&format!("tc-bench-peer-{number}")).await })
            .buffer_unordered(making)
            .try_collect::<Vec<_>>()
            .await?;
        let made = start.elapsed();
        let start = Instant::now();
        futures::stream::iter(ids)
            .map(|id| async move { self.remove_container(&id).await })
            .buffer_unordered(removing)
            .try_collect::<Vec<_>>()
            .await?;
        Ok([made, start.elapsed()])
    }

    /// `docker rm --force`.
    async fn remove_container(&self, id: &str) -> anyhow::Result<()> {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        Ok(self.docker.remove_container(id, Some(options)).await?)
    }

    /// How long some networks take to make and to remove, this many at a time.
    pub(crate) async fn time_networks(&self, count: u8, concurrency: usize) -> anyhow::Result<[Duration; 2]> {
        let start = Instant::now();
        futures::stream::iter(0..count)
            .map(|number| async move { self.make_network(number).await })
            .buffer_unordered(concurrency)
            .try_collect::<Vec<_>>()
            .await?;
        let made = start.elapsed();
        let start = Instant::now();
        futures::stream::iter(0..count)
            .map(|number| async move { self.docker.remove_network(&format!("{NETWORK}-{number}")).await })
            .buffer_unordered(concurrency)
            .try_collect::<Vec<_>>()
            .await?;
        Ok([made, start.elapsed()])
    }

    async fn make_network(&self, number: u8) -> anyhow::Result<()> {
        let [first, second] = RANGES;
        let range = IpamConfig { subnet: Some(format!("{first}.{second}.{number}.0/24")), ..Default::default() };
        let request = NetworkCreateRequest {
            name: format!("{NETWORK}-{number}"),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam { config: Some(vec![range]), ..Default::default() }),
            labels: Some(HashMap::from([(LABEL.to_owned(), String::new())])),
            ..Default::default()
        };
        self.docker.create_network(request).await?;
        Ok(())
    }

    /// How long a plain start of a killed container takes.
    pub(crate) async fn time_restart(&self) -> anyhow::Result<Duration> {
        let id = self.run("tc-bench-peer-restart").await?;
        self.kill(&id).await?;
        while self.started(&id).await?.is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let start = Instant::now();
        self.docker.start_container(&id, None::<StartContainerOptions>).await?;
        let elapsed = start.elapsed();
        self.clear().await?;
        Ok(elapsed)
    }

    /// `docker kill`.
    pub(crate) async fn kill(&self, id: &str) -> anyhow::Result<()> {
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        Ok(self.docker.kill_container(id, Some(options)).await?)
    }

    /// When a container was started, while it runs.
    pub(crate) async fn started(&self, id: &str) -> anyhow::Result<Option<String>> {
        let state = self.docker.inspect_container(id, None).await?.state.unwrap_or_default();
        Ok(if state.running == Some(true) { state.started_at.map(|time| format!("{time:?}")) } else { None })
    }

    /// Removes the peer's containers.
    async fn clear(&self) -> anyhow::Result<()> {
        let filters = HashMap::from([("label".to_owned(), vec![LABEL.to_owned()])]);
        let options =
            bollard::query_parameters::ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let containers = self.docker.list_containers(Some(options)).await?;
        futures::stream::iter(containers)
            .for_each_concurrent(4, |container| async move {
                let _ = self.remove_container(&container.id.unwrap_or_default()).await;
            })
            .await;
        Ok(())
    }

    /// Removes everything of the peer.
    pub(crate) async fn remove(self) -> anyhow::Result<()> {
        self.clear().await?;
        Ok(self.docker.remove_network(NETWORK).await?)
    }
}
