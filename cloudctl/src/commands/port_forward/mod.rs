//! `port-forward`: listens here and carries each connection to a port of a machine, or carries one on standard input and
//! output.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::targets::{self, Named};
use crate::api::{Catalog, Query, Session};
use crate::args::Global;
use crate::args::instances::PortForwardArgs;
use crate::connect;
use crate::error::{Error, chain};
use crate::output::Screen;

mod carry;

/// How long to wait when no connection can be taken, for want of open files say.
const PAUSE: Duration = Duration::from_millis(500);

/// A port here and one of the machine; 0 here is any that is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    here: u16,
    there: u16,
}

impl Pair {
    /// `LOCAL:REMOTE`, `PORT` for both, `:REMOTE` for any port here.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not LOCAL:REMOTE, PORT or :REMOTE");
        let number = |word: &str| word.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
        match text.split_once(':') {
            None => number(text).map(|port| Self { here: port, there: port }),
            Some(("", there)) => Ok(Self { here: 0, there: number(there)? }),
            Some((here, there)) => Ok(Self { here: number(here)?, there: number(there)? }),
        }
    }
}

/// Forwards until it is interrupted; with `--stdio`, until the connection ends.
pub(super) async fn run(args: &PortForwardArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let pairs: Vec<_> =
        args.ports.iter().map(|port| Pair::parse(port)).collect::<Result<_, _>>().map_err(Error::Usage)?;
    let session = Arc::new(connect::connect(global, screen).await?);
    let catalog = Catalog::fetch(&session).await?;
    let named = targets::with_stream(&args.target, "portforward", &catalog, session.namespace())?;
    if let Some(port) = args.stdio {
        return one(&session, &named, port, tokio::io::stdin(), tokio::io::stdout()).await;
    }
    // Better said now than at the first connection.
    session.get(&named.path()).await?;
    let mut loops = JoinSet::new();
    for pair in pairs {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, pair.here)).await;
        let listener =
            listener.map_err(|error| Error::Failed(format!("port {} here can't be used: {error}", pair.here)))?;
        let address = listener.local_addr()?;
        screen.line(&format!("Forwarding {address} to port {} of {}", pair.there, named.full()))?;
        loops.spawn(listen(listener, session.clone(), named.clone(), pair.there, screen.clone()));
    }
    while loops.join_next().await.is_some() {}
    Ok(())
}

/// Takes connections for ever, each with one of its own to the machine.
async fn listen(listener: TcpListener, session: Arc<Session>, named: Named, port: u16, screen: Screen) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((mut socket, _)) => {
                    let (session, named, screen) = (session.clone(), named.clone(), screen.clone());
                    connections.spawn(async move {
                        let (reader, writer) = socket.split();
                        if let Err(error) = one(&session, &named, port, reader, writer).await {
                            screen.error(&chain(&error));
                        }
                    });
                }
                Err(error) => {
                    screen.error(&format!("a connection can't be taken: {error}"));
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn one(
    session: &Session,
    named: &Named,
    port: u16,
    reader: impl tokio::io::AsyncRead + Unpin,
    writer: impl tokio::io::AsyncWrite + Unpin,
) -> Result<(), Error> {
    let query = Query::new().with("ports", port.to_string());
    let path = named.resource.below(&named.namespace, &named.name, "portforward");
    let connection = session.websocket(&query.on(&path)).await?;
    carry::carry(connection.into_stream(), reader, writer).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_given_as_pairs_alone_or_with_any_port_here() {
        assert_eq!(Pair::parse("8080:80"), Ok(Pair { here: 8080, there: 80 }));
        assert_eq!(Pair::parse("80"), Ok(Pair { here: 80, there: 80 }));
        assert_eq!(Pair::parse(":80"), Ok(Pair { here: 0, there: 80 }));
        for wrong in ["", ":", "80:", "0", "1:0", "x", "70000", "1:2:3"] {
            assert!(Pair::parse(wrong).is_err(), "{wrong}");
        }
    }
}
