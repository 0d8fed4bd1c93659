//! What a hundred times as many objects change: the same requests with few objects and with many, the start, the memory.
//!
//! A get, a create and the list of one namespace should cost what they cost with few objects.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use http::Method;

use super::connection::Connection;
use super::load::{Call, Outcome, run};
use super::objects::{self, Maker, collection_in};
use super::targets::Target;

/// How many objects, and on what.
#[derive(Args)]
pub(crate) struct Options {
    /// Objects at the beginning, all in one namespace.
    #[arg(long, default_value_t = 1_000)]
    few: usize,
    /// Objects at the end, in namespaces of as many as there were at the beginning.
    #[arg(long, default_value_t = 100_000)]
    many: usize,
    /// Bytes of an object as it is sent.
    #[arg(long, default_value_t = 2_048)]
    size: usize,
    /// Concurrent clients.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// The store of ours to measure: `sqlite` or `postgres`.
    #[arg(long, default_value = "sqlite")]
    store: String,
}

/// Gets that are timed: enough that the kernel's hundredths of a second hardly count.
const GETS: usize = 50_000;
const CREATES: usize = 5_000;
const LISTS: usize = 20;
/// The server is settled once it uses less than a hundredth of a core for this long.
const QUIET: Duration = Duration::from_secs(2);
/// Longer than states of the past are kept and the log is looked through.
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) async fn run_scale(options: Options) -> anyhow::Result<()> {
    let Options { few, many, size, clients, store } = options;
    anyhow::ensure!(few > 0 && many >= few, "--many is at least as much as --few");
    let mut target = Target::ours(&store).await?;
    let maker = Maker::new(size);
    objects::define(&target).await?;
    fill(&target, &maker, 0..1, few, clients).await?;
    let before = Figures::measure(&target, &maker, few, clients).await?;
    fill(&target, &maker, 1..many.div_ceil(few), few, clients).await?;
    let after = Figures::measure(&target, &maker, few, clients).await?;
    let (json, seconds) = list_all(&target).await?;
    settle(&target).await?;
    let running = target.processes.memory()?;
    let start = target.restart()?;
    settle(&target).await?;
    let restarted = target.processes.memory()?;

    println!("| {} | {few} objects | {many} objects | ratio |\n|---|---|---|---|", target.name);
    let row = |what: &str, few: f64, many: f64| println!("| {what} | {few:.3} | {many:.3} | {:.2} |", many / few);
    row("get, processor ms a request", before.get, after.get);
    row("create, processor ms a request", before.create, after.create);
    row(&format!("list of {few} in a namespace, processor ms"), before.list, after.list);
    row("the same, p50 ms", before.list_p50, after.list_p50);
    let mib = json as f64 / f64::from(1 << 20);
    println!("\n| with {many} objects, {mib:.1} MiB of JSON | |\n|---|---|");
    println!("| list of all | {seconds:.2} s |");
    println!("| from start to the first answer | {:.2} s |", start.as_secs_f64());
    println!("| memory after the above | {running:.1} MiB, {:.2} times the JSON |", running / mib);
    println!("| memory after the start | {restarted:.1} MiB, {:.2} times the JSON |", restarted / mib);
    Ok(())
}

/// What requests cost in the first namespace.
struct Figures {
    get: f64,
    create: f64,
    list: f64,
    list_p50: f64,
}

impl Figures {
    async fn measure(target: &Target, maker: &Maker, few: usize, clients: usize) -> anyhow::Result<Self> {
        settle(target).await?;
        let path = collection_in(&namespace(0));
        let base = path.clone();
        let get = run(target, clients, GETS, move |number| Call {
            method: Method::GET,
            path: format!("{base}/{}", name(number * 7_919 % few)),
            content_type: "",
            body: Bytes::new(),
        });
        let get = each(&get.await?);
        let fresh: Vec<String> = (0..CREATES).map(|number| format!("fresh-{number:05}")).collect();
        let bodies: Vec<Bytes> = fresh.iter().map(|name| maker.body_in(&namespace(0), name)).collect();
        let base = path.clone();
        let create = run(target, clients, CREATES, move |number| Call {
            method: Method::POST,
            path: base.clone(),
            content_type: "application/json",
            body: bodies[number].clone(),
        });
        let create = each(&create.await?);
        let base = path.clone();
        run(target, clients, CREATES, move |number| Call {
            method: Method::DELETE,
            path: format!("{base}/{}", fresh[number]),
            content_type: "",
            body: Bytes::new(),
        })
        .await?;
        let mut lists = run(target, 1, LISTS, move |_| Call {
            method: Method::GET,
            path: path.clone(),
            content_type: "",
            body: Bytes::new(),
        })
        .await?;
        lists.latencies.sort_unstable();
        let list_p50 = lists.latencies[LISTS / 2].as_secs_f64() * 1000.0;
        Ok(Self { get, create, list: each(&lists), list_p50 })
    }
}

/// Waits until what earlier requests left to do is done, so that it isn't counted as a later one's.
async fn settle(target: &Target) -> anyhow::Result<()> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let before = target.processes.processor_time()?;
        tokio::time::sleep(QUIET).await;
        if target.processes.processor_time()?.saturating_sub(before) <= QUIET / 100 {
            return Ok(());
        }
    }
    eprintln!("{} is still busy after {PATIENCE:?}: the figures have that in them", target.name);
    Ok(())
}

/// Processor milliseconds a request.
fn each(outcome: &Outcome) -> f64 {
    outcome.processor.as_secs_f64() * 1000.0 / outcome.requests as f64
}

fn namespace(number: usize) -> String {
    if number == 0 { "default".to_owned() } else { format!("scale-{number:04}") }
}

fn name(number: usize) -> String {
    format!("scale-{number:05}")
}

/// Makes `each` objects in every one of the namespaces.
async fn fill(
    target: &Target,
    maker: &Maker,
    namespaces: std::ops::Range<usize>,
    each: usize,
    clients: usize,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(target).await?;
    for number in namespaces {
        let namespace = namespace(number);
        if number > 0 {
            let body = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{namespace}"}}}}"#);
            connection.call(Method::POST, "/api/v1/namespaces", "application/json", body.into()).await?;
        }
        let bodies: Vec<Bytes> = (0..each).map(|number| maker.body_in(&namespace, &name(number))).collect();
        run(target, clients, each, move |number| Call {
            method: Method::POST,
            path: collection_in(&namespace),
            content_type: "application/json",
            body: bodies[number].clone(),
        })
        .await?;
    }
    Ok(())
}

/// The bytes of all objects, and the seconds that their list took.
async fn list_all(target: &Target) -> anyhow::Result<(usize, f64)> {
    let mut connection = Connection::open(target).await?;
    let began = Instant::now();
    let all = connection.call(Method::GET, &objects::everywhere(), "", Bytes::new()).await.context("list all")?;
    Ok((all.len(), began.elapsed().as_secs_f64()))
}
