//! The apiserver as the binary holds it: started once, reached through [`Service`]s and listeners.

use std::sync::Arc;

use apiserver_store::StoreError;
use serde_json::{Value, json};

use crate::access::{Identity, users};
use crate::admin::answer_key_questions;
use crate::catalog::Catalog;
use crate::config::Config;
use crate::error::{ApiError, Reason};
use crate::lifecycle::definitions::Definitions;
use crate::lifecycle::{Lifecycle, rules};
use crate::managed_fields::Author;
use crate::query::WriteOptions;
use crate::service::Service;
use crate::state::State;
use crate::verbs::create;
use crate::verbs::served::Served;

/// A running apiserver. Clones share everything.
#[derive(Clone)]
pub struct ApiServer {
    pub(crate) state: Arc<State>,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer").field("storage", self.state.storage()).finish_non_exhaustive()
    }
}

/// Why an apiserver does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store does not answer.
    #[error("failed to learn where the store stands")]
    Store(#[source] StoreError),
    /// The namespace that is always there can't be made.
    #[error("failed to make the namespace `default`")]
    Namespace(#[source] ApiError),
}

impl ApiServer {
    /// Serves the built-in kinds and those that are declared in the store, and starts what runs by itself.
    ///
    /// # Errors
    /// Where the store can't be read or written.
    pub async fn new(config: Config) -> Result<Self, StartError> {
        config.storage.fresh().await.map_err(StartError::Store)?;
        let mut definitions = Definitions::default();
        let now = config.clock.now();
        let catalog = Catalog::new(definitions.review(&config.storage, now).edition, now);
        let state = Arc::new(State::new(config, catalog));
        let server = Self { state };
        server.make_default_namespace().await.map_err(StartError::Namespace)?;
        let lifecycle = Arc::new(Lifecycle::new(Arc::clone(&server.state), definitions));
        let Config { tasks, shutdown, audit, storage, .. } = &server.state.config;
        tasks.spawn(lifecycle.run());
        tasks.spawn(tidy_logins(Arc::clone(&server.state)));
        tasks.spawn(answer_key_questions(Arc::clone(&server.state)));
        if let Some(audit) = audit {
            tasks.spawn(Arc::clone(audit).keep_noted(storage.clone(), shutdown.clone()));
        }
        Ok(server)
    }

    /// The service for strangers: every request brings a bearer token.
    #[must_use]
    pub fn service(&self) -> Service {
        Service::new(Arc::clone(&self.state), None)
    }

    /// The service for somebody in this process, without a token.
    #[must_use]
    pub fn service_as(&self, identity: Identity) -> Service {
        Service::new(Arc::clone(&self.state), Some(identity))
    }

    /// What `/metrics` says.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.state.metrics.text()
    }

    async fn make_default_namespace(&self) -> Result<(), ApiError> {
        let edition = self.state.catalog.edition();
        let Some(served) = Served::find(&edition, "", "v1", "namespaces") else {
            return Err(ApiError::internal("the kind Namespace is not compiled in"));
        };
        if self.state.storage().get(&served.key("", rules::DEFAULT_NAMESPACE)).is_some() {
            return Ok(());
        }
        let value: Value = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": rules::DEFAULT_NAMESPACE},
        });
        match create::make(&self.state, &served, "", value.into(), &WriteOptions::default(), &Author::server("")).await
        {
            Err(error) if error.reason != Reason::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }
}

/// Removes what is left of logins and users, now and then.
async fn tidy_logins(state: Arc<State>) {
    let tidy = async {
        loop {
            tokio::time::sleep(users::INTERVAL).await;
            state.authenticator.users.tidy().await;
            state.authenticator.signer.tidy().await;
        }
    };
    state.config.shutdown.run_until_cancelled(tidy).await;
}
