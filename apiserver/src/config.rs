//! What the binary decides about an apiserver: its store, who may come in, its limits, its clock, its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use apiserver_store::Storage;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Authorizer, Logins, Oidc, Rbac, ServiceAccountIssuers, ServiceAccountKey, TokenTable};
use crate::admin::{KeySource, Orphans};
use crate::audit::Audit;
use crate::clock::{Clock, SystemClock};
use crate::streams::Streams;

/// Registers counters of other parts of the process.
pub type Measures = Arc<dyn Fn(&mut Registry) + Send + Sync>;

/// Everything that an [`crate::ApiServer`] is made of.
#[derive(Clone)]
pub struct Config {
    /// Where objects are.
    pub storage: Storage,
    /// Who comes in over the network.
    pub tokens: TokenTable,
    /// What makes and proves the tokens of service accounts and users until it is rotated: then the store has its successors. One
    /// that is not kept makes tokens that die with the process; the apiservers of an installation share one.
    pub service_account_key: Arc<ServiceAccountKey>,
    /// By which names those tokens go. The apiservers of an installation share them.
    pub service_account_issuers: Arc<ServiceAccountIssuers>,
    /// Host and port by which others reach the server, for what says where its keys are published.
    pub public_address: String,
    /// How users log in.
    pub logins: Logins,
    /// An issuer whose ID tokens let its users in.
    pub oidc: Option<Oidc>,
    /// What they may do.
    pub authorizer: Arc<dyn Authorizer>,
    /// Logs and exec sessions of machines; without it these answer 503.
    pub streams: Option<Arc<dyn Streams>>,
    /// Data without an object; without it asking for that answers 503.
    pub orphans: Option<Arc<dyn Orphans>>,
    /// Where the master keys come from; without it they are those that the storage was opened with.
    pub key_source: Option<Arc<dyn KeySource>>,
    /// Registers what other parts of the process count, for `/metrics`.
    pub measures: Option<Measures>,
    /// What `/version` says.
    pub version: VersionInfo,
    /// How much is taken at once.
    pub limits: Limits,
    /// What charges may refer to by a name: what this installation takes where an object says nothing.
    pub settings: BTreeMap<String, String>,
    /// Where it is remembered who did what; without it nothing is.
    pub audit: Option<Arc<Audit>>,
    /// Where time stamps come from.
    pub clock: Arc<dyn Clock>,
    /// Makes uids and generated names repeat themselves, for simulations.
    pub seed: Option<u64>,
    /// Ends everything that was started here.
    pub shutdown: CancellationToken,
    /// Where background tasks are started.
    pub tasks: TaskTracker,
}

impl Config {
    /// The settings for production, over this store and with these tokens.
    #[must_use]
    pub fn new(storage: Storage, tokens: TokenTable) -> Self {
        Self {
            authorizer: Arc::new(Rbac::new(storage.clone())),
            storage,
            tokens,
            service_account_key: Arc::new(ServiceAccountKey::generate()),
            service_account_issuers: Arc::default(),
            public_address: "localhost:6443".to_owned(),
            logins: Logins::default(),
            oidc: None,
            streams: None,
            orphans: None,
            key_source: None,
            measures: None,
            version: VersionInfo::default(),
            limits: Limits::default(),
            settings: BTreeMap::new(),
            audit: None,
            clock: Arc::new(SystemClock),
            seed: None,
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }
}

/// How much is taken at once, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests for reading that are answered at the same time; one more is told to come back later. One user gets half
    /// of these at most, and less the more there are.
    pub reads: usize,
    /// Requests that change something, likewise. Large bodies take several of these.
    pub writes: usize,
    /// Watches, logs and sessions that are open at the same time.
    pub streams: usize,
    /// Those of them that one user may have.
    pub streams_per_user: usize,
    /// Requests a second of one user over time, whoever sends them in their name; 0 for no limit. Members of
    /// `system:masters` and what runs in this process don't count.
    pub user_requests_per_second: u32,
    /// Requests that a user may send at once after a pause.
    pub user_request_burst: u32,
    /// Connections that are open at the same time; more wait to be accepted.
    pub connections: usize,
    /// Those of them on which nobody has said who they are; for one more the oldest is closed.
    pub strangers: usize,
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// The time for a request that is no stream.
    pub request_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub untaken: Duration,
    /// How long a client may take nothing of a stream: somebody may be reading it page by page.
    pub stream_untaken: Duration,
    /// The time in which an answer that is no stream must have been taken.
    pub taking_timeout: Duration,
    /// The time between two bookmarks of a watch.
    pub bookmark_interval: Duration,
    /// How often it is asked whether who has a watch, a log or a session may have it still.
    pub tenure_interval: Duration,
    /// How long an Event is kept after it last happened.
    pub event_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reads: 400,
            writes: 200,
            streams: 10_000,
            streams_per_user: 2_500,
            user_requests_per_second: 500,
            user_request_burst: 2_000,
            connections: 10_000,
            strangers: 5_000,
            body_bytes: 3 << 20,
            request_timeout: Duration::from_secs(60),
            untaken: Duration::from_secs(60),
            stream_untaken: Duration::from_secs(300),
            taking_timeout: Duration::from_secs(600),
            bookmark_interval: Duration::from_secs(60),
            tenure_interval: Duration::from_secs(10),
            event_lifetime: Duration::from_secs(3600),
        }
    }
}

/// The Kubernetes version whose wire this server speaks.
const WIRE: (&str, &str) = ("1", "36");

/// What `/version` says.
#[derive(Debug, Clone)]
pub struct VersionInfo {
    /// The version of the product, as `0.1.0`.
    pub product: String,
    /// The commit that it was built from; may be empty.
    pub commit: String,
    /// When it was built, RFC 3339; may be empty.
    pub build_date: String,
}

impl Default for VersionInfo {
    fn default() -> Self {
        Self { product: env!("CARGO_PKG_VERSION").into(), commit: String::new(), build_date: String::new() }
    }
}

impl VersionInfo {
    /// The document. `gitVersion` is a semantic version that charts and tools can compare; its build part and the
    /// field `thecloud` tell our own tools that the server is ours.
    #[must_use]
    pub fn document(&self) -> Value {
        let (major, minor) = WIRE;
        json!({
            "major": major,
            "minor": minor,
            "gitVersion": format!("v{major}.{minor}.0+thecloud.{}", self.product),
            "gitCommit": self.commit,
            "gitTreeState": "",
            "buildDate": self.build_date,
            "goVersion": "",
            "compiler": "rustc",
            "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
            "thecloud": {"version": self.product},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_tells_kubernetes_and_the_product() {
        let document = VersionInfo { product: "0.1.0".into(), ..VersionInfo::default() }.document();
        assert_eq!(document["gitVersion"], "v1.36.0+thecloud.0.1.0");
        assert_eq!(document["thecloud"]["version"], "0.1.0");
    }
}
