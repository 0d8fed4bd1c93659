//! Downloads what an image is made from into a file, hashing it on the way. The source is a stranger: it may be nowhere, slow,
//! endless, another than it says, or point to what only the host can reach.

mod address;
mod connect;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use controller_backend::{Algorithm, Checksum, Error, ImportError, Progress};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::header::{ACCEPT_ENCODING, HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use sha2::{Digest, Sha256, Sha512};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use url::{Position, Url};

use address::is_public;
use connect::{Connection, Connector, origin, refused, unreachable};

/// How often a source may point to another.
const REDIRECTS: usize = 5;
/// The least that comes in a second, on average over [`DownloadLimits::stall`].
const LEAST_PER_SECOND: u64 = 16 << 10;
/// The room on the host is looked at after so many bytes.
const LOOK_AFTER: u64 = 64 << 20;

/// What a download may be and take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadLimits {
    /// Whether it may come from an address that is not public: the host's own, or its network's.
    pub allow_private: bool,
    /// The most bytes of a download, and of the disk in an image, wherever it comes from.
    pub max_bytes: u64,
    /// What stays free on the host.
    pub keep_free_bytes: u64,
    /// How long finding, connecting to and asking a server may take, each.
    pub connect: Duration,
    /// How long next to nothing may come before it is given up.
    pub stall: Duration,
}

impl Default for DownloadLimits {
    fn default() -> Self {
        Self {
            allow_private: false,
            max_bytes: 64 << 30,
            keep_free_bytes: 1 << 30,
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(60),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Downloader {
    limits: DownloadLimits,
    connector: Connector,
}

/// What is to be downloaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) url: &'a str,
    pub(crate) checksum: &'a Checksum,
    /// The most bytes that it may have, where the limits allow more.
    pub(crate) max_bytes: Option<u64>,
}

/// What a server answers, and what carries it.
struct Answer {
    response: Response<Incoming>,
    _carrier: JoinSet<()>,
}

impl Downloader {
    pub(crate) fn new(limits: DownloadLimits) -> Self {
        let (allow_private, patience) = (limits.allow_private, limits.connect);
        let connector = Connector { allow_private, is_public, patience, trust: Arc::new(OnceLock::new()) };
        Self { limits, connector }
    }

    pub(crate) fn limits(&self) -> &DownloadLimits {
        &self.limits
    }

    /// Downloads into a file, which holds anything or nothing unless this succeeds.
    pub(crate) async fn fetch(&self, wanted: Wanted<'_>, to: &Path, progress: &Progress) -> Result<(), ImportError> {
        let url = Url::parse(wanted.url).map_err(|error| refused(format!("the url can't be read: {error}")))?;
        let (url, answer) = self.find(url).await?;
        let announced = answer.response.body().size_hint().exact();
        if let Some(bytes) = announced {
            self.bound(bytes, wanted.max_bytes)?;
            self.room(to, bytes)?;
            progress.begin(bytes);
        }
        let mut file = private_file(to).await.map_err(unwritten)?;
        let actual = self.receive(&url, answer, wanted, (to, &mut file), progress).await?;
        if actual != *wanted.checksum {
            return Err(ImportError::ChecksumMismatch { expected: wanted.checksum.clone(), actual });
        }
        progress.complete();
        Ok(())
    }

    /// Follows a url to where something is served.
    async fn find(&self, mut url: Url) -> Result<(Url, Answer), ImportError> {
        for _ in 0..=REDIRECTS {
            if !matches!(url.scheme(), "http" | "https") {
                return Err(refused(format!("`{}` is neither http nor https", url.scheme())));
            }
            let answer = self.ask(&url).await?;
            let status = answer.response.status();
            if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                return accept(&url, status).map(|()| (url, answer));
            }
            let place = answer.response.headers().get(LOCATION).and_then(|place| place.to_str().ok());
            let next = place.and_then(|place| url.join(place).ok());
            let lost = || refused(format!("`{}` points to another place that can't be read", origin(&url)));
            url = next.ok_or_else(lost)?;
        }
        Err(refused(format!("the url is redirected more than {REDIRECTS} times")))
    }

    async fn ask(&self, url: &Url) -> Result<Answer, ImportError> {
        let Connection { mut sender, carrier } = self.connector.open(url).await?;
        let request = Request::get(&url[Position::BeforePath..Position::AfterQuery])
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(USER_AGENT, concat!("the-cloud/", env!("CARGO_PKG_VERSION")))
            // What is hashed is the file, not what a server makes of it.
            .header(ACCEPT_ENCODING, "identity")
            .body(Empty::<Bytes>::new())
            .map_err(|error| refused(format!("`{}` can't be asked for this: {error}", origin(url))))?;
        let late = |_| unreachable(url, "no answer", &io::Error::from(io::ErrorKind::TimedOut));
        let response = timeout(self.limits.connect, sender.send_request(request)).await.map_err(late)?;
        let response = response.map_err(|error| unreachable(url, "no answer", &error))?;
        Ok(Answer { response, _carrier: carrier })
    }

    async fn receive(
        &self,
        url: &Url,
        answer: Answer,
        wanted: Wanted<'_>,
        (to, file): (&Path, &mut File),
        progress: &Progress,
    ) -> Result<Checksum, ImportError> {
        let algorithm = wanted.checksum.algorithm();
        let (mut body, _carrier) = (answer.response.into_body(), answer._carrier);
        let mut hasher = Hasher::new(algorithm);
        let (mut received, mut looked) = (0_u64, 0_u64);
        let mut pace = Pace::new(self.limits.stall);
        loop {
            let frame = match timeout_at(pace.end, body.frame()).await {
                Ok(None) => break,
                Ok(Some(frame)) => Some(frame.map_err(|error| unreachable(url, "it broke off", &error))?),
                Err(_) => None,
            };
            let data = frame.and_then(|frame| frame.into_data().ok()).unwrap_or_default();
            let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
            if !pace.keeps_up(bytes) {
                let message = format!(
                    "the download from `{}` stalls: less than {LEAST_PER_SECOND} bytes a second came in {} s",
                    origin(url),
                    self.limits.stall.as_secs()
                );
                return Err(ImportError::Unreachable { message });
            }
            received = received.saturating_add(bytes);
            self.bound(received, wanted.max_bytes)?;
            if received - looked >= LOOK_AFTER || looked == 0 {
                looked = received;
                self.room(to, bytes)?;
            }
            hasher.update(&data);
            file.write_all(&data).await.map_err(unwritten)?;
            progress.add(bytes);
        }
        file.flush().await.map_err(unwritten)?;
        Ok(hasher.finish(algorithm))
    }

    /// Whether an image that may have `most` may have so many bytes.
    pub(crate) fn bound(&self, bytes: u64, most: Option<u64>) -> Result<(), ImportError> {
        let server = (self.limits.max_bytes, "that this server imports (--image-max-size)");
        let own = most.map(|most| (most, "that it may take (maxSize)"));
        match own.into_iter().chain([server]).find(|(most, _)| bytes > *most) {
            None => Ok(()),
            Some((most, whose)) => {
                let message = format!("the image is larger than {}, which is the most {whose}", gibibytes(most));
                Err(ImportError::TooLarge { message })
            }
        }
    }

    /// Whether the host has room for so many bytes more beside this file.
    pub(crate) fn room(&self, beside: &Path, bytes: u64) -> Result<(), ImportError> {
        let folder = beside.parent().unwrap_or(beside);
        let failed = |error: rustix::io::Errno| Error::failed("look how much room there is", io::Error::from(error));
        let space = rustix::fs::statvfs(folder).map_err(failed).map_err(ImportError::backend)?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free >= bytes.saturating_add(self.limits.keep_free_bytes) { Ok(()) } else { Err(no_room()) }
    }
}

fn unwritten(error: io::Error) -> ImportError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => no_room(),
        _ => ImportError::backend(Error::failed("write the download", error)),
    }
}

