//! What a round does: create, get, list, watch, change the status, delete, with few clients and with many.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use super::Options;
use super::connection::Connection;
use super::load::{Call, Outcome, run};
use super::objects::{Maker, collection};
use super::report::Report;
use super::targets::Target;

const JSON: &str = "application/json";
/// Objects made each second of the watch phase.
pub(super) const EVENTS_A_SECOND: u32 = 50;
/// Objects made in the watch phase.
pub(super) const EVENTS: usize = 500;
/// How often the whole collection is listed.
const LISTS: usize = 10;

pub(crate) async fn round(
    target: &Target,
    maker: &Maker,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    let most = options.clients.iter().copied().max().unwrap_or(1);
    let few: Vec<usize> = options.clients.iter().copied().filter(|clients| *clients != most).collect();
    // A smaller share for few clients: they need longer.
    let share = (options.objects / 10).max(1);
    for clients in few {
        report.add(&target.name, "create", clients, create(target, maker, clients, share).await?);
        report.add(&target.name, "delete", clients, delete(target, clients, share).await?);
    }
    let count = options.objects;
    report.add(&target.name, "create", most, create(target, maker, most, count).await?);
    for clients in &options.clients {
        let number = if *clients == most { count } else { share };
        report.add(
            &target.name,
            "get",
            *clients,
            one_each(target, *clients, number, count, Method::GET, "", None).await?,
        );
        let patch = Some(r#"{"status":{"phase":"Running","ready":NUMBER}}"#);
        let outcome = one_each(target, *clients, number, count, Method::PATCH, "/status", patch).await?;
        report.add(&target.name, "status patch", *clients, outcome);
    }
    let list = |_| Call { method: Method::GET, path: collection(), content_type: "", body: Bytes::new() };
    report.add(&target.name, &format!("list {count}"), 1, run(target, 1, LISTS, list).await?);
    for watchers in [1, options.watchers] {
        report.add(&target.name, &format!("watch, {watchers} watchers"), 1, watch(target, maker, watchers).await?);
    }
    report.memory(&target.name, "with its objects", &target.processes)?;
    report.add(&target.name, "delete", most, delete(target, most, count).await?);
    Ok(())
}

fn name(number: usize) -> String {
    format!("bench-{number:05}")
}

async fn create(target: &Target, maker: &Maker, clients: usize, count: usize) -> anyhow::Result<Outcome> {
    let bodies: Arc<Vec<Bytes>> = Arc::new((0..count).map(|number| maker.body(&name(number))).collect());
    run(target, clients, count, move |number| Call {
        method: Method::POST,
        path: collection(),
        content_type: JSON,
        body: bodies[number].clone(),
    })
    .await
}

async fn delete(target: &Target, clients: usize, count: usize) -> anyhow::Result<Outcome> {
    run(target, clients, count, |number| Call {
        method: Method::DELETE,
        path: format!("{}/{}", collection(), name(number)),
        content_type: "",
        body: Bytes::new(),
    })
    .await
}

/// `count` requests, each for an object of its own among `objects`.
async fn one_each(
    target: &Target,
    clients: usize,
    count: usize,
    objects: usize,
    method: Method,
    part: &'static str,
    body: Option<&'static str>,
) -> anyhow::Result<Outcome> {
    run(target, clients, count, move |number| Call {
        method: method.clone(),
        // A stride that visits all, in no order that a cache would like.
        path: format!("{}/{}{part}", collection(), name(number * 7_919 % objects)),
        content_type: if body.is_some() { "application/merge-patch+json" } else { "" },
        body: body.map(|body| body.replace("NUMBER", &number.to_string()).into()).unwrap_or_default(),
    })
    .await
}

/// Objects made at a steady rate; the latency is from sending the create to a watcher having read of it.
async fn watch(target: &Target, maker: &Maker, watchers: usize) -> anyhow::Result<Outcome> {
    let mut writer = Connection::open(target).await?;
    let list = writer.call(Method::GET, &format!("{}?limit=1", collection()), "", Bytes::new()).await?;
    let list: serde_json::Value = serde_json::from_slice(&list)?;
    let revision = list["metadata"]["resourceVersion"].as_str().context("a list has a revision")?.to_owned();
    let (seen, mut sightings) = mpsc::unbounded_channel();
    let mut tasks = Vec::new();
    for _ in 0..watchers {
        let mut connection = Connection::open(target).await?;
        let path = format!("{}?watch=true&resourceVersion={revision}&timeoutSeconds=120", collection());
        let seen = seen.clone();
        tasks.push(tokio::spawn(async move {
            let answer = connection.start(Method::GET, &path, "", Bytes::new()).await?;
            let mut body = answer.into_body();
            let mut rest = Vec::new();
            let mut left = EVENTS;
            while left > 0 {
                let frame = body.frame().await.context("a watch ended before its time")??;
                let now = Instant::now();
                rest.extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default());
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    if let Some(number) = watched_number(&line) {
                        seen.send((number, now))?;
                        left -= 1;
                    }
                }
            }
            anyhow::Ok(())
        }));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = target.processes.processor_time()?;
    let began = Instant::now();
    let mut sent = Vec::with_capacity(EVENTS);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / EVENTS_A_SECOND);
    for number in 0..EVENTS {
        ticks.tick().await;
        sent.push(Instant::now());
        writer.call(Method::POST, &collection(), JSON, maker.body(&format!("watched-{number:05}"))).await?;
    }
    for task in tasks {
        tokio::time::timeout(Duration::from_secs(30), task).await.context("a watcher missed an event")???;
    }
    let (wall, processor) = (began.elapsed(), target.processes.processor_time()?.saturating_sub(before));
    drop(seen);
    let mut latencies = Vec::new();
    while let Some((number, at)) = sightings.recv().await {
        latencies.push(at.saturating_duration_since(sent[number]));
    }
    for number in 0..EVENTS {
        let path = format!("{}/watched-{number:05}", collection());
        writer.call(Method::DELETE, &path, "", Bytes::new()).await?;
    }
    Ok(Outcome { requests: EVENTS, wall, processor, latencies })
}

/// The number in the name of an object of the watch phase, without reading the rest of it.
fn watched_number(line: &[u8]) -> Option<usize> {
    let mark = b"\"name\":\"watched-";
    let at = line.windows(mark.len()).position(|window| window == mark)? + mark.len();
    std::str::from_utf8(line.get(at..at + 5)?).ok()?.parse().ok()
}
