//! One connection as the requests on it see it: whether its client is known, whether it takes what it asked for, and
//! whether anything goes on at all. Decides when it has to end.
//!
//! Nothing is timed while nothing is sent but a look every now and then; a busy connection costs one timer.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How long a stranger may stay without a request of somebody who is known.
const STRANGER: Duration = Duration::from_secs(10);
/// How long a connection may stay without a request.
const IDLE: Duration = Duration::from_secs(120);

/// Requests that a stranger may have open at once, and still be told more than that it is too much.
const STRANGERS_REQUESTS: usize = 16;

/// A connection. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    is_known: AtomicBool,
    is_sent_away: AtomicBool,
    /// Answers that are being made or sent.
    open: AtomicUsize,
    /// When the last answer was sent, in milliseconds since the beginning.
    ended: AtomicU64,
    next: AtomicU64,
    /// Until when the client has to take the next part of an answer, by the answer's number.
    due: Mutex<HashMap<u64, Instant>>,
    changed: Notify,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody needs it.
    Idle,
    /// The client doesn't take what it asked for.
    Stalled,
    /// It is a stranger's, and there are too many.
    SentAway,
}

impl Line {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            began: Instant::now(),
            is_known: AtomicBool::new(false),
            is_sent_away: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            next: AtomicU64::new(0),
            due: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Somebody on it has said who they are.
    pub(crate) fn known(&self) {
        self.0.is_known.store(true, Ordering::Relaxed);
    }

    /// Whether nobody on it has said who they are, and so much is asked already that one more is too much.
    pub(crate) fn is_crowded(&self) -> bool {
        !self.0.is_known.load(Ordering::Relaxed) && self.0.open.load(Ordering::Relaxed) >= STRANGERS_REQUESTS
    }

    /// Closes it, if it is a stranger's.
    fn send_away(&self) {
        self.0.is_sent_away.store(true, Ordering::Relaxed);
        self.0.changed.notify_one();
    }

    /// A request has come.
    pub(crate) fn begin(&self) -> Pace {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Pace { number: self.0.next.fetch_add(1, Ordering::Relaxed), line: self.clone(), is_due: false }
    }

    /// Whether an answer is being made or sent.
    pub(super) fn is_busy(&self) -> bool {
        self.0.open.load(Ordering::Relaxed) > 0
    }

    /// Waits until the connection has to end.
    pub(super) async fn end(&self) -> End {
        let inner = &self.0;
        loop {
            if inner.is_sent_away.load(Ordering::Relaxed) && !inner.is_known.load(Ordering::Relaxed) {
                return End::SentAway;
            }
            let now = Instant::now();
            let due = inner.due().values().min().copied();
            if due.is_some_and(|due| due <= now) {
                return End::Stalled;
            }
            let look = self.idle_until(now);
            if look <= now {
                return End::Idle;
            }
            tokio::select! {
                () = sleep_until(due.map_or(look, |due| due.min(look))) => {}
                () = inner.changed.notified() => {}
            }
        }
    }

    /// When nobody will need it if nothing happens until then.
    fn idle_until(&self, now: Instant) -> Instant {
        let inner = &self.0;
        if self.is_busy() {
            return now + IDLE;
        }
        if !inner.is_known.load(Ordering::Relaxed) {
            return inner.began + STRANGER;
        }
        inner.began + Duration::from_millis(inner.ended.load(Ordering::Relaxed)) + IDLE
    }
}

impl Inner {
    fn due(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections on which nobody has said who they are. They have no more than so many places: for one more the oldest of
/// them goes, so that whoever says soon who they are comes in, however many others say nothing.
#[derive(Debug)]
pub(super) struct Strangers {
    most: usize,
    lines: Mutex<VecDeque<Weak<Inner>>>,
}

impl Strangers {
    pub(super) fn new(most: usize) -> Self {
        Self { most, lines: Mutex::default() }
    }

    /// One more is there.
    pub(super) fn enter(&self, line: &Line) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= self.most {
            let is_stranger = |inner: Arc<Inner>| !inner.is_known.load(Ordering::Relaxed);
            lines.retain(|line| line.upgrade().is_some_and(is_stranger));
        }
        while lines.len() >= self.most.max(1) {
            if let Some(oldest) = lines.pop_front().and_then(|line| line.upgrade()) {
                Line(oldest).send_away();
            }
        }
        lines.push_back(Arc::downgrade(&line.0));
    }
}

/// How fast a client takes one answer. The answer is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Pace {
    line: Line,
    number: u64,
    is_due: bool,
}

impl Pace {
    /// A part was handed out; the client has until then to take it.
    pub(crate) fn offered(&mut self, until: Instant) {
        self.is_due = true;
        let mut due = self.line.0.due();
        let is_first = due.is_empty();
        due.insert(self.number, until);
        drop(due);
        if is_first {
            self.line.0.changed.notify_one();
        }
    }

    /// What was handed out is taken.
    pub(crate) fn taken(&mut self) {
        if std::mem::take(&mut self.is_due) {
            self.line.0.due().remove(&self.number);
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.taken();
        let inner = &self.line.0;
        let since = u64::try_from(inner.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        inner.ended.store(since, Ordering::Relaxed);
        inner.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn end_after(line: &Line) -> (End, u64) {
        let began = Instant::now();
        (line.end().await, began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn stranger_leaves_soon_and_who_is_known_when_nothing_is_asked_any_more() {
        assert_eq!(end_after(&Line::new()).await, (End::Idle, 10));
        let line = Line::new();
        let request = line.begin();
        line.known();
        assert!(tokio::time::timeout(Duration::from_secs(3600), line.end()).await.is_err(), "a watch is open");
        drop(request);
        assert_eq!(end_after(&line).await, (End::Idle, 120));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_stranger_goes_for_a_new_one_and_who_is_known_stays() {
        let strangers = Strangers::new(2);
        let lines: Vec<Line> = (0..4).map(|_| Line::new()).collect();
        lines[0].known();
        lines.iter().for_each(|line| strangers.enter(line));
        assert_eq!(end_after(&lines[1]).await, (End::SentAway, 0));
        for line in [&lines[0], &lines[2], &lines[3]] {
            assert!(tokio::time::timeout(Duration::from_secs(1), line.end()).await.is_err());
        }
    }

    #[test]
    fn stranger_with_many_requests_is_crowded_until_they_say_who_they_are() {
        let line = Line::new();
        let requests: Vec<Pace> = (0..STRANGERS_REQUESTS).map(|_| line.begin()).collect();
        assert!(line.is_crowded());
        line.known();
        assert!(!line.is_crowded());
        drop(requests);
    }

    #[tokio::test(start_paused = true)]
    async fn one_answer_that_is_not_taken_ends_the_connection_whatever_the_others_do() {
        let line = Line::new();
        line.known();
        let (mut slow, mut quick) = (line.begin(), line.begin());
        let minute = Duration::from_secs(60);
        let traffic = async {
            slow.offered(Instant::now() + minute);
            loop {
                quick.offered(Instant::now() + minute);
                tokio::time::sleep(Duration::from_secs(1)).await;
                quick.taken();
            }
        };
        tokio::select! {
            () = traffic => {}
            end = end_after(&line) => assert_eq!(end, (End::Stalled, 60)),
        }
        slow.taken();
        drop((slow, quick));
        assert_eq!(end_after(&line).await.0, End::Idle);
    }
}
