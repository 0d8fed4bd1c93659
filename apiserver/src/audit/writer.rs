//! Writes the lines: one thread that chains what has come together, and hands it to the system in one go.
//!
//! Whoever waits for a line knows, when that is over, that the system has it: what is answered is logged, even if this
//! process is killed. The disk has it a second later. While lines can't be written they wait here, and nothing more is
//! let in (see [`Standing::failure`]).

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

use super::chain::Head;
use super::event;
use super::files::{Folder, LogFile};
use crate::clock::Clock;

/// Lines that are written in one go.
const BATCH: usize = 256;
/// Between two attempts to write what can't be written.
const PAUSE: Duration = Duration::from_millis(200);
/// What of the log may be lost when the power goes.
const SYNC: Duration = Duration::from_secs(1);

/// What the thread is told.
pub(super) enum Message {
    /// An event, as JSON. The sender is told when the system has it.
    Event(String, oneshot::Sender<()>),
    /// Lines that were there are not there any more: the next one gets a number beyond this.
    Skip(u64),
}

/// Why lines can't be written.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// Whether there is no room.
    pub(super) is_full: bool,
    /// What the system said.
    pub(super) text: String,
}

/// How the log stands, for everybody to see.
#[derive(Debug)]
pub(super) struct Standing {
    head: Mutex<Head>,
    failure: Mutex<Option<Failure>>,
    pub(super) grown: Notify,
    pub(super) recovered: Notify,
}

impl Standing {
    fn new(head: Head) -> Self {
        Self { head: Mutex::new(head), failure: Mutex::default(), grown: Notify::new(), recovered: Notify::new() }
    }

    pub(super) fn head(&self) -> Head {
        *lock(&self.head)
    }

    /// Why lines can't be written at the moment.
    pub(super) fn failure(&self) -> Option<Failure> {
        lock(&self.failure).clone()
    }
}

/// How large files get, and how many there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) file_bytes: u64,
    pub(super) files: usize,
}

/// The end of a log.
pub(super) struct Writer {
    folder: Folder,
    room: Room,
    clock: Arc<dyn Clock>,
    file: File,
    length: u64,
    head: Head,
    standing: Arc<Standing>,
    sync: SyncSender<File>,
    _lock: File,
}

impl Writer {
    /// Goes on behind the last whole line.
    pub(super) fn open(folder: Folder, lock: File, room: Room, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (mut head, mut place) = (Head::NONE, None);
        for file in folder.list()?.into_iter().rev() {
            let end = file.end()?;
            place.get_or_insert((file, end.map_or(0, |(length, _)| length)));
            if let Some((_, last)) = end {
                head = last;
                break;
            }
        }
        let (file, length) = match place {
            Some(place) => place,
            None => (folder.begin(1)?, 0),
        };
        let file = cut_behind(&file, length)?;
        let (sync, sent) = sync_channel(1);
        thread::Builder::new().name("audit-sync".to_owned()).spawn(move || keep_synced(&sent))?;
        let standing = Arc::new(Standing::new(head));
        Ok(Self { folder, room, clock, file, length, head, standing, sync, _lock: lock })
    }

    pub(super) fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing)
    }

    /// Writes until nobody is left who could send anything.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut batch = Vec::new();
        while inbox.blocking_recv_many(&mut batch, BATCH) > 0 {
            let (mut events, mut waiting) = (Vec::new(), Vec::new());
            for message in batch.drain(..) {
                match message {
                    Message::Event(event, done) => {
                        events.push(event);
                        waiting.push(done);
                    }
                    Message::Skip(sequence) => self.head.sequence = self.head.sequence.max(sequence),
                }
            }
            while let Err(error) = self.write(&events) {
                self.fail(&error);
                // Nobody waits for what may take for ever.
                waiting.clear();
                if inbox.is_closed() {
                    return;
                }
                thread::park_timeout(PAUSE);
            }
            self.recover();
            for done in waiting {
                let _ = done.send(());
            }
        }
    }

    /// All of them or none.
    fn write(&mut self, events: &[String]) -> io::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        if self.standing.failure().is_some() {
            // A part of what failed may be there.
            self.file.set_len(self.length)?;
        }
        let (mut head, mut text, mut old) = (self.head, Vec::new(), Vec::new());
        if self.length >= self.room.file_bytes {
            (old, text) = self.turn(&mut head)?;
        }
        for event in events {
            head.append(event, &mut text);
        }
        self.file.write_all(&text)?;
        self.length += text.len() as u64;
        self.head = head;
        *lock(&self.standing.head) = head;
        self.standing.grown.notify_one();
        if let Ok(file) = self.file.try_clone() {
            // One that is waited for already does as well.
            let _ = self.sync.try_send(file);
        }
        for file in old {
            std::fs::remove_file(file.path)?;
        }
        Ok(())
    }

    /// Begins the next file. Which files go then, and the line that says so.
    fn turn(&mut self, head: &mut Head) -> io::Result<(Vec<LogFile>, Vec<u8>)> {
        self.file.sync_data()?;
        let next = self.folder.begin(head.sequence + 1)?;
        let mut files = self.folder.list()?;
        let kept = files.split_off(files.len().saturating_sub(self.room.files));
        let mut text = Vec::new();
        if !files.is_empty()
            && let Some(oldest) = kept.first()
        {
            let through = oldest.first.saturating_sub(1).to_string();
            head.append(&event::of_log("delete", event::REMOVED_THROUGH, &through, self.clock.now()), &mut text);
        }
        self.file = next.append()?;
        self.length = 0;
        Ok((files, text))
    }

    /// Says why, the first time: what fails after it may only be what it left behind.
    fn fail(&self, error: &io::Error) {
        let mut failure = lock(&self.standing.failure);
        if failure.is_some() {
            return;
        }
        tracing::warn!(error = error as &dyn std::error::Error, folder = %self.folder.path().display(),
            "the audit log can't be written: what it should tell of is refused until it can");
        let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        *failure = Some(Failure { is_full, text: error.to_string() });
    }

    fn recover(&self) {
        if lock(&self.standing.failure).take().is_some() {
            tracing::info!("the audit log can be written again");
            self.standing.recovered.notify_waiters();
        }
    }
}

/// Opens a file to go on behind its last whole line.
fn cut_behind(file: &LogFile, length: u64) -> io::Result<File> {
    let open = file.append()?;
    if open.metadata()?.len() > length {
        tracing::warn!(file = %file.path.display(), "the last line of the audit log was not written to its end, and goes");
        open.set_len(length)?;
    }
    Ok(open)
}

/// Has the disk written what the system was handed.
fn keep_synced(sent: &Receiver<File>) {
    while let Ok(file) = sent.recv() {
        thread::park_timeout(SYNC);
        if let Err(error) = file.sync_data() {
            tracing::warn!(error = &error as &dyn std::error::Error, "the disk did not take the audit log");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
