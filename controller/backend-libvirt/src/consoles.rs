//! Logs of machines: what they wrote to their serial console. Nobody noted when; a virtual machine runs no command from
//! outside, but somebody may sit at that console.

use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use controller_backend::{
    Channel, Chunk, Conflict, Consoles, Error, ExecSession, ExecSpec, LogOptions, LogStream, MachineId, MachineState,
};
use futures::{StreamExt, stream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::engine::Engine;
use crate::machines::observe;
use crate::places::Places;
use crate::terminal::{self, Taken};

/// How often a followed log is looked at.
const LOOK: Duration = Duration::from_millis(250);
const PIECE: usize = 64 << 10;

pub(crate) struct LibvirtConsoles {
    engine: Arc<Engine>,
    places: Places,
    /// The machines at whose console somebody is.
    taken: Arc<Taken>,
}

impl LibvirtConsoles {
    pub(crate) fn new(engine: Arc<Engine>, places: Places) -> Self {
        Self { engine, places, taken: Arc::default() }
    }
}

#[async_trait]
impl Consoles for LibvirtConsoles {
    async fn logs(&self, id: &MachineId, options: LogOptions) -> Result<LogStream, Error> {
        let owner = self.engine.on_machine(id, "look at", observe).await?.owner.uid;
        if options.timestamps || options.since.is_some() {
            let message = "a virtual machine's console does not say when each line was written";
            return Err(Error::invalid(message));
        }
        let path =
            if options.previous { self.places.previous_console(owner, id) } else { self.places.console(owner, id) };
        let start = match options.tail {
            None => 0,
            Some(lines) => tail(&path, lines).await?,
        };
        let follow = options.follow && !options.previous;
        let reader = Reader { engine: self.engine.clone(), id: id.clone(), path, at: start, follow, ending: false };
        Ok(stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) }).boxed())
    }

    async fn exec(&self, id: &MachineId, _spec: ExecSpec) -> Result<ExecSession, Error> {
        self.running(id).await?;
        Err(Error::invalid(
            "a virtual machine runs no command from outside: log in at its console, with `cloudctl console NAME`, or by ssh at \
             the address in its status",
        ))
    }

    async fn console(&self, id: &MachineId) -> Result<ExecSession, Error> {
        self.running(id).await?;
        let place = self.taken.take(id)?;
        let xml =
            self.engine.on_machine(id, "look at the console of", |owned| Ok(owned.domain.get_xml_desc(0)?)).await?;
        let terminal = terminal::of(&xml).ok_or_else(|| Error::invalid("the machine has no serial console"))?;
        terminal::open(&terminal, place).map_err(|error| Error::failed("open the machine's console", error))
    }
}

impl LibvirtConsoles {
    /// `Conflict` unless the machine runs.
    async fn running(&self, id: &MachineId) -> Result<(), Error> {
        let machine = self.engine.on_machine(id, "look at", observe).await?;
        if machine.state == MachineState::Running {
            return Ok(());
        }
        let conflict = Conflict::State { what: format!("machine `{id}`"), state: "not running".to_owned() };
        Err(Error::conflict(conflict))
    }
}

/// Where the last so many lines begin.
async fn tail(path: &PathBuf, lines: u64) -> Result<u64, Error> {
    // The file is small: libvirt's log daemon cuts it.
    let bytes = tokio::fs::read(path).await.unwrap_or_default();
    let mut left = lines;
    let end = bytes.len() - usize::from(bytes.ends_with(b"\n"));
    for (position, byte) in bytes[..end].iter().enumerate().rev() {
        if *byte == b'\n' {
            left = left.saturating_sub(1);
            if left == 0 {
                return Ok(position as u64 + 1);
            }
        }
    }
    Ok(if lines == 0 { bytes.len() as u64 } else { 0 })
}

struct Reader {
    engine: Arc<Engine>,
    id: MachineId,
    path: PathBuf,
    at: u64,
    follow: bool,
    /// Whether the machine has ended: what is there now is the last of it.
    ending: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<Chunk, Error>> {
        loop {
            match self.read().await {
                Ok(piece) if !piece.is_empty() => {
                    self.at += piece.len() as u64;
                    return Some(Ok(Chunk { channel: Channel::Stdout, bytes: piece }));
                }
                Ok(_) if !self.follow || self.ending => return None,
                Ok(_) => {}
                Err(error) => {
                    self.follow = false;
                    self.ending = true;
                    return Some(Err(Error::failed("read the console", error)));
                }
            }
            tokio::time::sleep(LOOK).await;
            let active = self.engine.on_machine(&self.id, "look at", |owned| Ok(owned.domain.is_active()?)).await;
            self.ending = !matches!(active, Ok(true));
        }
    }

    async fn read(&mut self) -> std::io::Result<Bytes> {
        let mut file = match File::open(&self.path).await {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Bytes::new()),
            Err(error) => return Err(error),
        };
        // It is shorter than it was: the log daemon has begun another.
        if file.metadata().await?.len() < self.at {
            self.at = 0;
        }
        file.seek(SeekFrom::Start(self.at)).await?;
        let mut piece = vec![0; PIECE];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        Ok(piece.into())
    }
}
