//! The servers that are measured: ours, started for it on each store, and peers that run already.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use apiserver_store_postgres::testing::PostgresServer;
use base64::Engine as _;
use e2e::{Cloud, Store};
use kube::config::Kubeconfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::process::Processes;

/// A server, ready to be asked.
pub(crate) struct Target {
    pub(crate) name: String,
    /// Host and port.
    pub(crate) authority: String,
    pub(crate) authorization: String,
    pub(crate) tls: TlsConnector,
    pub(crate) processes: Processes,
    /// Kept so that it goes on running.
    own: Option<(Cloud, Option<PostgresServer>)>,
}

/// A server that somebody else has started.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    name: String,
    url: String,
    ca: String,
    token: String,
    pids: Vec<u32>,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut peer =
            Self { name: "peer".into(), url: String::new(), ca: String::new(), token: String::new(), pids: Vec::new() };
        for part in text.split(',') {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is not `key=value`"))?;
            match key {
                "name" => value.clone_into(&mut peer.name),
                "url" => value.clone_into(&mut peer.url),
                "ca" => value.clone_into(&mut peer.ca),
                "token" => value.clone_into(&mut peer.token),
                "pid" => peer.pids.push(value.parse().map_err(|_| format!("`{value}` is not a process id"))?),
                _ => return Err(format!("`{key}` is none of name, url, ca, token, pid")),
            }
        }
        if peer.url.is_empty() || peer.ca.is_empty() { Err("`url` and `ca` are needed".into()) } else { Ok(peer) }
    }
}

impl Target {
    /// Starts a server of ours on a store of its own.
    pub(crate) async fn ours(store: &str) -> anyhow::Result<Self> {
        let builder = Cloud::builder().fake();
        let (cloud, postgres) = match store {
            "sqlite" => (builder.start(), None),
            "postgres" => {
                let server = PostgresServer::start().context("PostgreSQL's binaries are not installed")?;
                let url = server.create_database().await;
                (builder.store(Store::Postgres(url)).start(), Some(server))
            }
            other => anyhow::bail!("`{other}` is no store: `sqlite` or `postgres`"),
        };
        let kubeconfig = Kubeconfig::read_from(cloud.kubeconfig())?;
        let cluster = kubeconfig.clusters.first().and_then(|named| named.cluster.as_ref()).context("no cluster")?;
        let user = kubeconfig.auth_infos.first().and_then(|named| named.auth_info.as_ref()).context("no user")?;
        let ca = cluster.certificate_authority_data.as_deref().context("no certificate authority")?;
        let ca = base64::engine::general_purpose::STANDARD.decode(ca)?;
        let token = serde_json::to_value(user)?["token"].as_str().context("no token")?.to_owned();
        let processes = processes(&cloud, postgres.as_ref())?;
        Ok(Self {
            name: format!("cloudd, {store}"),
            authority: authority(cluster.server.as_deref().context("no server")?),
            authorization: format!("Bearer {token}"),
            tls: connector(CertificateDer::pem_slice_iter(&ca).collect::<Result<_, _>>()?)?,
            processes,
            own: Some((cloud, postgres)),
        })
    }

    /// Kills the server and starts it on the data that it left. Returns the time from the start to the first answer.
    pub(crate) fn restart(&mut self) -> anyhow::Result<Duration> {
        let (cloud, postgres) = self.own.as_mut().context("only a server of ours is restarted")?;
        cloud.kill();
        let began = Instant::now();
        cloud.launch();
        let took = began.elapsed();
        self.processes = processes(cloud, postgres.as_ref())?;
        Ok(took)
    }

    pub(crate) fn peer(peer: &Peer) -> anyhow::Result<Self> {
        let certificates = CertificateDer::pem_file_iter(Path::new(&peer.ca))?.collect::<Result<_, _>>()?;
        Ok(Self {
            name: peer.name.clone(),
            authority: authority(&peer.url),
            authorization: format!("Bearer {}", peer.token),
            tls: connector(certificates)?,
            processes: Processes::of(peer.pids.clone()),
            own: None,
        })
    }
}

/// cloudd, and the PostgreSQL that it keeps its state in.
fn processes(cloud: &Cloud, postgres: Option<&PostgresServer>) -> anyhow::Result<Processes> {
    let mut pids = vec![cloud.pid()];
    if let Some(server) = postgres {
        let pid = std::fs::read_to_string(server.folder().join("data/postmaster.pid"))?;
        pids.push(pid.lines().next().context("an empty postmaster.pid")?.trim().parse()?);
    }
    Ok(Processes::of(pids))
}

fn authority(url: &str) -> String {
    url.trim_start_matches("https://").trim_end_matches('/').to_owned()
}

fn connector(certificates: Vec<CertificateDer<'static>>) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
