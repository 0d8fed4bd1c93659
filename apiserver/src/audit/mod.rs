//! Decides what is remembered of who did what: every write and every read of a Secret, a line each, in files that can't
//! be changed unnoticed.
//!
//! In: a request and how it ended. Out: a line, or the refusal of a request that could not be logged. It never changes
//! an object, and nothing in it is a secret.

mod anchor;
mod chain;
mod event;
mod files;
mod policy;
mod query;
#[cfg(test)]
mod tests;
mod trail;
mod verify;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use apiserver_store::Storage;
use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::Clock;
use chain::Head;
use files::Folder;
use verify::{Known, Report};
use writer::{Message, Room, Standing, Writer};

pub use anchor::audit_anchors;
pub use policy::{Level, Policy, UnusablePolicy};
pub(crate) use query::Filter;
pub(crate) use trail::{Incoming, Named, Trail};

/// Since when the store knows a line, for the sentence.
const NOTED: &str = "when it was noted in the store";
/// How long an answer waits for its line.
const PATIENCE: Duration = Duration::from_secs(1);
/// Lines that wait to be written.
const QUEUE: usize = 1024;

/// Where the log is, how large it gets, and what is in it.
#[derive(Clone)]
pub struct AuditOptions {
    /// The directory, which holds nothing else. Made with mode 0700 if it is missing.
    pub folder: PathBuf,
    /// Which requests are logged.
    pub policy: Policy,
    /// The bytes after which the next file begins.
    pub file_bytes: u64,
    /// Files that are kept; the oldest go.
    pub files: usize,
    /// Where the log's own time stamps come from.
    pub clock: Arc<dyn Clock>,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The directory or a file in it.
    #[error("failed to open the audit log in `{}`", .folder.display())]
    Folder {
        /// The directory.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Two that write one chain would break it.
    #[error("another process writes the audit log in `{}`: give each its own with --audit-dir", .0.display())]
    Taken(PathBuf),
}

/// An audit log that is open for writing, by this process alone.
pub struct Audit {
    policy: Policy,
    folder: Folder,
    chain: Uuid,
    place: String,
    clock: Arc<dyn Clock>,
    standing: Arc<Standing>,
    strangers: Mutex<trail::Allowance>,
    inbox: Option<mpsc::Sender<Message>>,
    writer: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").field("folder", &self.folder).field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl Audit {
    /// Opens a log, or begins one.
    ///
    /// # Errors
    /// The directory can't be used, or somebody else writes there.
    pub fn open(options: AuditOptions) -> Result<Self, AuditError> {
        let failed = |source| AuditError::Folder { folder: options.folder.clone(), source };
        let folder = Folder::open(&options.folder).map_err(failed)?;
        let lock = folder.lock().map_err(failed)?.ok_or_else(|| AuditError::Taken(options.folder.clone()))?;
        let chain = folder.chain_id().map_err(failed)?;
        let place = folder.path().canonicalize().map_err(failed)?;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let room = Room { file_bytes: options.file_bytes, files: options.files.max(1) };
        let writer = Writer::open(folder.clone(), lock, room, Arc::clone(&options.clock)).map_err(failed)?;
        let standing = writer.standing();
        let (inbox, messages) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(messages));
        Ok(Self {
            policy: options.policy,
            folder,
            chain,
            place: format!("{}:{}", host.trim(), place.display()),
            clock: options.clock,
            standing,
            strangers: Mutex::default(),
            inbox: Some(inbox),
            writer: Some(thread.map_err(failed)?),
        })
    }

    /// Notes the newest line in the store every now and then, until the server ends.
    pub(crate) async fn keep_noted(self: Arc<Self>, storage: Storage, shutdown: CancellationToken) {
        anchor::follow(self, storage, shutdown).await;
    }

    /// The newest lines that fit, as they are, oldest first.
    pub(crate) async fn find(&self, filter: Filter) -> io::Result<Bytes> {
        let folder = self.folder.clone();
        blocking(move || query::find(&folder, &filter)).await
    }

    /// Looks at every line. `expected` is what somebody wrote down of a line: its number and its hash.
    pub(crate) async fn verify(&self, storage: &Storage, expected: Option<(u64, &str)>) -> io::Result<Report> {
        let mut known = Vec::new();
        if let Some(head) = anchor::noted(storage, self.chain) {
            known.push(Known { head, from: NOTED });
        }
        if let Some((sequence, hash)) = expected {
            let hash = chain::LineHash::parse(hash)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a hash has 64 hexadecimal digits"))?;
            known.push(Known { head: Head { sequence, hash }, from: "when you wrote it down" });
        }
        let (folder, head) = (self.folder.clone(), self.standing.head());
        let mut report = blocking(move || verify::verify(&folder, head, &known)).await?;
        report.chain = self.chain.to_string();
        for gone in anchor::gone(storage, &self.place, self.chain) {
            report
                .problems
                .push(format!("a log of {} lines that was written in this directory is gone", gone.sequence));
        }
        Ok(report)
    }

    /// Compares the files with what was noted of them before this process wrote anything, and logs what is wrong.
    async fn compare(&self, noted: Head) {
        let head = self.standing.head();
        let folder = self.folder.clone();
        let known = vec![Known { head: noted, from: NOTED }];
        let is_here = noted.sequence <= head.sequence;
        let (problems, contradiction) = match blocking(move || verify::verify(&folder, head, &known)).await {
            Ok(report) => (report.problems, report.contradiction),
            Err(error) => (vec![error.to_string()], None),
        };
        for problem in &problems {
            tracing::error!(problem, "the audit log is not as it was");
        }
        // What the lines themselves don't show is said in one, for ever.
        let Some(finding) = contradiction else { return };
        if !is_here {
            self.send(Message::Skip(noted.sequence)).await;
        }
        self.log(event::of_log("verify", event::FINDING, &finding, self.clock.now())).await;
    }

    /// Writes an event, and waits until the system has it. It is written later where that takes too long: nobody is
    /// kept for a disk.
    async fn log(&self, event: String) {
        let (done, written) = oneshot::channel();
        let wait = async {
            self.send(Message::Event(event, done)).await;
            let _ = written.await;
        };
        let _ = tokio::time::timeout(PATIENCE, wait).await;
    }

    /// Writes an event that nobody waits for.
    fn log_later(&self, event: String) {
        let Some(inbox) = &self.inbox else { return };
        let (done, _) = oneshot::channel();
        if let Err(TrySendError::Full(message)) = inbox.try_send(Message::Event(event, done)) {
            let inbox = inbox.clone();
            tokio::spawn(async move { inbox.send(message).await });
        }
    }

    async fn send(&self, message: Message) {
        if let Some(inbox) = &self.inbox {
            let _ = inbox.send(message).await;
        }
    }

    fn strangers(&self) -> std::sync::MutexGuard<'_, trail::Allowance> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Audit {
    /// Waits for what is being written.
    fn drop(&mut self) {
        self.inbox = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
