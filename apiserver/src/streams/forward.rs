//! `portforward`: connections to ports of a machine, over the WebSocket channels that kube clients speak: for the n-th
//! port channel 2n carries its bytes and 2n+1 an error in words, and the first message on each names the port.
//!
//! The machine is looked for before the client hears that the connection is switched, so that a refusal is a plain
//! Status; a port that nobody listens on is an error on its own channel. The session ends when every connection has, or
//! with the client. Nothing is kept of what passes: whoever is slow is waited for.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::Request;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};
use tokio_util::io::ReaderStream;

use super::exec::{MESSAGE_BYTES, PING, SILENCE, send};
use super::{Dialled, StreamError, StreamPermit, StreamTarget, Streams, end, refused, websocket};
use crate::body::RequestBody;
use crate::error::ApiError;
use crate::query::Query;
use crate::response::Answer;
use crate::verbs::Call;

/// Most ports of one session.
const PORTS: usize = 16;
/// Most bytes of one message to the client.
const PIECE: usize = 32 * 1024;
/// The fourth version alone: clients that offer the fifth know nothing of its close messages here.
const PROTOCOLS: [&str; 1] = ["v4.channel.k8s.io"];

/// One port and what became of dialling it.
struct Port {
    number: u16,
    connection: Result<Dialled, String>,
}

pub(super) async fn forward(
    call: &Call,
    streams: Arc<dyn Streams>,
    target: StreamTarget,
    request: &mut Request<RequestBody>,
) -> Result<Answer, ApiError> {
    let numbers = numbers(&call.query)?;
    let permit = request.extensions().get::<StreamPermit>().cloned();
    let (answer, upgrade) = websocket::accept(request, &PROTOCOLS)?;
    let mut ports = Vec::new();
    for number in numbers {
        let connection = match streams.dial(&target, number).await {
            Ok(connection) => Ok(connection),
            Err(StreamError::Refused(why)) => Err(why),
            Err(error) => return Err(refused(call, &error)),
        };
        ports.push(Port { number, connection });
    }
    let shutdown = call.state.config.shutdown.clone();
    call.state.config.tasks.spawn(async move {
        tokio::select! {
            () = run(upgrade, ports) => {}
            () = end(shutdown, permit) => {}
        }
    });
    Ok(answer)
}

/// `ports=80,1234`, or one `ports` each.
pub(super) fn numbers(query: &Query) -> Result<Vec<u16>, ApiError> {
    let mut numbers = Vec::new();
    for word in query.all("ports").flat_map(|words| words.split(',')).map(str::trim).filter(|word| !word.is_empty()) {
        let number = word.parse().ok().filter(|number| *number > 0);
        numbers.push(number.ok_or_else(|| ApiError::bad_request(format!("`{word}` in `ports` is not a port")))?);
    }
    match numbers.len() {
        0 => Err(ApiError::bad_request("query parameter `ports` is required: ports=80,1234")),
        1..=PORTS => Ok(numbers),
        count => Err(ApiError::bad_request(format!("{count} `ports` are more than the {PORTS} that one session has"))),
    }
}

async fn run(upgrade: OnUpgrade, ports: Vec<Port>) {
    let Ok(upgraded) = upgrade.await else { return };
    let limits = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES)).max_frame_size(Some(MESSAGE_BYTES));
    converse(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(limits)).await, ports).await;
}

/// Carries all connections until they have ended or the client has left; then all of them are dropped.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(socket: WebSocketStream<S>, ports: Vec<Port>) {
    let (mut sink, source) = socket.split();
    let (mut readers, mut writers) = (Vec::new(), Vec::new());
    for (index, port) in (0_u8..).step_by(2).zip(ports) {
        for channel in [index, index + 1] {
            if !send(&mut sink, Message::Binary(websocket::write(channel, &port.number.to_le_bytes()))).await {
                return;
            }
        }
        match port.connection {
            Ok(connection) => {
                let (reader, writer) = tokio::io::split(connection);
                readers.push((index, reader));
                writers.push(Some(writer));
            }
            Err(why) => {
                if !send(&mut sink, Message::Binary(websocket::write(index + 1, why.as_bytes()))).await {
                    return;
                }
                writers.push(None);
            }
        }
    }
    tokio::select! {
        () = write(sink, readers) => {}
        () = listen(source, writers) => {}
    }
}

