//! Runs the driver over a queue: one run at a time for an object, many objects at a time, one span each.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::driver::Driver;
use super::kind::Kind;
use super::queue::{Attempt, Next, Queue};
use super::store::{Key, uid_of};

/// How many objects of a kind are driven at a time. Pulling an image or a long stop holds one place.
const AT_A_TIME: usize = 128;
/// How long runs that have begun may take to end at shutdown. What is cut off then is completed by the next process.
const LAST_CALL: Duration = Duration::from_secs(5);

/// Drives what the queue gives until shutdown.
pub(crate) async fn run<K: Kind>(driver: Arc<Driver<K>>, queue: Queue, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut running = JoinSet::new();
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = shutdown.cancelled() => break,
        };
        let Ok(place) = place else { break };
        let key = tokio::select! {
            key = queue.next() => key,
            () = shutdown.cancelled() => break,
        };
        driver.metrics.depth(K::NAME, queue.depth());
        while running.try_join_next().is_some() {}
        let (driver, queue) = (driver.clone(), queue.clone());
        running.spawn(async move {
            // Whatever becomes of the run, the key must not stay behind as running: nobody would look at it again.
            let mut looking = Looking { queue, key: Some(key.clone()), next: Next::Retry };
            looking.next = one(&driver, &key, looking.queue.attempt(&key)).await;
            drop((looking, place));
        });
    }
    let last_call = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_CALL, last_call).await.is_err() {
        tracing::debug!(kind = K::NAME, "what was being done is cut off and completed after the next start");
    }
}

/// Tells the queue how looking at a key ended; after a panic it is tried again, after a pause.
struct Looking {
    queue: Queue,
    key: Option<Key>,
    next: Next,
}

impl Drop for Looking {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        if std::thread::panicking() {
            tracing::error!(namespace = key.namespace, name = key.name, "a reconcile panicked and is tried again");
        }
        self.queue.done(key, self.next);
    }
}

async fn one<K: Kind>(driver: &Driver<K>, key: &Key, attempt: Attempt) -> Next {
    let uid = driver.store.get(&key.namespace, &key.name).map(|object| uid_of(object.as_ref())).unwrap_or_default();
    let span = tracing::info_span!("reconcile", kind = K::NAME, namespace = key.namespace, name = key.name, uid = %uid);
    let start = Instant::now();
    let next = driver.reconcile(key, attempt).instrument(span).await;
    let result = match next {
        Next::Settled => "settled",
        Next::After(_) => "again",
        Next::Retry => "failed",
    };
    driver.metrics.reconciled(K::NAME, result, start.elapsed());
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_whose_run_panicked_is_looked_at_again() {
        let queue = Queue::default();
        let key = Key::new("default", "web");
        queue.wake(key.clone());
        let first = queue.next().await;
        let looking = Looking { queue: queue.clone(), key: Some(first), next: Next::Retry };
        let run = tokio::spawn(async move {
            let _looking = looking;
            panic!("a reconcile went wrong");
        });
        assert!(run.await.is_err());
        let again = tokio::time::timeout(Duration::from_secs(60), queue.next()).await;
        assert_eq!(again, Ok(key));
    }
}
