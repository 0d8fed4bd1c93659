//! The far end of a machine's serial line: a terminal on the host that QEMU holds. Bytes go both ways as they are; it ends
//! with the machine. One session at a time, or each would get a part of what the machine says.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use controller_backend::{Channel, Chunk, Conflict, Error, ExecControl, ExecSession, MachineId, TerminalSize};
use futures::{StreamExt, stream};
use rustix::fs::OFlags;
use tokio::io::{AsyncReadExt as _, AsyncWrite};
use tokio::net::unix::pipe::{Receiver, Sender};

const PIECE: usize = 8 << 10;

/// The machines at whose console somebody is.
#[derive(Debug, Default)]
pub(crate) struct Taken(Mutex<BTreeSet<MachineId>>);

/// The place at a console, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Arc<Taken>,
    id: MachineId,
}

impl Taken {
    /// `Conflict` if somebody is there.
    pub(crate) fn take(self: &Arc<Self>, id: &MachineId) -> Result<Place, Error> {
        let is_free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        if is_free {
            return Ok(Place { taken: self.clone(), id: id.clone() });
        }
        let what = format!("the console of machine `{id}`");
        Err(Error::conflict(Conflict::State { what, state: "in use by another session".to_owned() }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Where the serial line of a running domain ends.
pub(crate) fn of(xml: &str) -> Option<PathBuf> {
    let (_, serial) = xml.split_once("<serial type='pty'")?;
    let (serial, _) = serial.split_once("</serial>")?;
    let (_, path) = serial.split_once("<source path='")?;
    path.split('\'').next().filter(|path| path.starts_with("/dev/")).map(PathBuf::from)
}

/// A session at this terminal.
pub(crate) fn open(terminal: &Path, place: Place) -> io::Result<ExecSession> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(terminal)?;
    // To the runtime a terminal is a pipe both ways: bytes that come and go.
    let screen = Receiver::from_file_unchecked(file.try_clone()?)?;
    let keyboard = Keyboard(Sender::from_file_unchecked(file)?);
    let output = stream::unfold((screen, place), |(mut screen, place)| async move {
        let mut piece = vec![0; PIECE];
        // The terminal hangs up when the machine ends.
        let length = screen.read(&mut piece).await.ok().filter(|length| *length > 0)?;
        piece.truncate(length);
        Some((Ok(Chunk { channel: Channel::Stdout, bytes: piece.into() }), (screen, place)))
    });
    Ok(ExecSession { input: Some(Box::pin(keyboard)), output: output.boxed(), control: Box::new(Screen) })
}

struct Keyboard(Sender);

impl AsyncWrite for Keyboard {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    /// A serial line has no end of input.
    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Screen;

#[async_trait]
impl ExecControl for Screen {
    /// A serial line knows no size.
    async fn resize(&self, _size: TerminalSize) -> Result<(), Error> {
        Ok(())
    }

    async fn exit_code(&self) -> Result<Option<i64>, Error> {
        Ok(Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_line_of_a_running_machine_is_found() {
        let xml =
            "<devices><serial type='pty'><source path='/dev/pts/4'/><log file='/a' append='on'/></serial></devices>";
        assert_eq!(of(xml), Some(PathBuf::from("/dev/pts/4")));
        assert_eq!(of("<serial type='pty'><log file='/a'/></serial><source path='/dev/pts/4'/>"), None);
    }

    #[test]
    fn one_at_a_time_is_at_a_console() {
        let (taken, id) = (Arc::<Taken>::default(), MachineId("a".to_owned()));
        let place = taken.take(&id).unwrap();
        assert!(taken.take(&id).unwrap_err().to_string().contains("in use by another session"));
        drop(place);
        assert!(taken.take(&id).is_ok());
    }
}
