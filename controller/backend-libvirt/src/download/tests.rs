//! What becomes of downloads from servers of all sorts, each a real one on this host.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::LazyLock;

use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::connect::trusting;
use super::*;

const CONTENT: &[u8] = b"a disk of many bytes";

/// What a server does once it was asked.
#[derive(Clone)]
enum Answer {
    /// It says this and hangs up.
    Says(String),
    /// It says this, and nothing more for ever.
    Holds(String),
    /// It says this, and then zeros for ever.
    Floods(String),
}

/// A server on this host that answers every request alike, but for those below `/to/`, which it redirects to what follows.
struct Server {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(answer: Answer) -> Self {
        Self::listen("127.0.0.1:0", answer, None).await
    }

    async fn listen(place: &str, answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(place).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, tls) = (answer.clone(), tls.clone());
                clients.spawn(async move {
                    let _ = match tls {
                        Some(tls) => serve(tls.accept(stream).await?, answer).await,
                        None => serve(stream, answer).await,
                    };
                    io::Result::Ok(())
                });
            }
        });
        Self { address, _tasks: tasks }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

async fn serve<S: tokio::io::AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: Answer) -> io::Result<()> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(stream.read_u8().await?);
    }
    let asked = String::from_utf8_lossy(&asked).into_owned();
    let path = asked.split(' ').nth(1).unwrap_or_default();
    if let Some(place) = path.strip_prefix("/to/") {
        let answer = format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await?;
        return stream.shutdown().await;
    }
    match answer {
        Answer::Says(text) => stream.write_all(text.as_bytes()).await?,
        Answer::Holds(text) => {
            stream.write_all(text.as_bytes()).await?;
            stream.flush().await?;
            std::future::pending::<()>().await;
        }
        Answer::Floods(text) => {
            stream.write_all(text.as_bytes()).await?;
            loop {
                stream.write_all(&[0; 1 << 16]).await?;
            }
        }
    }
    stream.shutdown().await
}

fn whole() -> Answer {
    let text = String::from_utf8_lossy(CONTENT);
    Answer::Says(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", CONTENT.len()))
}

static CHECKSUM: LazyLock<Checksum> = LazyLock::new(|| Checksum::new(Algorithm::Sha256, &Sha256::digest(CONTENT)));

fn wanted(url: &str) -> Wanted<'_> {
    Wanted { url, checksum: &CHECKSUM, max_bytes: None }
}

struct Target {
    _folder: tempfile::TempDir,
    file: PathBuf,
    progress: Progress,
}

fn target() -> Target {
    let folder = tempfile::tempdir().unwrap();
    Target { file: folder.path().join("image.download"), _folder: folder, progress: Progress::default() }
}

fn limits() -> DownloadLimits {
    DownloadLimits {
        allow_private: true,
        max_bytes: 1 << 20,
        connect: Duration::from_secs(5),
        stall: Duration::from_millis(300),
        ..DownloadLimits::default()
    }
}

async fn fetch_with(limits: DownloadLimits, url: &str) -> Result<Target, ImportError> {
    let target = target();
    Downloader::new(limits).fetch(wanted(url), &target.file, &target.progress).await.map(|()| target)
}

/// Fetches what must fail.
async fn failure(limits: DownloadLimits, url: &str) -> ImportError {
    let fetching = tokio::time::timeout(Duration::from_secs(20), fetch_with(limits, url));
    fetching.await.expect("it ends").err().unwrap_or_else(|| panic!("`{url}` was downloaded"))
}

#[tokio::test]
async fn what_is_served_is_written_to_the_file_by_either_hash() {
    let server = Server::start(whole()).await;
    for checksum in [CHECKSUM.clone(), Checksum::new(Algorithm::Sha512, &Sha512::digest(CONTENT))] {
        let target = target();
        let downloader = Downloader::new(limits());
        downloader
            .fetch(Wanted { checksum: &checksum, ..wanted(&server.url("disk")) }, &target.file, &target.progress)
            .await
            .unwrap();
        assert_eq!(std::fs::read(&target.file).unwrap(), CONTENT);
        assert_eq!(target.progress.percent(), Some(100));
    }
}

