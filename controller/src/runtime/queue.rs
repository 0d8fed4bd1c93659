//! Which objects are to be looked at, and when. A key that is woken many times is looked at once; one that is being
//! looked at is looked at again afterwards, never twice at a time. No timer is kept for a key that nobody asked to
//! look at again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::store::Key;

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after failures in a row.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How looking at an object ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing more to do until something happens.
    Settled,
    /// Look again after this.
    After(Duration),
    /// It failed: look again after a pause that grows with failures in a row.
    Retry,
}

/// Whether looking at an object follows on a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The last look didn't fail, as far as this process knows.
    First,
    /// The last look failed.
    Again,
}

/// Keys to look at. Cloning shares the queue.
#[derive(Debug, Clone, Default)]
pub struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Key>,
    /// The same as `ready`.
    queued: BTreeSet<Key>,
    by_time: BTreeSet<(Instant, Key)>,
    /// The same as `by_time`.
    times: BTreeMap<Key, Instant>,
    running: BTreeSet<Key>,
    /// Of those running, the ones to run again.
    again: BTreeSet<Key>,
    /// Of those running, the ones to run again unless they fail.
    nudged: BTreeSet<Key>,
    failures: BTreeMap<Key, u32>,
}

impl Queue {
    /// Looks at the object as soon as can be.
    pub fn wake(&self, key: Key) {
        let mut state = self.state();
        state.unschedule(&key);
        if state.running.contains(&key) {
            state.again.insert(key);
        } else if state.queued.insert(key.clone()) {
            state.ready.push_back(key);
            self.0.changed.notify_one();
        }
    }

    /// Looks at the object as soon as can be, unless it waits after a failure: what our own failed attempt stirs up
    /// must not shorten the pause before the next.
    pub fn nudge(&self, key: Key) {
        let mut state = self.state();
        if state.running.contains(&key) {
            state.nudged.insert(key);
        } else if !state.failures.contains_key(&key) {
            drop(state);
            self.wake(key);
        }
    }

    /// Looks at the object after a while, or earlier if something else wants so.
    pub fn wake_after(&self, key: Key, pause: Duration) {
        let mut state = self.state();
        if !state.queued.contains(&key) && !state.again.contains(&key) {
            state.schedule(key, Instant::now() + pause);
            self.0.changed.notify_one();
        }
    }

    /// The next key. It counts as running until [`Queue::done`]. One caller at a time.
    pub async fn next(&self) -> Key {
        loop {
            let next_time = {
                let mut state = self.state();
                state.release(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.queued.remove(&key);
                    state.unschedule(&key);
                    state.running.insert(key.clone());
                    return key;
                }
                state.by_time.first().map(|(time, _)| *time)
            };
            match next_time {
                Some(time) => tokio::select! {
                    () = self.0.changed.notified() => {}
                    () = tokio::time::sleep_until(time) => {}
                },
                None => self.0.changed.notified().await,
            }
        }
    }

    /// Looking at the key ended.
    pub fn done(&self, key: Key, next: Next) {
        let mut state = self.state();
        state.running.remove(&key);
        let pause = match next {
            Next::Settled => {
                state.failures.remove(&key);
                None
            }
            Next::After(pause) => {
                state.failures.remove(&key);
                Some(pause)
            }
            Next::Retry => {
                let failures = state.failures.entry(key.clone()).or_default();
                let pause = FIRST_PAUSE.saturating_mul(1 << (*failures).min(10)).min(LONGEST_PAUSE);
                *failures = failures.saturating_add(1);
                Some(pause)
            }
        };
        let nudged = state.nudged.remove(&key) && next != Next::Retry;
        if state.again.remove(&key) || nudged {
            state.queued.insert(key.clone());
            state.ready.push_back(key);
        } else if let Some(pause) = pause {
            state.schedule(key, Instant::now() + pause);
        }
        self.0.changed.notify_one();
    }

    /// Whether the last look at the key failed.
    #[must_use]
    pub fn attempt(&self, key: &Key) -> Attempt {
        if self.state().failures.contains_key(key) { Attempt::Again } else { Attempt::First }
    }

    /// How many keys are ready and not yet looked at.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.state().ready.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Moves what is due to the ready ones.
    fn release(&mut self, now: Instant) {
        while let Some((time, key)) = self.by_time.first().cloned() {
            if time > now {
                break;
            }
            self.unschedule(&key);
            if self.running.contains(&key) {
                self.again.insert(key);
            } else if self.queued.insert(key.clone()) {
                self.ready.push_back(key);
            }
        }
    }

    /// The earlier time wins.
    fn schedule(&mut self, key: Key, time: Instant) {
        if self.times.get(&key).is_some_and(|known| *known <= time) {
            return;
        }
        self.unschedule(&key);
        self.times.insert(key.clone(), time);
        self.by_time.insert((time, key));
    }

    fn unschedule(&mut self, key: &Key) {
        if let Some(time) = self.times.remove(key) {
            self.by_time.remove(&(time, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("default", name)
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_woken_twice_is_looked_at_once() {
        let queue = Queue::default();
        queue.wake(key("a"));
        queue.wake(key("a"));
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(queue.depth(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_woken_while_it_is_looked_at_is_looked_at_again_afterwards() {
        let queue = Queue::default();
        queue.wake(key("a"));
        let running = queue.next().await;
        queue.wake(key("a"));
        assert_eq!(queue.depth(), 0);
        queue.done(running, Next::Settled);
        assert_eq!(queue.next().await, key("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_double_the_pause_up_to_its_limit() {
        let queue = Queue::default();
        queue.wake(key("a"));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let running = queue.next().await;
            let start = Instant::now();
            queue.done(running, Next::Retry);
            queue.next().await;
            pauses.push(start.elapsed().as_millis() / 1000);
            queue.done(key("a"), Next::Retry);
        }
        assert_eq!(pauses.first(), Some(&1));
        assert_eq!(pauses.last(), Some(&30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_nudge_does_not_shorten_the_pause_after_a_failure() {
        let queue = Queue::default();
        queue.wake(key("a"));
        let running = queue.next().await;
        queue.nudge(key("a"));
        queue.done(running, Next::Retry);
        queue.nudge(key("a"));
        let start = Instant::now();
        let running = queue.next().await;
        assert_eq!(start.elapsed(), FIRST_PAUSE);
        queue.nudge(key("a"));
        queue.done(running, Next::Settled);
        queue.next().await;
        assert_eq!(start.elapsed(), FIRST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_two_times_wins_and_waking_wins_over_both() {
        let queue = Queue::default();
        queue.wake_after(key("a"), Duration::from_secs(60));
        queue.wake_after(key("a"), Duration::from_secs(5));
        let start = Instant::now();
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(start.elapsed().as_secs(), 5);
        queue.done(key("a"), Next::After(Duration::from_secs(60)));
        queue.wake(key("a"));
        queue.next().await;
        assert_eq!(start.elapsed().as_secs(), 5);
    }
}
