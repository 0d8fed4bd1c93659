//! What the controllers count. The names are the contract with dashboards.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Of which kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabels {
    /// The kind.
    pub kind: &'static str,
}

/// Of which kind, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    /// The kind.
    pub kind: &'static str,
    /// `settled`, `again` or `failed`.
    pub result: &'static str,
}

/// What the controllers count. Cloning shares the counts.
#[derive(Debug, Clone)]
pub struct Metrics {
    reconciles: Family<ResultLabels, Counter>,
    steps: Family<KindLabels, Counter>,
    durations: Family<KindLabels, Histogram, fn() -> Histogram>,
    depths: Family<KindLabels, Gauge>,
    leader: Gauge,
    orphans: Counter<u64, AtomicU64>,
}

fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            reconciles: Family::default(),
            steps: Family::default(),
            durations: Family::new_with_constructor(histogram as fn() -> Histogram),
            depths: Family::default(),
            leader: Gauge::default(),
            orphans: Counter::default(),
        }
    }
}

impl Metrics {
    /// Puts them all into a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("controller");
        registry.register("reconciles", "Reconciles, by how they ended", self.reconciles.clone());
        registry.register("steps", "Steps applied to the real world", self.steps.clone());
        registry.register("reconcile_duration_seconds", "How long reconciles took", self.durations.clone());
        registry.register("queue_depth", "Objects waiting to be looked at", self.depths.clone());
        registry.register("leader", "Whether this process is the active controller", self.leader.clone());
        registry.register("orphans_removed", "Machines and networks without an object, removed", self.orphans.clone());
    }

    pub(crate) fn reconciled(&self, kind: &'static str, result: &'static str, took: Duration) {
        self.reconciles.get_or_create(&ResultLabels { kind, result }).inc();
        self.durations.get_or_create(&KindLabels { kind }).observe(took.as_secs_f64());
    }

    pub(crate) fn stepped(&self, kind: &'static str) {
        self.steps.get_or_create(&KindLabels { kind }).inc();
    }

    pub(crate) fn depth(&self, kind: &'static str, depth: usize) {
        self.depths.get_or_create(&KindLabels { kind }).set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    pub(crate) fn leading(&self, leading: bool) {
        self.leader.set(i64::from(leading));
    }

    pub(crate) fn orphan_removed(&self) {
        self.orphans.inc();
    }

    /// How many reconciles there were, however they ended.
    #[must_use]
    pub fn reconcile_count(&self, kind: &'static str) -> u64 {
        ["settled", "again", "failed"]
            .into_iter()
            .map(|result| self.reconciles.get_or_create(&ResultLabels { kind, result }).get())
            .sum()
    }
}