#[tokio::test]
async fn another_content_than_the_checksums_is_told_with_both() {
    let server = Server::start(Answer::Says("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx".to_owned())).await;
    let error = failure(limits(), &server.url("disk")).await;
    assert!(matches!(&error, ImportError::ChecksumMismatch { .. }), "{error:?}");
    assert!(error.to_string().contains(&CHECKSUM.to_string()), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_five_times() {
    let server = Server::start(whole()).await;
    let through = |times: usize| format!("{}disk", server.url(&"to//".repeat(times)));
    fetch_with(limits(), &through(5)).await.unwrap();
    let error = failure(limits(), &through(6)).await;
    assert!(matches!(&error, ImportError::Refused { message } if message.contains("5 times")), "{error:?}");
    let elsewhere = server.url("to/ftp://example.com/disk");
    let error = failure(limits(), &elsewhere).await;
    assert!(matches!(&error, ImportError::Refused { message } if message.contains("ftp")), "{error:?}");
}

#[tokio::test]
async fn an_address_that_is_not_public_is_never_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let strict = DownloadLimits { allow_private: false, ..limits() };
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"] {
        let error = failure(strict.clone(), &format!("http://{host}:{port}/")).await;
        let ImportError::Refused { message } = &error else { panic!("{host}: {error:?}") };
        assert!(message.contains("--image-allow-private") && message.contains("not at a public address"), "{message}");
    }
    let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(nobody.is_err(), "somebody connected");
}

/// One to which 127.0.0.2 is public, and nothing else.
fn strict() -> Downloader {
    let mut downloader = Downloader::new(DownloadLimits { allow_private: false, ..limits() });
    downloader.connector.is_public = |address| address == IpAddr::from([127, 0, 0, 2]);
    downloader
}

#[tokio::test]
async fn a_redirect_to_an_address_that_is_not_public_is_not_followed() {
    let secret = TcpListener::bind("127.0.0.3:0").await.unwrap();
    let place = secret.local_addr().unwrap();
    let server = Server::listen("127.0.0.2:0", whole(), None).await;
    let target = target();
    strict().fetch(wanted(&server.url("disk")), &target.file, &target.progress).await.expect("it is public");
    for url in [format!("to/http://{place}/latest/meta-data"), format!("to//to/http://{place}/")] {
        let error = strict().fetch(wanted(&server.url(&url)), &target.file, &target.progress).await;
        let Err(ImportError::Refused { message }) = &error else { panic!("{error:?}") };
        assert!(message.contains("not at a public address"), "{message}");
    }
    let nobody = tokio::time::timeout(Duration::from_millis(50), secret.accept()).await;
    assert!(nobody.is_err(), "somebody connected");
}

#[tokio::test]
async fn the_host_itself_is_not_asked_by_its_public_address() {
    let server = Server::start(whole()).await;
    let mut downloader = strict();
    downloader.connector.is_public = |_| true;
    let target = target();
    let error = downloader.fetch(wanted(&server.url("disk")), &target.file, &target.progress).await;
    assert!(matches!(error, Err(ImportError::Refused { .. })), "{error:?}");
}