/// Sends what comes from the machine, and now and then a ping, until no connection is left.
async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    readers: Vec<(u8, ReadHalf<Dialled>)>,
) {
    let mut pings = tokio::time::interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let pieces = readers.into_iter().map(|(channel, reader)| {
        ReaderStream::with_capacity(reader, PIECE).map(move |piece| match piece {
            Ok(bytes) => websocket::write(channel, &bytes),
            Err(error) => websocket::write(channel + 1, format!("the connection broke off: {error}").as_bytes()),
        })
    });
    let mut pieces = stream::select_all(pieces);
    loop {
        let message = tokio::select! {
            piece = pieces.next() => match piece {
                Some(piece) => Message::Binary(piece),
                None => break,
            },
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        if !send(&mut sink, message).await {
            return;
        }
    }
    let _gone_already = tokio::time::timeout(SILENCE, sink.close()).await;
}

/// Passes on what the client sends until it leaves, or answers no ping.
async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    mut source: SplitStream<WebSocketStream<S>>,
    mut writers: Vec<Option<WriteHalf<Dialled>>>,
) {
    while let Ok(Some(Ok(message))) = tokio::time::timeout(SILENCE, source.next()).await {
        let data = match message {
            Message::Binary(data) => data,
            Message::Close(_) => return,
            _ => continue,
        };
        let (channel, bytes) = match data.split_first() {
            // Ours, besides what upstream has: the client sends no more on this channel.
            Some((&websocket::CLOSE, [channel])) => (*channel, &[][..]),
            Some((channel, bytes)) => (*channel, bytes),
            None => continue,
        };
        // Nothing comes on the channels for errors.
        if channel % 2 == 1 {
            continue;
        }
        let Some(slot) = writers.get_mut(usize::from(channel / 2)) else { continue };
        let Some(writer) = slot else { continue };
        let is_end = data[0] == websocket::CLOSE;
        let passed = if is_end { writer.shutdown().await } else { writer.write_all(bytes).await };
        // A machine that takes no more may still have something to say.
        if is_end || passed.is_err() {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::*;

    #[test]
    fn ports_are_read_in_either_form_and_bounded() {
        let read = |query: &str| numbers(&Query::parse(Some(query)));
        assert_eq!(read("ports=80%2C1234").unwrap(), [80, 1234]);
        assert_eq!(read("ports=80&ports=81").unwrap(), [80, 81]);
        for wrong in ["", "ports=", "ports=0", "ports=70000", "ports=80,x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read(&format!("ports={}", ["1"; PORTS + 1].join(","))).is_err());
    }

    async fn pair(bytes: usize) -> (WebSocketStream<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = tokio::io::duplex(bytes);
        let server = WebSocketStream::from_raw_socket(near, Role::Server, None).await;
        (server, WebSocketStream::from_raw_socket(far, Role::Client, None).await)
    }

    /// A port of a machine, and the machine's end of it.
    fn port(number: u16) -> (Port, DuplexStream) {
        let (ours, machine) = tokio::io::duplex(64);
        (Port { number, connection: Ok(Box::new(ours)) }, machine)
    }

    async fn binary(client: &mut WebSocketStream<DuplexStream>) -> Bytes {
        loop {
            match client.next().await.unwrap().unwrap() {
                Message::Binary(data) => return data,
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_port_has_its_channels_and_its_end() {
        let (server, mut client) = pair(1024).await;
        let ((first, mut web), (second, mut database)) = (port(80), port(0x1538));
        let closed = Port { number: 9, connection: Err("port 9: connection refused".to_owned()) };
        let task = tokio::spawn(converse(server, vec![first, closed, second]));
        let mut seen = Vec::new();
        for _ in 0..7 {
            seen.push(binary(&mut client).await);
        }
        assert_eq!(seen[..2], [&b"\x00\x50\x00"[..], b"\x01\x50\x00"]);
        assert_eq!(seen[2..5], [&b"\x02\x09\x00"[..], b"\x03\x09\x00", b"\x03port 9: connection refused"]);
        assert_eq!(seen[5..], [&b"\x04\x38\x15"[..], b"\x05\x38\x15"]);

        client.send(Message::Binary("\u{4}select".into())).await.unwrap();
        client.send(Message::Binary("\u{2}lost".into())).await.unwrap();
        client.send(Message::Binary(b"\x09lost"[..].into())).await.unwrap();
        client.send(Message::Binary("\0GET".into())).await.unwrap();
        client.send(Message::Binary(b"\xff\x00"[..].into())).await.unwrap();
        let mut asked = String::new();
        web.read_to_string(&mut asked).await.unwrap();
        assert_eq!(asked, "GET", "the end of the input comes through");
        let mut select = [0; 6];
        database.read_exact(&mut select).await.unwrap();

        web.write_all(b"page").await.unwrap();
        assert_eq!(binary(&mut client).await, "\0page");
        drop(web);
        database.write_all(b"row").await.unwrap();
        assert_eq!(binary(&mut client).await, "\u{4}row");
        drop(database);
        assert!(client.next().await.unwrap().unwrap().is_close());
        drop(client);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn connection_is_closed_when_the_client_leaves_or_answers_no_ping() {
        for leaves in [true, false] {
            let (server, client) = pair(1024).await;
            let (port, mut machine) = port(80);
            let begin = Instant::now();
            let task = tokio::spawn(converse(server, vec![port]));
            let kept = (!leaves).then_some(client);
            assert_eq!(machine.read(&mut [0; 8]).await.unwrap(), 0, "the machine sees the end");
            task.await.unwrap();
            assert_eq!(begin.elapsed(), if leaves { Duration::ZERO } else { SILENCE });
            drop(kept);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn machine_that_takes_nothing_holds_the_client_up_and_fills_no_memory() {
        let (server, mut client) = pair(1024).await;
        let (port, machine) = port(80);
        let task = tokio::spawn(converse(server, vec![port]));
        let mut sent = 0;
        let piece = Message::Binary(vec![0; 64].into());
        while let Ok(taken) = tokio::time::timeout(Duration::from_secs(1), client.send(piece.clone())).await {
            taken.unwrap();
            sent += 1;
            assert!(sent < 100, "somebody keeps all of it");
        }
        drop(machine);
        drop(client);
        task.await.unwrap();
    }
}
