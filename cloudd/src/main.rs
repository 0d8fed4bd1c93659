//! The only daemon: wires apiserver, store, controllers and backend together in one process, and ends them in order.

mod args;
mod high_water;
mod kubeconfig;
mod logging;
mod state;
mod streams;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apiserver::{ApiServer, Clock as _, Config, Identity, SystemClock, TokenTable};
use clap::Parser as _;
use controller_backend::Backend;
use controller_backend::fake::FakeEngine;
use controller_backend_docker::DockerOptions;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use args::{Args, BackendChoice};
use high_water::HighWater;
use streams::BackendStreams;

/// glibc's allocator keeps what a large answer once took; this one gives it back, and is quicker with many threads.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long the parts may take to end after SIGTERM; a second signal ends them at once.
const GRACE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let args = Args::parse();
    logging::start(args.log_format);
    // Before anything speaks TLS; a second provider compiled in somewhere would make rustls refuse to choose.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.context("start the runtime").and_then(|runtime| {
        let ended = runtime.block_on(run(args));
        // What blocks in a thread of its own can be left behind: every step of it may be cut off.
        runtime.shutdown_timeout(Duration::from_secs(1));
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cloudd can't go on");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!("can't listen on {}: is another cloudd running? Choose another address with --listen", args.listen)
    })?;
    let address = listener.local_addr().context("learn the address that is listened on")?;
    let storage = state::open(&args.data_dir, &args.store).await?;
    let installation = storage.installation();
    let high_water = HighWater::check(&args.data_dir, &storage).context("the note of how far the store was")?;
    let backend = open_backend(&args, installation)?;

    let pki = state::pki_dir(&args.data_dir);
    let mut names = args.server_names.clone();
    if !args.listen.ip().is_unspecified() {
        names.push(args.listen.ip().to_string());
    }
    let tls = apiserver::tls::identity(&pki, &names, &SystemClock).context("the certificates")?;
    let kubeconfig = args.kubeconfig_path();
    let known = kubeconfig::token_of(&kubeconfig);
    let (token, hash) = apiserver::tls::bootstrap_token(&pki, known.as_deref()).context("the administrator's token")?;

    let metrics = controller::Metrics::default();
    let (serving, controlling) = (CancellationToken::new(), CancellationToken::new());
    let tasks = TaskTracker::new();
    let mut config = Config::new(storage.clone(), TokenTable::new().with(hash, Identity::master("admin")));
    config.streams = Some(Arc::new(BackendStreams(controller::streams::Streams::new(backend.clone()))));
    config.shutdown = serving.clone();
    config.tasks = tasks.clone();
    let measured = metrics.clone();
    config.measures = Some(Arc::new(move |registry| measured.register(registry)));
    let server = ApiServer::new(config).await.context("the apiserver")?;
    server.install_kinds(&definitions()?).await.context("the kinds")?;

    kubeconfig::write(&kubeconfig, address, tls.authority.as_bytes(), &token)
        .with_context(|| format!("write the kubeconfig {}", kubeconfig.display()))?;
    let accepting = server.clone();
    tasks.spawn(async move { accepting.serve(listener, tls.server).await });

    let client = kube::Client::new(server.service_as(Identity::master("system:the-cloud:controller")), "default");
    let mut options = controller::Options::new(installation, backend);
    options.default_instance_type = args.instance_type.clone();
    options.publish_address = args.publish_address;
    options.publish_range = args.publish_range.first..=args.publish_range.last;
    options.metrics = metrics;
    let restored = high_water.clone();
    options.may_sweep = Arc::new(move || !restored.is_restored());
    let noting = tokio::spawn(high_water.clone().follow(storage.clone()));
    let mut controllers = tokio::spawn(controller::run(client, options, controlling.clone()));
    tracing::info!(%address, %installation, kubeconfig = %kubeconfig.display(), "cloudd is ready");

    let ended = tokio::select! {
        () = stop.requested() => Ok(()),
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
        serving.cancel();
        tasks.close();
        tasks.wait().await;
        noting.abort();
        high_water.write_down(storage.revision());
        storage.shutdown().await;
    };
    tokio::select! {
        done = tokio::time::timeout(GRACE, orderly) => if done.is_err() {
            tracing::warn!("some work was still under way at the end; the next start goes on with it");
        },
        () = stop.requested() => {}
    }
    ended
}

/// The signals that ask for the end.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn open_backend(args: &Args, installation: uuid::Uuid) -> anyhow::Result<Backend> {
    match args.compute_backend {
        BackendChoice::Fake => {
            let engine = FakeEngine::with_clock(Arc::new(|| SystemClock.now()));
            engine.add_every_registry_image();
            Ok(engine.backend(installation))
        }
        BackendChoice::Docker => {
            let options = DockerOptions {
                installation,
                data_dir: args.data_dir.canonicalize().context("the data directory")?,
                socket: args.docker_socket.clone(),
            };
            controller_backend_docker::open(&options).context("the Docker backend")
        }
    }
}

/// Our kinds' definitions, as anybody would send them.
fn definitions() -> anyhow::Result<Vec<Value>> {
    crds::all().iter().map(|crd| serde_json::to_value(crd).context("write a definition as JSON")).collect()
}
