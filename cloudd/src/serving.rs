//! Serves the API from a store: what the all-in-one process and a lone apiserver have in common.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apiserver::{ApiServer, Audit, Config, Identity, Measures, Orphans, Streams, SystemClock, TokenTable};
use apiserver_store::Storage;
use crds::iam::user::{User, UserSpec};
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::{ServeArgs, StateArgs};
use crate::master_key::Source;
use crate::{keys, kubeconfig, state};

/// The address that is served on, for as long as the process lives: whoever connects while the parts start anew waits.
pub(crate) struct Door {
    listener: std::net::TcpListener,
    pub(crate) address: SocketAddr,
}

impl Door {
    /// Takes the address.
    ///
    /// # Errors
    /// Somebody else has it.
    pub(crate) async fn open(listen: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("can't listen on {listen}: is another cloudd running? Choose another address with --listen")
        })?;
        let address = listener.local_addr().context("learn the address that is listened on")?;
        let listener = listener.into_std().context("keep the address that is listened on")?;
        Ok(Self { listener, address })
    }

    fn listener(&self) -> anyhow::Result<TcpListener> {
        let copy = self.listener.try_clone().context("share the address that is listened on")?;
        TcpListener::from_std(copy).context("listen")
    }
}

/// What becomes of the administrator's token where the kubeconfig doesn't have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenRule {
    /// It is made anew, and the old one is void: so a lost one is replaced.
    Replaced,
    /// It stays as it is, unless there is none yet.
    Kept,
}

/// What the process can do beside serving.
#[derive(Default)]
pub(crate) struct Parts {
    /// Logs and sessions.
    pub(crate) streams: Option<Arc<dyn Streams>>,
    /// Data without an object.
    pub(crate) orphans: Option<Arc<dyn Orphans>>,
    /// What is counted elsewhere.
    pub(crate) measures: Option<Measures>,
    /// Who did what.
    pub(crate) audit: Option<Arc<Audit>>,
}

/// A server that answers.
pub(crate) struct Serving {
    pub(crate) server: ApiServer,
    storage: Storage,
    pki: PathBuf,
    ending: CancellationToken,
    tasks: TaskTracker,
}

impl Serving {
    /// Starts to serve, and writes the kubeconfig if it can.
    ///
    /// # Errors
    /// Keys, files or kinds can't be made.
    pub(crate) async fn start(
        state: &StateArgs,
        serve: &ServeArgs,
        door: &Door,
        storage: &Storage,
        rule: TokenRule,
        parts: Parts,
    ) -> anyhow::Result<Self> {
        let pki = state::pki_dir(&state.data_dir);
        let mut names = serve.server_names.clone();
        if !serve.listen.ip().is_unspecified() {
            names.push(serve.listen.ip().to_string());
        }
        let path = serve.kubeconfig_path(state);
        let (tls, token, hash, key, is_new) = loop {
            let adopted = keys::adopt(storage, &pki)?;
            let tls = apiserver::tls::identity(&pki, &names, serve.client_ca_file.as_deref(), &SystemClock)
                .context("the certificates")?;
            let known = kubeconfig::token_of(&path);
            let kept = apiserver::tls::admin_token_hash(&pki).context("the administrator's token")?;
            let (token, hash) = match (kept, rule) {
                (Some(hash), TokenRule::Kept) => (known.filter(|known| apiserver::TokenHash::of(known) == hash), hash),
                _ => {
                    let made = apiserver::tls::bootstrap_token(&pki, known.as_deref());
                    let (token, hash) = made.context("the administrator's token")?;
                    (Some(token), hash)
                }
            };
            let key = apiserver::tls::service_account_key(&pki).context("the key of service accounts' tokens")?;
            if keys::publish(storage, &pki, &adopted).await? {
                break (tls, token, hash, key, adopted.is_nothing());
            }
        };

        let (ending, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut config = Config::new(storage.clone(), TokenTable::new().with(hash, Identity::master("admin")));
        config.service_account_key = Arc::new(key);
        config.public_address = match serve.server_names.first() {
            Some(name) => format!("{name}:{}", door.address.port()),
            None => door.address.to_string(),
        };
        config.service_account_issuers = Arc::new(serve.issuers.issuers(&serve.oidc)?);
        config.oidc = serve.oidc.issuer().context("the OpenID issuer")?;
        config.logins.access = Duration::from_secs(serve.access_token_seconds);
        config.streams = parts.streams;
        config.orphans = parts.orphans;
        config.key_source = Some(Arc::new(Source::new(state)));
        config.measures = parts.measures;
        config.audit = parts.audit;
        config.limits.user_requests_per_second = serve.user_requests_per_second;
        config.limits.user_request_burst = serve.user_request_burst;
        config.shutdown = ending.clone();
        config.tasks = tasks.clone();
        config.settings.insert(crds::INSTANCE_TYPE_SETTING.to_owned(), serve.instance_type.clone());
        let server = ApiServer::new(config).await.context("the apiserver")?;
        server.install_kinds(&definitions()?).await.context("the kinds")?;
        if is_new {
            make_first_user(&server).await.context("the first user")?;
            tracing::info!(
                kubeconfig = %path.display(),
                "nobody has a password yet: use this kubeconfig; `cloudctl passwd admin` sets the administrator's, \
                 `cloudctl user create NAME` makes others, `cloudctl login` logs in"
            );
        }
        let shipped = [crds::access::shipped(), controller::rights::shipped()].concat();
        server.install_shipped(&shipped).await.context("what is shipped")?;

        if let Some(token) = token {
            kubeconfig::write(&path, door.address, tls.authority.as_bytes(), &token)
                .with_context(|| format!("write the kubeconfig {}", path.display()))?;
            tracing::info!(kubeconfig = %path.display(), "the administrator's kubeconfig is written");
        } else {
            tracing::info!(
                kubeconfig = %path.display(),
                "no kubeconfig is written: the administrator's token is known only to the kubeconfig of the process \
                 that made it"
            );
        }
        let (accepting, listener) = (server.clone(), door.listener()?);
        tasks.spawn(async move { accepting.serve(listener, tls.server).await });
        Ok(Self { server, storage: storage.clone(), pki, ending, tasks })
    }

    /// Resolves when the parts must start anew, and says why.
    pub(crate) async fn is_outdated(&self) -> &'static str {
        tokio::select! {
            () = self.storage.replaced() => "the store was restored, or sealed with a key that was not known",
            () = keys::changed(&self.storage, &self.pki) => "the keys have changed",
        }
    }

    /// Answers what is under way, and no more.
    pub(crate) async fn end(&self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Makes the administrator's User, in an installation that nobody has served before: one that is deleted stays away. It has
/// no password, so nobody logs in by it until somebody sets one.
async fn make_first_user(server: &ApiServer) -> anyhow::Result<()> {
    let client = kube::Client::new(server.service_as(Identity::master("system:the-cloud:apiserver")), "default");
    let spec = UserSpec { groups: vec![apiserver::MASTERS.to_owned()], ..UserSpec::default() };
    match Api::<User>::all(client).create(&PostParams::default(), &User::new(crds::iam::user::FIRST, spec)).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        made => made.map(|_| ()).map_err(Into::into),
    }
}

/// Our kinds' definitions, as anybody would send them.
fn definitions() -> anyhow::Result<Vec<Value>> {
    crds::all().iter().map(|crd| serde_json::to_value(crd).context("write a definition as JSON")).collect()
}
