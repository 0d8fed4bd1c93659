//! Opens the connection that one question is asked on. The address that was judged is the one that is connected to: a
//! name that means another address a moment later changes nothing. Nothing is sent before the judgement.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use controller_backend::ImportError;
use http_body_util::Empty;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// How many addresses of a name are tried.
const ADDRESSES: usize = 4;
/// The most that an answer's head may take.
const HEAD_BYTES: usize = 64 << 10;

/// A way to ask one question. What carries it ends when it is dropped.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Empty<Bytes>>,
    pub(super) carrier: JoinSet<()>,
}

/// How connections are opened.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    /// Whether addresses that are not public are allowed.
    pub(super) allow_private: bool,
    /// Which ones are.
    pub(super) is_public: fn(IpAddr) -> bool,
    /// How long each step may take.
    pub(super) patience: Duration,
    /// Whom TLS trusts; read when first needed.
    pub(super) trust: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Connector {
    pub(super) async fn open(&self, url: &Url) -> Result<Connection, ImportError> {
        let stream = self.reach(url).await?;
        if url.scheme() != "https" {
            return self.shake_hands(url, stream).await;
        }
        let name = match url.host() {
            Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
            Some(Host::Ipv4(address)) => Some(ServerName::from(IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => Some(ServerName::from(IpAddr::V6(address))),
            None => None,
        };
        let name = name.ok_or_else(|| refused(format!("`{}` is no host that TLS can name", origin(url))))?;
        let trust = self.trust.get_or_init(|| Arc::new(system_trust())).clone();
        let secured = timeout(self.patience, TlsConnector::from(trust).connect(name, stream));
        let secured = secured.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let secured = secured.map_err(|error| unreachable(url, "TLS with it fails", &error))?;
        self.shake_hands(url, secured).await
    }

    async fn reach(&self, url: &Url) -> Result<TcpStream, ImportError> {
        let addresses = self.resolve(url).await?;
        if !self.allow_private && !addresses.iter().all(|address| (self.is_public)(address.ip())) {
            return Err(private(url));
        }
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in addresses.into_iter().take(ADDRESSES) {
            match timeout(self.patience, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return self.judge(url, stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(unreachable(url, "it can't be connected to", &last))
    }

    async fn resolve(&self, url: &Url) -> Result<Vec<SocketAddr>, ImportError> {
        let none = || refused(format!("`{url}` names no host"));
        let port = url.port_or_known_default().ok_or_else(none)?;
        Ok(match url.host().ok_or_else(none)? {
            Host::Ipv4(address) => vec![(address, port).into()],
            Host::Ipv6(address) => vec![(address, port).into()],
            Host::Domain(name) => {
                let found = timeout(self.patience, lookup_host((name, port))).await;
                let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                found.map_err(|error| unreachable(url, "its address is not found", &error))?.collect()
            }
        })
    }

    /// What is connected to its own address is the host itself, by whatever public address.
    fn judge(&self, url: &Url, stream: TcpStream) -> Result<TcpStream, ImportError> {
        let ends = stream.peer_addr().and_then(|peer| Ok((peer.ip(), stream.local_addr()?.ip())));
        let (peer, local) = ends.map_err(|error| unreachable(url, "it can't be connected to", &error))?;
        if self.allow_private || (self.is_public)(peer) && peer != local { Ok(stream) } else { Err(private(url)) }
    }

    async fn shake_hands<S>(&self, url: &Url, stream: S) -> Result<Connection, ImportError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(url, "HTTP with it fails", &error))?;
        let mut carrier = JoinSet::new();
        // How it ends is told by the answer, too.
        carrier.spawn(async move { drop(connection.await) });
        Ok(Connection { sender, carrier })
    }
}

/// Whom the host's other programs trust.
fn system_trust() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(error = error.to_string(), "some of the host's certificate authorities can't be read");
    }
    roots.add_parsable_certificates(found.certs);
    trusting(roots)
}

/// A client that trusts these.
pub(super) fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions that rustls does")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Scheme, host and port, for people: what follows may be a key.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

pub(super) fn refused(message: String) -> ImportError {
    ImportError::Refused { message }
}

pub(super) fn unreachable(url: &Url, what: &str, error: &dyn std::error::Error) -> ImportError {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    ImportError::Unreachable { message: format!("the download from `{}` fails: {what}: {innermost}", origin(url)) }
}

/// Where it is instead is not told: a stranger could explore the host's network so.
fn private(url: &Url) -> ImportError {
    refused(format!(
        "`{}` is not at a public address: the server downloads from others only if it is started with --image-allow-private",
        origin(url)
    ))
}
