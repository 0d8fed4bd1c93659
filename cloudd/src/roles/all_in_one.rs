//! Everything in one process: store, apiserver, controllers and backend.

use std::sync::Arc;

use anyhow::Context as _;
use apiserver::{Audit, Clock as _, Identity, SystemClock};
use controller::rights;
use controller_backend::Backend;
use controller_backend::fake::FakeEngine;
use controller_backend_docker::DockerOptions;
use crds::compute::instance::BackendName;
use tokio_util::sync::CancellationToken;

use super::{Ended, end_in_order};
use crate::args::{AllInOneArgs, BackendChoice};
use crate::audit;
use crate::high_water::HighWater;
use crate::orphans::BackendOrphans;
use crate::serving::{Door, Parts, Serving, TokenRule};
use crate::state;
use crate::stop::Stop;
use crate::streams::BackendStreams;

/// Runs until it is asked to end.
///
/// # Errors
/// A part can't start, or the controllers end by themselves.
pub(crate) async fn run(args: AllInOneArgs) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let door = Door::open(args.serve.listen).await?;
    let mut rule = TokenRule::Replaced;
    let mut kept = None;
    while let Ended::Outdated(why) = round(&args, &door, rule, &mut kept, &mut stop).await? {
        tracing::info!(why, "everything starts anew");
        // Two that replace each other's token would never come to an end.
        rule = TokenRule::Kept;
    }
    Ok(())
}

async fn round(
    args: &AllInOneArgs,
    door: &Door,
    rule: TokenRule,
    kept: &mut Option<Arc<Audit>>,
    stop: &mut Stop,
) -> anyhow::Result<Ended> {
    let storage = state::open(&args.state).await?;
    let installation = storage.installation();
    let high_water =
        HighWater::check(&args.state.data_dir, &storage).await.context("the note of how far the store was")?;
    let backend = open_backend(args, installation)?;
    let virtual_machines = open_virtual_machines(args, installation, &backend)?;
    let metrics = controller::Metrics::default();
    let measured = metrics.clone();
    let orphans = Arc::new(BackendOrphans::default());
    let parts = Parts {
        orphans: Some(orphans.clone()),
        streams: Some(Arc::new(BackendStreams(controller::streams::Streams::new(
            std::iter::once(backend.clone()).chain(virtual_machines.clone()).collect(),
        )))),
        measures: Some(Arc::new(move |registry| measured.register(registry))),
        audit: audit::open(kept, &args.state, &args.serve.audit)?,
    };
    let serving = Serving::start(&args.state, &args.serve, door, &storage, rule, parts).await?;

    serving.server.narrow_shipped(&rights::shipped()).await.context("the rights of the controllers")?;
    let server = serving.server.clone();
    let client = move |account: &str| {
        let identity = Identity::service_account(controller::NAMESPACE, account);
        kube::Client::new(server.service_as(identity), "default")
    };
    let deciding = client(rights::ORPHANS_ACCOUNT);
    orphans.begin(controller::orphans::Orphans::new(deciding, backend.clone(), virtual_machines.clone()));
    let mut options = controller::Options::new(installation, backend);
    options.virtual_machines = virtual_machines;
    if args.compute.compute_backend == BackendChoice::Libvirt {
        options.backend_name = BackendName::Libvirt;
    }
    options.default_instance_type = args.serve.instance_type.clone();
    options.publish_address = args.compute.publish_address;
    options.publish_range = args.compute.publish_range.first..=args.compute.publish_range.last;
    options.vpc_ranges.clone_from(&args.compute.vpc_ranges);
    options.metrics = metrics;
    let held = storage.clone();
    options.may_sweep = Arc::new(move || held.restored().is_none());
    let noting = tokio::spawn(high_water.clone().follow(storage.clone()));
    let controlling = CancellationToken::new();
    let mut controllers = tokio::spawn(controller::run(client, options, controlling.clone()));
    tracing::info!(address = %door.address, %installation, "cloudd is ready");

    let ended = tokio::select! {
        () = stop.requested() => Ok(Ended::Asked),
        why = serving.is_outdated() => Ok(Ended::Outdated(why)),
        ended = &mut controllers => match ended {
            Ok(Ok(())) => Err(anyhow::anyhow!("the controllers ended by themselves")),
            Ok(Err(error)) => Err(error).context("the controllers"),
            Err(error) => Err(error).context("the controllers"),
        },
    };
    // The controllers first: they write their last words through the apiserver.
    let orderly = async {
        controlling.cancel();
        if !controllers.is_finished() {
            let _ = controllers.await;
        }
        serving.end().await;
        noting.abort();
        if matches!(ended, Ok(Ended::Asked)) {
            high_water.write_down(storage.revision());
        }
        storage.shutdown().await;
    };
    end_in_order(orderly, stop).await;
    ended
}

fn open_backend(args: &AllInOneArgs, installation: uuid::Uuid) -> anyhow::Result<Backend> {
    match args.compute.compute_backend {
        BackendChoice::Fake => {
            let engine = FakeEngine::with_clock(Arc::new(|| SystemClock.now()));
            engine.add_every_registry_image();
            Ok(engine.backend(installation))
        }
        BackendChoice::Docker | BackendChoice::Libvirt => {
            let options = DockerOptions {
                installation,
                data_dir: args.state.data_dir.canonicalize().context("the data directory")?,
                socket: args.compute.docker_socket.clone(),
            };
            let firewall = controller_backend_host::firewall(installation);
            controller_backend_docker::open(&options, firewall, controller_backend_host::names())
                .context("the Docker backend")
        }
    }
}

/// What runs virtual machines, if this cloudd was built with it.
#[cfg(feature = "libvirt")]
fn open_virtual_machines(
    args: &AllInOneArgs,
    installation: uuid::Uuid,
    host: &Backend,
) -> anyhow::Result<Option<Backend>> {
    if args.compute.compute_backend == BackendChoice::Fake {
        return Ok(Some(host.clone()));
    }
    let options = controller_backend_libvirt::LibvirtOptions {
        installation,
        uri: args.compute.libvirt_uri.clone(),
        machine_dir: args.compute.machine_dir.clone(),
        image_dir: args.compute.image_dir.clone(),
        downloads: controller_backend_libvirt::DownloadLimits {
            allow_private: args.compute.image_allow_private,
            max_bytes: args.compute.image_max_size,
            ..controller_backend_libvirt::DownloadLimits::default()
        },
    };
    controller_backend_libvirt::open(&options, host, controller_backend_host::host_ports())
        .map(Some)
        .context("the libvirt backend")
}

/// What runs virtual machines: nothing, because this cloudd was built without it.
#[cfg(not(feature = "libvirt"))]
fn open_virtual_machines(
    args: &AllInOneArgs,
    _installation: uuid::Uuid,
    host: &Backend,
) -> anyhow::Result<Option<Backend>> {
    let why =
        "this cloudd was built without libvirt: build it with `--features libvirt`, where libvirt-dev is installed";
    anyhow::ensure!(args.compute.compute_backend != BackendChoice::Libvirt, why);
    Ok((args.compute.compute_backend == BackendChoice::Fake).then(|| host.clone()))
}
