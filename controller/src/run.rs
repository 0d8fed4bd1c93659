//! Starts everything and ends it: leader election around, then the watches, the workers of every kind, the backend's
//! events, the slow resync and the sweep.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crds::compute::cluster_image::ClusterImage;
use crds::compute::image::Image;
use crds::compute::instance_type::InstanceType;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Resource};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clients::Clients;
use crate::compute::image::ImageKind;
use crate::compute::instance::InstanceKind;
use crate::compute::instance_snapshot::InstanceSnapshotKind;
use crate::compute::instance_type;
use crate::host::{self, NAME, NAMESPACE};
use crate::network::security_group::SecurityGroupKind;
use crate::network::vpc::VpcKind;
use crate::network::vpc_peering::VpcPeeringKind;
use crate::network::{firewall, names};
use crate::rights::account_of;
use crate::runtime::failure::chain;
use crate::runtime::leader::Election;
use crate::runtime::{Driver, Events, Kind, Queue, Recorder, Store, Writer, run_workers};
use crate::storage::volume::VolumeKind;
use crate::storage::volume_snapshot::VolumeSnapshotKind;
use crate::world::World;
use crate::{Options, sweep};

/// The pause before something at the start is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Every object is looked at once in this time, spread evenly: it catches what events missed.
const RESYNC: Duration = Duration::from_secs(600);
/// The resync goes on in steps of this.
const TICK: Duration = Duration::from_secs(5);

/// Why the controllers ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A task that never ends has ended.
    #[error("a part of the controllers ended unexpectedly")]
    Ended,
}

/// Runs the controllers until shutdown, whenever the Lease is this process's. They wait for whatever isn't there yet:
/// the apiserver, the definitions of the kinds, the backend. `client_of` makes the client of a service account of
/// [`crate::rights::accounts`].
///
/// # Errors
/// Only if a part of them panicked.
pub async fn run(
    client_of: impl Fn(&str) -> Client + Send + Sync + 'static,
    options: Options,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let clients = Clients::new(client_of);
    let client = clients.shared();
    let election = Election {
        api: Api::<Lease>::namespaced(client.clone(), NAMESPACE),
        name: NAME,
        identity: options.identity.clone(),
        clock: options.clock.clone(),
    };
    while !shutdown.is_cancelled() {
        if let Err(error) = host::find_namespace(&client).await {
            tracing::debug!(error = chain(&error), "the apiserver does not answer yet");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => continue,
                () = shutdown.cancelled() => break,
            }
        }
        if !election.acquire(&shutdown).await {
            break;
        }
        options.metrics.leading(true);
        tracing::debug!(identity = options.identity, "this process is the active controller");
        let ended = tokio::select! {
            ended = lead(clients.clone(), options.clone(), shutdown.clone()) => Some(ended),
            () = election.hold() => None,
        };
        options.metrics.leading(false);
        match ended {
            Some(Ok(())) => election.release().await,
            Some(Err(error)) => return Err(error),
            None => tracing::warn!("the lease was lost: another process may act now"),
        }
    }
    Ok(())
}

/// Everything that the holder of the Lease does, until shutdown.
async fn lead(clients: Clients, options: Options, shutdown: CancellationToken) -> Result<(), Error> {
    let (events, writer) = Writer::new();
    let typing = clients.of(&account_of(&InstanceType::kind(&())));
    let world = Arc::new(World::new(clients, options));
    let mut background = JoinSet::new();
    background.spawn(writer.run());
    follow_objects(&world, &mut background);
    background.spawn(ship(typing));

    let client = world.clients.shared();
    let complete = async {
        let stores = &world.stores;
        tokio::join!(
            stores.instances.complete(),
            stores.instance_snapshots.complete(),
            stores.instance_policies.complete(),
            stores.instance_types.complete(),
            stores.images.complete(),
            stores.cluster_images.complete(),
            stores.vpcs.complete(),
            stores.security_groups.complete(),
            stores.vpc_peerings.complete(),
            stores.volumes.complete(),
            stores.volume_snapshots.complete(),
            stores.secrets.complete(),
            stores.config_maps.complete(),
        );
        while let Err(error) = world.digests.learn(&client).await {
            tracing::warn!(error = chain(&error), "the key of the digests of Secrets can't be had");
            tokio::time::sleep(PAUSE).await;
        }
        host::look(&world).await;
    };
    tokio::select! {
        () = complete => {}
        () = shutdown.cancelled() => return Ok(()),
    }

    let mut workers = JoinSet::new();
    let (stores, queues) = (&world.stores, &world.queues);
    let instances = InstanceKind::new(world.clone());
    workers.spawn(work(&world, instances, &stores.instances, &queues.instances, &events, &shutdown));
    let kind = InstanceSnapshotKind::new(world.clone());
    workers.spawn(work(&world, kind, &stores.instance_snapshots, &queues.instance_snapshots, &events, &shutdown));
    let images = ImageKind::<Image>::new(world.clone());
    workers.spawn(work(&world, images, &stores.images, &queues.images, &events, &shutdown));
    let images = ImageKind::<ClusterImage>::new(world.clone());
    workers.spawn(work(&world, images, &stores.cluster_images, &queues.cluster_images, &events, &shutdown));
    let vpcs = VpcKind::new(world.clone());
    workers.spawn(work(&world, vpcs, &stores.vpcs, &queues.vpcs, &events, &shutdown));
    let groups = SecurityGroupKind::new(world.clone());
    workers.spawn(work(&world, groups, &stores.security_groups, &queues.security_groups, &events, &shutdown));
    let peerings = VpcPeeringKind::new(world.clone());
    workers.spawn(work(&world, peerings, &stores.vpc_peerings, &queues.vpc_peerings, &events, &shutdown));
    let volumes = VolumeKind::new(world.clone());
    workers.spawn(work(&world, volumes, &stores.volumes, &queues.volumes, &events, &shutdown));
    let kind = VolumeSnapshotKind::new(world.clone());
    workers.spawn(work(&world, kind, &stores.volume_snapshots, &queues.volume_snapshots, &events, &shutdown));
    drop(events);

    let shared = world.clone();
    background.spawn(async move { host::follow(&shared).await });
    if let Some(machines) = world.options.virtual_machines.clone() {
        let shared = world.clone();
        background.spawn(async move { host::follow_machines(&shared, &machines).await });
    }
    let shared = world.clone();
    background.spawn(async move { firewall::run(&shared).await });
    let shared = world.clone();
    background.spawn(async move { names::run(&shared).await });
    let shared = world.clone();
    background.spawn(async move { sweep::run(&shared).await });
    let shared = world.clone();
    background.spawn(async move { resync(&shared).await });

    loop {
        tokio::select! {
            worker = workers.join_next() => match worker {
                Some(Ok(())) if shutdown.is_cancelled() => {}
                Some(_) => return Err(Error::Ended),
                None => return Ok(()),
            },
            Some(task) = background.join_next() => if task.is_err() {
                return Err(Error::Ended);
            },
        }
    }
}

