//! What is counted, and how `/metrics` says it (OpenMetrics text). It never decides anything.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use apiserver_store::Storage;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The `Content-Type` of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a request was.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) verb: String,
    pub(crate) resource: String,
    pub(crate) code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TimedLabels {
    verb: String,
    resource: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResourceLabels {
    resource: String,
}

/// The counters of an apiserver.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<TimedLabels, Histogram, fn() -> Histogram>,
    watches: Family<ResourceLabels, Gauge>,
    in_flight: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn durations() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

impl Metrics {
    /// The apiserver's own counters, and those that `measures` registers.
    pub(crate) fn new(storage: Storage, measures: Option<&(dyn Fn(&mut Registry) + Send + Sync)>) -> Self {
        let mut registry = Registry::default();
        if let Some(register) = measures {
            register(&mut registry);
        }
        let requests = Family::default();
        let durations: Family<TimedLabels, Histogram, fn() -> Histogram> = Family::new_with_constructor(durations);
        let watches = Family::default();
        let in_flight = Gauge::default();
        registry.register("apiserver_requests", "Requests that were answered", requests.clone());
        registry.register_with_unit(
            "apiserver_request_duration",
            "Time until the answer began, without streams",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register("apiserver_watches", "Watches that are open", watches.clone());
        registry.register("apiserver_requests_in_flight", "Requests that are being answered", in_flight.clone());
        registry.register_collector(Box::new(StoreCollector(storage)));
        Self { registry, requests, durations, watches, in_flight }
    }

    pub(crate) fn answered(&self, labels: RequestLabels, took: Option<Duration>) {
        if let Some(took) = took {
            let timed = TimedLabels { verb: labels.verb.clone(), resource: labels.resource.clone() };
            self.durations.get_or_create(&timed).observe(took.as_secs_f64());
        }
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts a request as being answered until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Held {
        Held::new(self.in_flight.clone())
    }

    /// Counts a watch as open until the guard is dropped.
    pub(crate) fn watching(&self, resource: String) -> Held {
        Held::new(self.watches.get_or_create(&ResourceLabels { resource }).clone())
    }

    /// The metrics in OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("a string takes all text");
        text
    }
}

/// One more on a gauge, as long as it lives.
#[derive(Debug)]
pub(crate) struct Held(Gauge<i64, AtomicI64>);

impl Held {
    fn new(gauge: Gauge<i64, AtomicI64>) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Reads the store's own counters whenever somebody looks.
#[derive(Debug)]
struct StoreCollector(Storage);

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.0.stats();
        let counters = [
            ("commits", "Transactions that were committed", stats.commits),
            ("failed_commits", "Transactions that failed or whose outcome was lost", stats.failed_commits),
            ("writes", "Writes that were accepted", stats.writes),
            ("rejected_writes", "Writes whose expectation was wrong", stats.rejected_writes),
            ("written_bytes", "Bytes of JSON in the accepted writes", stats.written_bytes),
            ("followed_changes", "Changes that other processes made", stats.followed_changes),
            ("reloads", "How often everything was read anew", stats.reloads),
            ("watchers_cut_off", "Watchers that were too slow", stats.watchers_cut_off),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let name = format!("apiserver_store_{name}");
            counter.encode(encoder.encode_descriptor(&name, help, None, counter.metric_type())?)?;
        }
        let seconds = ConstCounter::new(stats.commit_time.as_secs_f64());
        seconds.encode(encoder.encode_descriptor(
            "apiserver_store_commit",
            "Time spent in transactions",
            Some(&Unit::Seconds),
            seconds.metric_type(),
        )?)?;
        let gauges = [
            ("revision", "The revision that the cache has applied", stats.revision.0),
            ("objects", "Objects in the cache", stats.objects as u64),
            ("watchers", "Watches of the cache that are open", stats.watchers as u64),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::<u64>::new(value);
            let name = format!("apiserver_store_{name}");
            gauge.encode(encoder.encode_descriptor(&name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
