//! A closed loop: each client sends its next request when the last one is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;

use super::connection::Connection;
use super::targets::Target;

/// A request that is made from its number.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

/// What a phase came to.
pub(crate) struct Outcome {
    pub(crate) requests: usize,
    pub(crate) wall: Duration,
    /// Processor time of the server, its store included.
    pub(crate) processor: Duration,
    /// One a request.
    pub(crate) latencies: Vec<Duration>,
}

/// Makes `count` requests on `clients` connections.
pub(crate) async fn run(
    target: &Target,
    clients: usize,
    count: usize,
    request: impl Fn(usize) -> Call + Send + Sync + 'static,
) -> anyhow::Result<Outcome> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(target).await?);
    }
    let (request, next) = (Arc::new(request), Arc::new(AtomicUsize::new(0)));
    let before = target.processes.processor_time()?;
    let began = Instant::now();
    let workers: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let (request, next) = (Arc::clone(&request), Arc::clone(&next));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return anyhow::Ok(latencies);
                    }
                    let Call { method, path, content_type, body } = request(number);
                    let sent = Instant::now();
                    connection.call(method, &path, content_type, body).await?;
                    latencies.push(sent.elapsed());
                }
            })
        })
        .collect();
    let mut latencies = Vec::with_capacity(count);
    for worker in workers {
        latencies.extend(worker.await??);
    }
    let wall = began.elapsed();
    let processor = target.processes.processor_time()?.saturating_sub(before);
    Ok(Outcome { requests: count, wall, processor, latencies })
}
