//! What every request and every background task shares.

use std::sync::Arc;

use apiserver_store::{Entry, Storage, StoreError, Write, WriteError};
use uuid::Uuid;

use crate::access::Authenticator;
use crate::catalog::Catalog;
use crate::clock::{Dice, whole_seconds};
use crate::config::Config;
use crate::error::{ApiError, Reason};
use crate::metrics::Metrics;
use crate::places::{Places, Share};
use crate::policy::Policies;
use crate::quota::Turns;
use crate::rates::Rates;

/// The inside of an [`crate::ApiServer`].
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) catalog: Catalog,
    pub(crate) authenticator: Authenticator,
    /// Tells this server from others of the same store.
    pub(crate) id: Uuid,
    pub(crate) dice: Dice,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) reads: Arc<Places>,
    pub(crate) writes: Arc<Places>,
    pub(crate) streams: Arc<Places>,
    pub(crate) rates: Rates,
    pub(crate) turns: Turns,
    pub(crate) policies: Policies,
}

impl State {
    pub(crate) fn new(config: Config, catalog: Catalog) -> Self {
        Self {
            catalog,
            authenticator: Authenticator::new(&config),
            id: Uuid::new_v4(),
            dice: Dice::new(config.seed),
            metrics: Arc::new(Metrics::new(config.storage.clone(), config.measures.as_deref())),
            reads: Places::new(config.limits.reads, Share::Equal),
            writes: Places::new(config.limits.writes, Share::Equal),
            streams: Places::new(config.limits.streams, Share::Fixed(config.limits.streams_per_user)),
            rates: Rates::new(config.limits.user_requests_per_second, config.limits.user_request_burst),
            turns: Turns::default(),
            policies: Policies::default(),
            config,
        }
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.config.storage
    }

    /// The present moment as a `metav1.Time`.
    pub(crate) fn timestamp(&self) -> String {
        whole_seconds(self.config.clock.now())
    }

    /// Learns what was committed by anybody before this call.
    pub(crate) async fn refresh(&self) -> Result<(), ApiError> {
        self.storage().fresh().await.map(|_| ()).map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the store cannot say where it stands");
            store_unavailable()
        })
    }

    /// One write, with those that happen only together with it; an outage is logged here, everything else is the caller's to word.
    pub(crate) async fn write(&self, write: Write, bound: Vec<Write>) -> Result<Arc<Entry>, WriteError> {
        let result = self.storage().write_bound(write, bound).await;
        if let Err(WriteError::Unavailable(error)) = &result {
            tracing::warn!(error = error.as_ref() as &dyn std::error::Error, "the store did not take a write");
        }
        result
    }
}

/// Why the database takes no write: with the cause, where somebody can do something about it.
pub(crate) fn store_refused(error: &StoreError) -> ApiError {
    if matches!(error, StoreError::Full { .. }) {
        let message =
            "the disk that the store is on is full, so nothing can be written; it goes on when there is room again";
        return ApiError::new(Reason::InsufficientStorage, message);
    }
    store_unavailable()
}

/// 503 while the database is away.
pub(crate) fn store_unavailable() -> ApiError {
    crate::response::retry_later(Reason::ServiceUnavailable, "the store is not available, please try again later")
}