fn no_room() -> ImportError {
    let message = "the host's disk has no room for the image; it is tried again, once there may be".to_owned();
    ImportError::NoRoom { message }
}

/// Whether a server serves what it was asked for.
fn accept(url: &Url, status: StatusCode) -> Result<(), ImportError> {
    let message = format!("`{}` answers {status} for the url", origin(url));
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(ImportError::Unreachable { message }),
        status if status.is_client_error() => Err(ImportError::NoSuchSource { message }),
        _ => Err(ImportError::Unreachable { message }),
    }
}

async fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).await
}

pub(crate) fn gibibytes(bytes: u64) -> String {
    let gibibytes = bytes >> 30;
    if gibibytes << 30 == bytes { format!("{gibibytes} GiB") } else { format!("{bytes} bytes") }
}

/// Whether enough comes.
struct Pace {
    window: Duration,
    end: Instant,
    came: u64,
}

impl Pace {
    fn new(window: Duration) -> Self {
        Self { window, end: Instant::now() + window, came: 0 }
    }

    /// So many bytes more came. `false` if too few did while the window was open that has just closed.
    fn keeps_up(&mut self, bytes: u64) -> bool {
        self.came = self.came.saturating_add(bytes);
        if Instant::now() < self.end {
            return true;
        }
        let least = LEAST_PER_SECOND.saturating_mul(self.window.as_secs()).max(1);
        let kept_up = self.came >= least;
        *self = Self::new(self.window);
        kept_up
    }
}

enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(data),
            Self::Sha512(hasher) => hasher.update(data),
        }
    }

    fn finish(self, algorithm: Algorithm) -> Checksum {
        match self {
            Self::Sha256(hasher) => Checksum::new(algorithm, &hasher.finalize()),
            Self::Sha512(hasher) => Checksum::new(algorithm, &hasher.finalize()),
        }
    }
}
