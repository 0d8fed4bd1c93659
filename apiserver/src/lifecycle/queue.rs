//! What is to be done, each thing once, and again later when it failed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use futures::StreamExt;
use tokio_util::time::DelayQueue;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A queue without doubles. What is taken is not given out again until it is done.
pub(super) struct Queue<T> {
    waiting: VecDeque<T>,
    known: HashSet<T>,
    under_way: HashSet<T>,
    again: HashSet<T>,
    failures: HashMap<T, u32>,
    /// What is in `later` because somebody asked for it.
    planned: HashSet<T>,
    later: DelayQueue<T>,
}

impl<T: Clone + Eq + Hash> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            known: HashSet::new(),
            under_way: HashSet::new(),
            again: HashSet::new(),
            failures: HashMap::new(),
            planned: HashSet::new(),
            later: DelayQueue::new(),
        }
    }

    pub(super) fn push(&mut self, work: T) {
        if self.under_way.contains(&work) {
            self.again.insert(work);
        } else if self.known.insert(work.clone()) {
            self.waiting.push_back(work);
        }
    }

    /// Puts work in line after a while, unless that is planned already.
    pub(super) fn push_later(&mut self, work: T, pause: Duration) {
        if self.planned.insert(work.clone()) {
            self.later.insert(work, pause);
        }
    }

    pub(super) fn take(&mut self) -> Option<T> {
        let work = self.waiting.pop_front()?;
        self.known.remove(&work);
        self.under_way.insert(work.clone());
        Some(work)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The work is done; it starts anew if it was asked for meanwhile.
    pub(super) fn done(&mut self, work: &T) {
        self.failures.remove(work);
        self.finish(work);
    }

    /// The work failed and is tried again after a while, longer each time.
    pub(super) fn failed(&mut self, work: &T) {
        let failures = self.failures.entry(work.clone()).or_default();
        *failures += 1;
        let pause = FIRST_PAUSE.saturating_mul(1 << (*failures - 1).min(10)).min(LONGEST_PAUSE);
        self.later.insert(work.clone(), pause);
        self.finish(work);
    }

    fn finish(&mut self, work: &T) {
        self.under_way.remove(work);
        if self.again.remove(work) {
            self.push(work.clone());
        }
    }

    /// Waits until something that failed or was planned is due, and puts it in line. For ever where there is nothing.
    pub(super) async fn wait(&mut self) {
        match self.later.next().await {
            Some(due) => {
                self.planned.remove(due.get_ref());
                self.push(due.into_inner());
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_is_given_out_once_and_again_when_asked_for_meanwhile() {
        let mut queue = Queue::new();
        queue.push("a");
        queue.push("a");
        assert_eq!(queue.take(), Some("a"));
        assert_eq!(queue.take(), None);
        queue.push("a");
        assert_eq!(queue.take(), None);
        queue.done(&"a");
        assert_eq!(queue.take(), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn planned_work_comes_once_and_can_be_planned_again() {
        let mut queue = Queue::new();
        let pause = Duration::from_secs(30);
        for _ in 0..2 {
            queue.push_later("a", pause);
            queue.push_later("a", pause);
            let began = tokio::time::Instant::now();
            queue.wait().await;
            assert_eq!(began.elapsed().as_secs(), 30);
            assert_eq!((queue.take(), queue.take()), (Some("a"), None));
            queue.done(&"a");
            assert!(queue.later.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failed_work_comes_back_later_and_later() {
        let mut queue = Queue::new();
        let mut pauses = Vec::new();
        for _ in 0..3 {
            queue.push("a");
            let work = queue.take().unwrap();
            queue.failed(&work);
            let began = tokio::time::Instant::now();
            queue.wait().await;
            pauses.push(began.elapsed());
            queue.take().unwrap();
            queue.finish(&"a");
        }
        assert!(pauses[0] < pauses[1] && pauses[1] < pauses[2], "{pauses:?}");
    }
}