#[tokio::test]
async fn what_is_not_there_needs_the_user_and_what_fails_may_come_later() {
    for (status, needs_user) in [
        ("404 Not Found", true),
        ("410 Gone", true),
        ("403 Forbidden", true),
        ("429 Too Many Requests", false),
        ("500 Internal Server Error", false),
        ("503 Service Unavailable", false),
        ("204 No Content", false),
    ] {
        let server = Server::start(Answer::Says(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"))).await;
        let error = failure(limits(), &server.url("disk?key=secret")).await;
        assert_eq!(matches!(error, ImportError::NoSuchSource { .. }), needs_user, "{error:?}");
        assert_eq!(matches!(error, ImportError::Unreachable { .. }), !needs_user, "{error:?}");
        assert!(error.to_string().contains(status) && !error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_off_is_no_download() {
    for head in ["content-length: 100", "transfer-encoding: chunked"] {
        let body = if head.starts_with("content") { "half" } else { "4\r\nhalf\r\n" };
        let server = Server::start(Answer::Says(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}"))).await;
        let error = failure(limits(), &server.url("disk")).await;
        assert!(matches!(&error, ImportError::Unreachable { message } if message.contains("broke off")), "{error:?}");
    }
    let silent = Server::start(Answer::Says(String::new())).await;
    let error = failure(limits(), &silent.url("disk")).await;
    assert!(matches!(error, ImportError::Unreachable { .. }), "{error:?}");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = failure(limits(), &format!("http://{nobody}/disk")).await;
    assert!(matches!(&error, ImportError::Unreachable { message } if message.contains("refused")), "{error:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_more_is_given_up() {
    let started = Instant::now();
    let server = Server::start(Answer::Holds("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_owned())).await;
    let error = failure(limits(), &server.url("disk")).await;
    assert!(matches!(&error, ImportError::Unreachable { message } if message.contains("stalls")), "{error:?}");
    let mute = Server::start(Answer::Holds(String::new())).await;
    let impatient = DownloadLimits { connect: Duration::from_millis(200), ..limits() };
    let error = failure(impatient, &mute.url("disk")).await;
    assert!(matches!(&error, ImportError::Unreachable { message } if message.contains("no answer")), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_is_too_large_is_given_up_before_or_while_it_comes() {
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", u64::MAX / 4);
    for answer in [Answer::Holds(announced), Answer::Floods("HTTP/1.1 200 OK\r\n\r\n".to_owned())] {
        let server = Server::start(answer).await;
        let target = target();
        let downloader = Downloader::new(limits());
        let url = server.url("disk");
        let error = downloader.fetch(wanted(&url), &target.file, &target.progress).await;
        assert!(matches!(&error, Err(ImportError::TooLarge { .. })), "{error:?}");
        let written = std::fs::metadata(&target.file).map_or(0, |file| file.len());
        assert!(written <= limits().max_bytes, "{written} bytes were written");
        let own = Wanted { max_bytes: Some(1000), ..wanted(&url) };
        let error = downloader.fetch(own, &target.file, &target.progress).await;
        assert!(matches!(&error, Err(ImportError::TooLarge { message }) if message.contains("maxSize")), "{error:?}");
    }
}

#[tokio::test]
async fn a_host_without_room_takes_nothing() {
    let full = DownloadLimits { keep_free_bytes: 1 << 60, ..limits() };
    for answer in [whole(), Answer::Floods("HTTP/1.1 200 OK\r\n\r\n".to_owned())] {
        let server = Server::start(answer).await;
        let error = failure(full.clone(), &server.url("disk")).await;
        assert!(matches!(error, ImportError::NoRoom { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_whose_certificate_is_trusted_is_asked_by_https_and_no_other() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let server = Server::listen("127.0.0.1:0", whole(), Some(TlsAcceptor::from(Arc::new(config)))).await;
    let url = format!("https://localhost:{}/disk", server.address.port());
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();

    let target = target();
    let downloader = Downloader::new(limits());
    downloader.connector.trust.set(Arc::new(trusting(roots))).unwrap();
    downloader.fetch(wanted(&url), &target.file, &target.progress).await.unwrap();
    assert_eq!(std::fs::read(&target.file).unwrap(), CONTENT);

    let error = failure(limits(), &url).await;
    assert!(matches!(&error, ImportError::Unreachable { message } if message.contains("TLS")), "{error:?}");
}
