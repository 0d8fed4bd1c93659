//! Listens: TLS, HTTP/1.1 and HTTP/2 on one port, with upgrades. Every connection ends when the server does.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::server::ApiServer;

/// Connections that are open at the same time; more wait to be accepted.
const CONNECTIONS: usize = 10_000;
/// For the TLS handshake and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Every watch holds a stream of its connection.
const STREAMS_PER_CONNECTION: u32 = 1_000;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// After a failure to accept, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// For requests under way when the server ends.
const GRACE: Duration = Duration::from_secs(10);

impl ApiServer {
    /// Answers whoever connects, until the server shuts down.
    pub async fn serve(&self, listener: TcpListener, tls: Arc<rustls::ServerConfig>) {
        let acceptor = TlsAcceptor::from(tls);
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let shutdown = self.state.config.shutdown.clone();
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(&connections).acquire_owned() => permit,
                () = shutdown.cancelled() => break,
            };
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "a connection was not accepted");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
                () = shutdown.cancelled() => break,
            };
            let (server, acceptor, watcher) = (self.clone(), acceptor.clone(), graceful.watcher());
            self.state.config.tasks.spawn(async move {
                let _permit = permit;
                if let Err(error) = server.talk(stream, acceptor, watcher).await {
                    tracing::debug!(error = &*error, "a connection ended early");
                }
            });
        }
        drop(listener);
        if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests were still under way at the end");
        }
    }

    async fn talk(
        &self,
        stream: TcpStream,
        acceptor: TlsAcceptor,
        watcher: hyper_util::server::graceful::Watcher,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        // Events are small and wanted at once.
        stream.set_nodelay(true)?;
        // A quiet watch whose client's host has vanished would stay open for ever.
        rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
        rustix::net::sockopt::set_tcp_keepidle(&stream, KEEP_ALIVE)?;
        rustix::net::sockopt::set_tcp_keepintvl(&stream, KEEP_ALIVE)?;
        let stream = tokio::time::timeout(PATIENCE, acceptor.accept(stream))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_PER_CONNECTION)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        let service = TowerToHyperService::new(self.service());
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        watcher.watch(connection).await
    }
}
