//! Listens: TLS, HTTP/1.1 and HTTP/2 on one port, with upgrades. Every connection ends when the server does, when
//! nobody needs it, or when its client doesn't take what it asked for.

mod line;
mod sending;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::access::ClientCertificate;
use crate::login::Peer;
use crate::server::ApiServer;

pub(crate) use line::Line;
use line::{End, Strangers};
pub(crate) use sending::{Patience, sending};

/// For the head of a request on HTTP/1.1, and for the next request. Who hasn't said who they are has less.
const HEAD: Duration = Duration::from_secs(120);
/// Every watch holds a stream of its connection.
const STREAMS_PER_CONNECTION: u32 = 1_000;
/// What is kept of an answer that a client on HTTP/2 doesn't take.
const SEND_BUFFER: usize = 64 << 10;
/// The headers of a request on HTTP/2, with its URL.
const HEADERS: u32 = 256 << 10;
/// Streams that a client opens and takes back before they are looked at, and mistakes of its: more is an attack.
const RESETS: usize = 100;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// After this the kernel gives up a client that has gone, or that takes nothing: never before the answer itself does.
const UNTAKEN: Duration = Duration::from_secs(330);
/// After a failure to accept, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// For requests under way when the server ends.
const GRACE: Duration = Duration::from_secs(10);

impl ApiServer {
    /// Answers whoever connects, until the server shuts down.
    pub async fn serve(&self, listener: TcpListener, tls: Arc<rustls::ServerConfig>) {
        let acceptor = TlsAcceptor::from(tls);
        let connections = Arc::new(Semaphore::new(self.state.config.limits.connections));
        let strangers = Strangers::new(self.state.config.limits.strangers);
        let open = TaskTracker::new();
        let shutdown = self.state.config.shutdown.clone();
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(&connections).acquire_owned() => permit,
                () = shutdown.cancelled() => break,
            };
            let (stream, peer) = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "a connection was not accepted");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
                () = shutdown.cancelled() => break,
            };
            let (server, acceptor, line) = (self.clone(), acceptor.clone(), Line::new());
            strangers.enter(&line);
            self.state.config.tasks.spawn(open.track_future(async move {
                let _permit = permit;
                if let Err(error) = server.talk(stream, Peer(peer.ip()), line, acceptor).await {
                    tracing::debug!(error = &*error, "a connection ended early");
                }
            }));
        }
        drop(listener);
        open.close();
        if tokio::time::timeout(GRACE, open.wait()).await.is_err() {
            tracing::warn!("some requests were still under way at the end");
        }
    }

    async fn talk(
        &self,
        stream: TcpStream,
        peer: Peer,
        line: Line,
        acceptor: TlsAcceptor,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        // Events are small and wanted at once.
        stream.set_nodelay(true)?;
        // A quiet watch whose client's host has vanished would stay open for ever.
        rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
        rustix::net::sockopt::set_tcp_keepidle(&stream, KEEP_ALIVE)?;
        rustix::net::sockopt::set_tcp_keepintvl(&stream, KEEP_ALIVE)?;
        rustix::net::sockopt::set_tcp_user_timeout(&stream, u32::try_from(UNTAKEN.as_millis())?)?;
        // A stranger has as long for it as for saying who they are.
        let stream = tokio::select! {
            accepted = acceptor.accept(stream) => accepted?,
            _ = line.end() => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        };
        let chain = stream.get_ref().1.peer_certificates();
        let certificate = chain.and_then(|chain| ClientCertificate::of(chain.first()?));
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_PER_CONNECTION)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(HEADERS)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(RESETS)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        let lines = line.clone();
        let service = self.service().map_request(move |mut request: http::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(lines.clone());
            request.extensions_mut().insert(peer);
            if let Some(certificate) = &certificate {
                request.extensions_mut().insert(certificate.clone());
            }
            request
        });
        let connection =
            builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = std::pin::pin!(connection);
        let shutdown = &self.state.config.shutdown;
        tokio::select! {
            ended = connection.as_mut() => return ended,
            end = line.end() => match end {
                End::Idle => {}
                End::Stalled => {
                    tracing::debug!("a client doesn't take what it asked for, its connection is closed");
                    return Ok(());
                }
                End::SentAway => return Ok(()),
            },
            () = shutdown.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        loop {
            match tokio::time::timeout(GRACE, connection.as_mut()).await {
                Ok(ended) => return ended,
                // Somebody asked for something while the client was being told.
                Err(_) if line.is_busy() && !shutdown.is_cancelled() => {}
                Err(_) => return Ok(()),
            }
        }
    }
}
