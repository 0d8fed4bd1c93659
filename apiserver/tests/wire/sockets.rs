//! Clients on real connections who send or take nothing: none of them holds anything for long, or holds up others.

use std::sync::Arc;
use std::time::Duration;

use apiserver::{SystemClock, tls};
use http_body_util::BodyExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Server, TOKEN, config_map};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// What the kernel keeps on both ends of a connection is less.
const OBJECTS: usize = 60;

/// Where a server listens, and how to speak to it.
struct Door {
    address: std::net::SocketAddr,
    authority: Vec<u8>,
}

impl Door {
    async fn open(server: &Server) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let identity = tls::identity(directory.path(), &[], None, &SystemClock).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = server.server.clone();
        tokio::spawn(async move { serving.serve(listener, identity.server).await });
        Self { address, authority: identity.authority.into() }
    }

    async fn connect(&self, protocol: &str) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.authority).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::IpAddress(self.address.ip().into());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    /// A connection on which a request has been sent.
    async fn asking(&self, head: &str) -> TlsStream<TcpStream> {
        let mut stream = self.connect("http/1.1").await;
        let all = format!("{head} HTTP/1.1\r\nhost: cloud\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
        stream.write_all(all.as_bytes()).await.unwrap();
        stream
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it happens soon")
}

/// Reads until the other end closes.
async fn rest(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut read = Vec::new();
    // Whether it says goodbye or not.
    let _ = soon(stream.read_to_end(&mut read)).await;
    read
}

/// Waits until so many watch ConfigMaps.
async fn until_watchers(server: &Server, count: usize) {
    let line = format!("apiserver_watches{{resource=\"configmaps\"}} {count}\n");
    soon(async {
        while !server.server.metrics().contains(&line) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

async fn impatient() -> Server {
    Server::with(|config| {
        config.limits.request_timeout = Duration::from_millis(400);
        config.limits.untaken = Duration::from_millis(400);
        config.limits.stream_untaken = Duration::from_millis(400);
        config.limits.reads = 2;
    })
    .await
}

async fn fill(server: &Server) {
    for number in 0..OBJECTS {
        make(server, number).await;
    }
}

async fn make(server: &Server, number: usize) {
    let content = "x".repeat(500 << 10);
    server.post(MAPS, config_map(&format!("m{number}"), [("k", content.as_str())].into())).await.expect(201);
}

#[tokio::test]
async fn body_that_does_not_come_is_not_waited_for() {
    let server = impatient().await;
    let door = Door::open(&server).await;
    let mut stream = door.connect("http/1.1").await;
    let head = format!(
        "POST {MAPS} HTTP/1.1\r\nhost: cloud\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 1000\r\n\r\n{{\"a"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = String::from_utf8(rest(&mut stream).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(
        answer.contains("\"message\":\"Timeout: request did not complete within the allotted timeout\""),
        "{answer}"
    );
}

#[tokio::test]
async fn who_is_refused_before_the_body_has_come_gets_the_refusal_and_may_ask_again() {
    let server = Server::start().await;
    let door = Door::open(&server).await;
    let body = vec![b'x'; 1 << 20];
    for (authorization, code) in [("nobody's", "401 "), (TOKEN, "403 ")] {
        let mut stream = door.connect("http/1.1").await;
        let head = format!(
            "PUT {MAPS}/a HTTP/1.1\r\nhost: cloud\r\nauthorization: Bearer {authorization}\r\nimpersonate-user: bob\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        for _ in 0..2 {
            stream.write_all(head.as_bytes()).await.unwrap();
            // The server has the head for a while, and nothing else.
            stream.flush().await.unwrap();
            for part in body.chunks(100 << 10) {
                tokio::time::sleep(Duration::from_millis(5)).await;
                stream.write_all(part).await.unwrap();
            }
            let mut answer = vec![0; 4096];
            let length = soon(stream.read(&mut answer)).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]);
            assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{answer}");
        }
    }
}

#[tokio::test]
async fn list_that_is_not_taken_is_dropped() {
    let server = impatient().await;
    fill(&server).await;
    let door = Door::open(&server).await;
    let mut stream = door.asking(&format!("GET {MAPS}")).await;
    let mut begun = [0; 1024];
    stream.read_exact(&mut begun).await.unwrap();
    assert_eq!(server.get(MAPS).await.code, 429, "its place is taken");
    soon(async {
        while server.get("/version").await.code == 429 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let read = rest(&mut stream).await;
    assert!(read.len() < OBJECTS * (500 << 10) && !read.ends_with(b"0\r\n\r\n"), "nobody takes a part for the whole");
}

#[tokio::test]
async fn list_that_is_not_taken_on_a_live_connection_ends_it() {
    let server = impatient().await;
    fill(&server).await;
    let door = Door::open(&server).await;
    let io = hyper_util::rt::TokioIo::new(door.connect("h2").await);
    let mut builder = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    let (mut sender, connection) = builder.initial_stream_window_size(64 << 10).handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get(format!("https://cloud{MAPS}")).header("authorization", format!("Bearer {TOKEN}"));
    let answer = sender.send_request(request.body(String::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    // The connection goes on to be read, the answer isn't.
    let _ended = soon(connection).await.unwrap();
    assert!(answer.into_body().collect().await.is_err(), "nobody takes a part for the whole");
    soon(async {
        while server.get("/version").await.code == 429 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn watcher_that_takes_nothing_is_cut_off_and_holds_up_nobody() {
    let server = impatient().await;
    let door = Door::open(&server).await;
    let mut slow = door.asking(&format!("GET {MAPS}?watch=true")).await;
    let mut other = server.watch(&format!("{MAPS}?watch=true"), &[]).await;
    until_watchers(&server, 2).await;
    for number in 0..OBJECTS {
        make(&server, number).await;
        assert_eq!(other.next_brief().await, ("ADDED".into(), format!("m{number}")));
    }
    until_watchers(&server, 1).await;
    let read = rest(&mut slow).await;
    assert!(!read.ends_with(b"0\r\n\r\n"), "the end of a watch is not the end of the story");
}

#[tokio::test]
async fn quiet_watch_is_not_taken_for_a_slow_one() {
    let server = impatient().await;
    let door = Door::open(&server).await;
    let mut quiet = door.asking(&format!("GET {MAPS}?watch=true")).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    server.post(MAPS, config_map("m", [].into())).await.expect(201);
    let mut read = String::new();
    soon(async {
        while !read.contains("\"ADDED\"") {
            let mut part = [0; 4096];
            let length = quiet.read(&mut part).await.unwrap();
            assert!(length > 0, "it goes on: {read}");
            read += &String::from_utf8_lossy(&part[..length]);
        }
    })
    .await;
}

#[tokio::test]
async fn url_that_never_ends_is_refused() {
    let server = Server::start().await;
    let door = Door::open(&server).await;
    let selector = |values: usize| format!("GET {MAPS}?labelSelector=a%20in%20({}x)", "x,".repeat(values));
    for (values, expected) in [(30_000, "HTTP/1.1 200 "), (40_000, "HTTP/1.1 414 ")] {
        let mut stream = door.asking(&selector(values)).await;
        let mut head = [0; 13];
        soon(stream.read_exact(&mut head)).await.unwrap();
        assert_eq!(std::str::from_utf8(&head).unwrap(), expected);
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let server = Server::with(|config| config.limits.connections = 1).await;
    let door = Door::open(&server).await;
    let first = door.asking("GET /version").await;
    let second = door.asking("GET /version");
    tokio::pin!(second);
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
    assert!(waits.is_err(), "the only place is taken");
    drop(first);
    let mut second = soon(second).await;
    let mut head = [0; 12];
    second.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
}

#[tokio::test]
async fn strangers_keep_nobody_out_who_says_who_they_are() {
    let server = Server::with(|config| (config.limits.connections, config.limits.strangers) = (6, 3)).await;
    let door = Door::open(&server).await;
    let mut known = door.asking("GET /version").await;
    let mut head = [0; 12];
    soon(known.read_exact(&mut head)).await.unwrap();
    let mut strangers = Vec::new();
    for number in 0..12 {
        if number % 3 == 0 {
            strangers.push(door.connect("http/1.1").await.into_inner().0);
        } else {
            strangers.push(TcpStream::connect(door.address).await.unwrap());
        }
    }
    // Without them going, nobody comes in for ten seconds.
    let other = tokio::time::timeout(Duration::from_secs(5), door.asking("GET /version"));
    let mut other = other.await.expect("there is a place");
    tokio::time::timeout(Duration::from_secs(5), other.read_exact(&mut head)).await.expect("it is soon").unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    known.write_all(b"GET /version HTTP/1.1\r\nhost: cloud\r\nauthorization: Bearer x\r\n\r\n").await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(5), known.read(&mut head)).await.expect("it is soon");
    assert!(read.unwrap() > 0, "who has said who they are stays");
}

#[tokio::test]
async fn stranger_who_begins_many_logins_is_told_to_wait() {
    let server = Server::start().await;
    let door = Door::open(&server).await;
    let io = hyper_util::rt::TokioIo::new(door.connect("h2").await);
    let builder = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    let (sender, connection) = builder.handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut answers = futures::stream::FuturesUnordered::new();
    for _ in 0..40 {
        // The body never comes.
        let body = http_body_util::StreamBody::new(futures::stream::pending::<
            Result<hyper::body::Frame<bytes::Bytes>, std::io::Error>,
        >());
        let request = http::Request::post("https://cloud/auth/v1/login").body(body).unwrap();
        let mut sender = sender.clone();
        answers.push(async move { sender.send_request(request).await.unwrap().status() });
    }
    use futures::StreamExt;
    for _ in 0..40 - 16 {
        let answer = tokio::time::timeout(Duration::from_secs(4), answers.next()).await.expect("it is refused at once");
        assert_eq!(answer.unwrap(), 429);
    }
}

#[tokio::test]
async fn stranger_who_says_nothing_is_sent_away() {
    let server = Server::start().await;
    let door = Door::open(&server).await;
    let mut silent = door.connect("http/1.1").await;
    let mut slow = door.connect("http/1.1").await;
    slow.write_all(b"GET / HTTP/1.1\r\nhost: cl").await.unwrap();
    let mut h2 = door.connect("h2").await;
    h2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    // From here on only timers go on.
    tokio::time::pause();
    for stream in [&mut silent, &mut slow, &mut h2] {
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        assert!(!read.starts_with(b"HTTP/1.1 200"));
    }
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection on HTTP/2 on which nothing has been asked yet.
async fn begun(door: &Door) -> TlsStream<TcpStream> {
    let mut stream = door.connect("h2").await;
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat();
    stream.write_all(&preface).await.unwrap();
    stream
}

/// Sends the same again and again, and reads nothing; whether the server had enough before all was sent.
async fn floods(stream: &mut TlsStream<TcpStream>, parts: impl Iterator<Item = Vec<u8>>) -> bool {
    for part in parts {
        match tokio::time::timeout(Duration::from_secs(2), stream.write_all(&part)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return true,
        }
    }
    false
}

#[tokio::test]
async fn pings_are_not_piled_up_for_a_client_that_reads_no_answer() {
    let server = Server::start().await;
    let door = Door::open(&server).await;
    let mut stream = begun(&door).await;
    let many = frame(6, 0, 0, &[0; 8]).repeat(4_000);
    // 256 MB of them: what the kernel keeps on both ends is far less.
    assert!(floods(&mut stream, std::iter::repeat_n(many, 4_000)).await, "the server stops reading");
    let mut other = door.asking("GET /version").await;
    let mut head = [0; 12];
    soon(other.read_exact(&mut head)).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200", "others are answered");
}

#[tokio::test]
async fn streams_that_are_opened_and_taken_back_end_the_connection() {
    let server = Server::start().await;
    let door = Door::open(&server).await;
    let stream = begun(&door).await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    // `GET https://cloud/`
    let head = [&[0x82, 0x84, 0x87, 0x41, 5][..], b"cloud"].concat();
    let flood = async {
        for number in 0..200_000 {
            let stream = 2 * number + 1;
            let both = [frame(1, 5, stream, &head), frame(3, 0, stream, &8_u32.to_be_bytes())].concat();
            if writing.write_all(&both).await.is_err() {
                return number;
            }
        }
        200_000
    };
    let answered = async {
        let mut read = Vec::new();
        let _ = reading.read_to_end(&mut read).await;
        read
    };
    let (sent, read) = soon(futures::future::join(flood, answered)).await;
    assert!(sent < 200_000, "the connection was closed");
    // GOAWAY with ENHANCE_YOUR_CALM.
    let enough = read.windows(4).any(|window| window == 11_u32.to_be_bytes());
    assert!(enough, "{} bytes", read.len());
    let mut other = door.asking("GET /version").await;
    let mut line = [0; 12];
    soon(other.read_exact(&mut line)).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 200", "others are answered");
}

#[tokio::test]
async fn headers_that_never_end_are_refused() {
    let server = Server::start().await;
    let door = Door::open(&server).await;
    let mut stream = door.connect("http/1.1").await;
    stream.write_all(b"GET /version HTTP/1.1\r\nhost: cloud\r\n").await.unwrap();
    let line = format!("x-filler: {}\r\n", "x".repeat(1_000));
    let enough = floods(&mut stream, std::iter::repeat_n(line.into_bytes(), 100_000)).await;
    assert!(enough, "100 MB of headers were taken");

    let mut stream = begun(&door).await;
    // A header block that goes on in frame after frame.
    let literal = |name: &[u8]| [&[0x10, name.len() as u8][..], name, &[0x7f, 0x81, 0x7e], &[b'x'; 16_384]].concat();
    let block = literal(b"x-filler");
    let first = frame(1, 0, 1, &[0x82, 0x84, 0x87]);
    let parts =
        std::iter::once(first).chain(std::iter::repeat_n(block, 6_000).map(|block| frame(9, 0, 1, &block[..16_384])));
    assert!(floods(&mut stream, parts).await, "100 MB of headers were taken");
    let mut other = door.asking("GET /version").await;
    let mut line = [0; 12];
    soon(other.read_exact(&mut line)).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 200", "others are answered");
}
