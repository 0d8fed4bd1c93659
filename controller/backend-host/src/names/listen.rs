//! The sockets of one network: so many questions at a time, none too long, nobody waited for.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::{Answer, answer};
use super::forward::{Forwarder, Transport};
use super::table::Table;

/// The longest question that is read. Longer ones are of no use for looking up names.
const LONGEST: usize = 4096;
/// Most questions by UDP that are worked on at a time; only those for the world take any time.
const QUESTIONS: usize = 64;
/// Most connections at a time.
const CONNECTIONS: usize = 32;
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(5);
/// The pause after a failure that may last.
const PAUSE: Duration = Duration::from_millis(100);

type Latest = watch::Receiver<Arc<Table>>;

/// Both sockets, bound.
pub(super) struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Sockets {
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        Ok(Self { udp: UdpSocket::bind(tcp.local_addr()?).await?, tcp })
    }

    #[cfg(test)]
    pub(super) fn address(&self) -> SocketAddr {
        self.tcp.local_addr().expect("it is bound")
    }

    /// Answers by whichever table is the latest, in these tasks.
    pub(super) fn serve(self, tasks: &mut JoinSet<()>, table: &Latest, forwarder: &Forwarder) {
        tasks.spawn(serve_udp(Arc::new(self.udp), table.clone(), forwarder.clone()));
        tasks.spawn(serve_tcp(self.tcp, table.clone(), forwarder.clone()));
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, table: Latest, forwarder: Forwarder) {
    // One byte more than the longest, so that a longer one is told from it.
    let mut buffer = vec![0; LONGEST + 1];
    let mut waiting = JoinSet::new();
    loop {
        while waiting.try_join_next().is_some() {}
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // A peer that is gone makes one, and the address may be away for a while.
                tracing::debug!(%error, "a question for a name could not be read");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some(question) = buffer.get(..length).filter(|question| question.len() <= LONGEST) else { continue };
        let latest = table.borrow().clone();
        if !is_inside(&latest, from) {
            continue;
        }
        match answer(question, &latest) {
            Answer::Silence => {}
            // Whoever gets no answer asks again.
            Answer::Reply(reply) => drop(socket.send_to(&reply, from).await),
            Answer::Forward { otherwise } if waiting.len() >= QUESTIONS => {
                drop(socket.send_to(&otherwise, from).await);
            }
            Answer::Forward { otherwise } => {
                let (socket, forwarder, question) = (socket.clone(), forwarder.clone(), question.to_vec());
                waiting.spawn(async move {
                    let found = forwarder.ask(&question, Transport::Udp).await;
                    drop(socket.send_to(&found.unwrap_or(otherwise), from).await);
                });
            }
        }
    }
}

async fn serve_tcp(listener: TcpListener, table: Latest, forwarder: Forwarder) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection for names could not be taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        // Too many: whoever is refused comes again.
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let latest = table.clone();
        if !is_inside(&latest.borrow(), from) {
            continue;
        }
        let forwarder = forwarder.clone();
        connections.spawn(async move {
            let _place = place;
            // It ends when the other side does.
            let _ = converse(stream, &latest, &forwarder).await;
        });
    }
}

/// One question after the other, as they come.
async fn converse(mut stream: TcpStream, table: &Latest, forwarder: &Forwarder) -> io::Result<()> {
    loop {
        let Some(question) = timeout(SILENCE, read(&mut stream)).await?? else { return Ok(()) };
        let latest = table.borrow().clone();
        let reply = match answer(&question, &latest) {
            Answer::Silence => return Ok(()),
            Answer::Reply(reply) => reply,
            Answer::Forward { otherwise } => forwarder.ask(&question, Transport::Tcp).await.unwrap_or(otherwise),
        };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        timeout(SILENCE, stream.write_all(&[&length.to_be_bytes(), reply.as_slice()].concat())).await??;
    }
}

/// `None` at the end, or where a question is too long.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => usize::from(other?),
    };
    if length > LONGEST {
        return Ok(None);
    }
    let mut question = vec![0; length];
    stream.read_exact(&mut question).await?;
    Ok(Some(question))
}

fn is_inside(table: &Table, from: SocketAddr) -> bool {
    matches!(from.ip(), IpAddr::V4(address) if table.range.contains(&address))
}
