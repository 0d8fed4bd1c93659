//! Asks the host's resolvers for names of the world: so many at a time, each for so long, and nothing is kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::PORT;
use super::answer::HEADER;

/// Most questions of one network that wait for the world at a time.
const CONCURRENT: usize = 64;
/// How long one resolver is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// As many resolvers as other programs ask.
const RESOLVERS: usize = 3;
/// Where the host says whom it asks.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How a question came, and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// One network's way to the world's names.
#[derive(Clone)]
pub(super) struct Forwarder {
    resolvers: Option<Arc<[SocketAddr]>>,
    places: Arc<Semaphore>,
}

impl Forwarder {
    /// `None`: whom the host asks, at each time.
    pub(super) fn new(resolvers: Option<Vec<SocketAddr>>) -> Self {
        Self { resolvers: resolvers.map(Arc::from), places: Arc::new(Semaphore::new(CONCURRENT)) }
    }

    /// The world's answer; `None` if there is none, or no place to wait for it.
    pub(super) async fn ask(&self, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let _place = self.places.try_acquire().ok()?;
        for resolver in self.resolvers().await {
            let asked = async {
                match transport {
                    Transport::Udp => ask_by_udp(question, resolver).await,
                    Transport::Tcp => ask_by_tcp(question, resolver).await,
                }
            };
            match timeout(PATIENCE, asked).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%resolver, %error, "a resolver of the host did not answer"),
                Err(_) => tracing::debug!(%resolver, "a resolver of the host did not answer in time"),
            }
        }
        None
    }

    async fn resolvers(&self) -> Vec<SocketAddr> {
        match &self.resolvers {
            Some(resolvers) => resolvers.to_vec(),
            None => in_resolv_conf(&tokio::fs::read_to_string(RESOLV_CONF).await.unwrap_or_default()),
        }
    }
}

/// The resolvers that the text names.
pub(super) fn in_resolv_conf(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let is_resolver = words.next() == Some("nameserver");
        is_resolver.then(|| words.next()?.parse().ok()).flatten()
    };
    let found: Vec<IpAddr> = text.lines().filter_map(address).take(RESOLVERS).collect();
    // Without any, the host itself is asked, as other programs do.
    let found = if found.is_empty() { vec![IpAddr::V4(Ipv4Addr::LOCALHOST)] } else { found };
    found.into_iter().map(|address| SocketAddr::new(address, PORT)).collect()
}

/// From a port of its own, which nobody guesses, so that only the resolver's answer is taken.
async fn ask_by_udp(question: &[u8], resolver: SocketAddr) -> io::Result<Vec<u8>> {
    let any: IpAddr = match resolver {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(resolver).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = buffer.get(..length).filter(|answer| answers(question, answer)) {
            return Ok(answer.to_vec());
        }
    }
}

async fn ask_by_tcp(question: &[u8], resolver: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(resolver).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    if answers(question, &answer) { Ok(answer) } else { Err(io::Error::other("it answers something else")) }
}

/// Whether it is an answer with the question's number.
fn answers(question: &[u8], answer: &[u8]) -> bool {
    answer.len() >= HEADER
        && answer.get(..2) == question.get(..2)
        && answer.get(2).is_some_and(|flags| flags & 0x80 != 0)
}
