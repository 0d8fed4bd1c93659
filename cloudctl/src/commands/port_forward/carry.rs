//! One connection to a port of a machine, over the WebSocket channels of Kubernetes' port forwarding: channel 0 carries
//! bytes, channel 1 an error in words, and the first message on each names the port.

use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::error::Error;

/// How often the connection is kept awake.
const PING: Duration = Duration::from_secs(10);
/// Most bytes of one message.
const PIECE: usize = 32 * 1024;

const DATA: u8 = 0;
const ERROR: u8 = 1;
const CLOSE: u8 = 255;

/// Carries bytes both ways until the machine's side has ended.
pub(super) async fn carry<S>(
    socket: WebSocketStream<S>,
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (sink, source) = socket.split();
    // Neither way waits for the other.
    tokio::select! {
        ended = receive(source, writer) => ended,
        error = send(sink, reader) => Err(error),
    }
}

async fn receive<S>(
    mut source: SplitStream<WebSocketStream<S>>,
    mut writer: impl AsyncWrite + Unpin,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut named = [false; 2];
    while let Some(message) = source.next().await {
        let data = match message.map_err(|error| lost(&error.to_string()))? {
            Message::Binary(data) => data,
            Message::Close(_) => break,
            _ => continue,
        };
        let Some((channel @ (&DATA | &ERROR), bytes)) = data.split_first() else { continue };
        if !std::mem::replace(&mut named[usize::from(*channel)], true) {
            continue;
        }
        if *channel == ERROR {
            return Err(Error::Failed(String::from_utf8_lossy(bytes).into_owned()));
        }
        if writer.write_all(bytes).await.is_err() || writer.flush().await.is_err() {
            // Nobody here wants the rest.
            return Ok(());
        }
    }
    if named == [false; 2] {
        return Err(lost("the server closed it"));
    }
    // Who listened may have left already.
    let _ = writer.shutdown().await;
    Ok(())
}

/// Comes back only when the server is lost.
async fn send<S>(mut sink: SplitSink<WebSocketStream<S>, Message>, mut reader: impl AsyncRead + Unpin) -> Error
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = vec![0; PIECE + 1];
    buffer[0] = DATA;
    let mut ping = tokio::time::interval(PING);
    ping.reset();
    let mut reads = true;
    loop {
        let message = tokio::select! {
            read = reader.read(&mut buffer[1..]), if reads => match read {
                Ok(count) if count > 0 => Message::binary(buffer[..=count].to_vec()),
                Ok(_) | Err(_) => {
                    reads = false;
                    Message::binary(vec![CLOSE, DATA])
                }
            },
            _ = ping.tick() => Message::Ping(bytes::Bytes::new()),
        };
        if let Err(error) = sink.send(message).await {
            return lost(&error.to_string());
        }
    }
}

fn lost(why: &str) -> Error {
    Error::Failed(format!("the connection to the machine was lost: {why}"))
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    async fn pair() -> (WebSocketStream<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = tokio::io::duplex(1024);
        let server = WebSocketStream::from_raw_socket(near, Role::Server, None).await;
        (server, WebSocketStream::from_raw_socket(far, Role::Client, None).await)
    }

    async fn say(server: &mut WebSocketStream<DuplexStream>, bytes: &'static [u8]) {
        server.send(Message::Binary(bytes.into())).await.unwrap();
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_the_end_of_one_is_not_the_end_of_the_other() {
        let (mut server, socket) = pair().await;
        let machine = tokio::spawn(async move {
            say(&mut server, b"\x00\x50\x00").await;
            say(&mut server, b"\x01\x50\x00").await;
            let mut asked = Vec::new();
            loop {
                match server.next().await.unwrap().unwrap().into_data().as_ref() {
                    [CLOSE, DATA] => break,
                    [DATA, bytes @ ..] => asked.extend_from_slice(bytes),
                    other => panic!("unexpected frame {other:?}"),
                }
            }
            say(&mut server, b"\x00pa").await;
            say(&mut server, b"\x00ge").await;
            server.close(None).await.unwrap();
            asked
        });
        let mut answer = Vec::new();
        carry(socket, &b"GET"[..], &mut answer).await.unwrap();
        assert_eq!((answer.as_slice(), machine.await.unwrap().as_slice()), (&b"page"[..], &b"GET"[..]));
    }

    #[tokio::test]
    async fn port_that_nobody_listens_on_is_an_error_in_the_servers_words() {
        let (mut server, socket) = pair().await;
        say(&mut server, b"\x00\x50\x00").await;
        say(&mut server, b"\x01\x50\x00").await;
        say(&mut server, b"\x01port 80: connection refused").await;
        let error = carry(socket, tokio::io::empty(), tokio::io::sink()).await.unwrap_err();
        assert_eq!(error.to_string(), "port 80: connection refused");
    }

    #[tokio::test]
    async fn server_that_goes_away_is_said() {
        let (server, socket) = pair().await;
        drop(server);
        let error = carry(socket, tokio::io::empty(), tokio::io::sink()).await.unwrap_err();
        assert!(error.to_string().contains("was lost"), "{error}");
    }

    #[tokio::test]
    async fn reader_that_leaves_ends_it() {
        let (mut server, socket) = pair().await;
        say(&mut server, b"\x00\x50\x00").await;
        say(&mut server, b"\x00page").await;
        let (ours, theirs) = tokio::io::duplex(8);
        drop(theirs);
        let (_idle, reader) = tokio::io::duplex(8);
        carry(socket, reader, ours).await.unwrap();
    }
}
