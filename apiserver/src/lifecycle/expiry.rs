//! Decides when an Event is old enough to go: a while after it last happened.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use apiserver_store::{Entry, Key};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// When each Event goes.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    line: BTreeSet<(Timestamp, Key)>,
    at: HashMap<Key, Timestamp>,
}

impl Expiry {
    pub(super) fn observe(&mut self, entry: &Entry, lifetime: Duration) {
        self.forget(&entry.key);
        let Some(last) = last_seen(&entry.value()) else { return };
        let lifetime = SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::MAX);
        let end = last.checked_add(lifetime).unwrap_or(Timestamp::MAX);
        self.line.insert((end, entry.key.clone()));
        self.at.insert(entry.key.clone(), end);
    }

    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(end) = self.at.remove(key) {
            self.line.remove(&(end, key.clone()));
        }
    }

    /// How long until the first one goes.
    pub(super) fn next(&self, now: Timestamp) -> Option<Duration> {
        let (end, _) = self.line.first()?;
        Some(Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO))
    }

    /// Takes out what is over.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<Key> {
        let mut due = Vec::new();
        while let Some((end, key)) = self.line.first().cloned() {
            if end > now {
                break;
            }
            self.forget(&key);
            due.push(key);
        }
        due
    }
}

/// When the Event last happened.
pub(super) fn last_seen(event: &Value) -> Option<Timestamp> {
    let times = [
        &event["metadata"]["creationTimestamp"],
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["series"]["lastObservedTime"],
    ];
    times.into_iter().filter_map(Value::as_str).filter_map(|time| time.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use apiserver_store::{ResourceId, Revision};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn event(name: &str, last: &str) -> Entry {
        let body = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "lastTimestamp": last});
        Entry {
            key: Key::new(ResourceId::new("", "events"), "a", name),
            uid: Uuid::nil(),
            revision: Revision(1),
            body: body.to_string().into(),
            labels: Default::default(),
        }
    }

    #[test]
    fn event_that_happens_again_lives_longer() {
        let (mut expiry, hour) = (Expiry::default(), Duration::from_secs(3600));
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        expiry.observe(&event("e", "2026-01-01T00:00:00Z"), hour);
        assert_eq!(expiry.next(at("2026-01-01T00:30:00Z")), Some(Duration::from_secs(1800)));
        expiry.observe(&event("e", "2026-01-01T00:30:00Z"), hour);
        assert!(expiry.take_due(at("2026-01-01T01:00:00Z")).is_empty());
        assert_eq!(expiry.take_due(at("2026-01-01T01:30:00Z")).len(), 1);
        assert_eq!(expiry.next(at("2026-01-01T01:30:00Z")), None);
    }
}