fn work<K: Kind>(
    world: &World,
    kind: K,
    store: &Arc<Store<K::Object>>,
    queue: &Queue,
    events: &Events,
    shutdown: &CancellationToken,
) -> impl Future<Output = ()> + Send + use<K> {
    let (client, clock) = (world.clients.of_kind::<K>(), world.options.clock.clone());
    let driver = Driver {
        kind: Arc::new(kind),
        client: client.clone(),
        store: store.clone(),
        recorder: Recorder { queue: events.clone(), client, clock: clock.clone() },
        clock,
        metrics: world.options.metrics.clone(),
    };
    run_workers(Arc::new(driver), queue.clone(), shutdown.clone())
}

fn follow_objects(world: &Arc<World>, tasks: &mut JoinSet<()>) {
    macro_rules! follow {
        ($store:ident, $on_change:ident) => {
            let shared = world.clone();
            tasks.spawn(async move {
                let api = Api::all(shared.clients.shared());
                shared.stores.$store.follow(api, |changed| shared.$on_change(&changed)).await;
            });
        };
    }
    follow!(instances, on_instance);
    follow!(instance_snapshots, on_instance_snapshot);
    follow!(instance_policies, on_instance_policy);
    follow!(instance_types, on_instance_type);
    follow!(images, on_any_image);
    follow!(cluster_images, on_any_image);
    follow!(vpcs, on_vpc);
    follow!(security_groups, on_security_group);
    follow!(vpc_peerings, on_vpc_peering);
    follow!(volumes, on_volume);
    follow!(volume_snapshots, on_volume_snapshot);
    follow!(secrets, on_secret);
    follow!(config_maps, on_config_map);
}

/// Ships the InstanceTypes as soon as the apiserver knows the kind.
async fn ship(client: Client) {
    while let Err(error) = instance_type::ship(&client).await {
        tracing::debug!(error = chain(&error), "the shipped instance types could not be made yet");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Wakes every object once in a while, a few at a time. One timer for all.
async fn resync(world: &World) {
    let parts = RESYNC.as_secs() / TICK.as_secs();
    for turn in (0..parts).cycle() {
        tokio::time::sleep(TICK).await;
        let due = |key: &crate::runtime::Key| {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            hasher.finish() % parts == turn
        };
        for (keys, queue) in [
            (world.stores.images.keys(), &world.queues.images),
            (world.stores.cluster_images.keys(), &world.queues.cluster_images),
            (world.stores.vpcs.keys(), &world.queues.vpcs),
            (world.stores.security_groups.keys(), &world.queues.security_groups),
            (world.stores.vpc_peerings.keys(), &world.queues.vpc_peerings),
            (world.stores.volumes.keys(), &world.queues.volumes),
            (world.stores.volume_snapshots.keys(), &world.queues.volume_snapshots),
            (world.stores.instance_snapshots.keys(), &world.queues.instance_snapshots),
            (world.stores.instances.keys(), &world.queues.instances),
        ] {
            for key in keys.into_iter().filter(|key| due(key)) {
                queue.nudge(key);
            }
        }
    }
}
