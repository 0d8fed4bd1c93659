//! A wire between a store and its server that can be cut, and that may swallow every notification.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// What comes through from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hearing {
    Good,
    /// Everything but notifications.
    Deaf,
}

/// How the protocol calls a notification.
const NOTIFICATION: u8 = b'A';

/// Passes connections on to the server until told to cut them; new ones are always taken.
pub(super) struct Wire {
    cuts: watch::Sender<u32>,
    server: PathBuf,
    folder: tempfile::TempDir,
}

impl Wire {
    pub(super) fn lay(server: &Path, hearing: Hearing) -> Wire {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let socket = server.join(".s.PGSQL.5432");
        let cuts = watch::Sender::new(0);
        let wire = Wire { cuts: cuts.clone(), server: server.to_owned(), folder };
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = UnixStream::connect(&socket).await.unwrap();
                let mut cuts = cuts.subscribe();
                tokio::spawn(async move {
                    let (mut asks, answers) = client.into_split();
                    let (from, mut to) = server.into_split();
                    tokio::select! {
                        _ = tokio::io::copy(&mut asks, &mut to) => {}
                        _ = pass_on(from, answers, hearing) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        wire
    }

    /// The URL of a database, as it is reached through the wire.
    pub(super) fn reach(&self, url: &str) -> String {
        let behind = url.replace(&self.server.display().to_string(), &self.folder.path().display().to_string());
        assert_ne!(url, behind);
        behind
    }

    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

/// Message by message: a letter, and the length of the rest with itself.
async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, hearing: Hearing) -> std::io::Result<()> {
    loop {
        let kind = from.read_u8().await?;
        let length = from.read_u32().await?;
        let mut rest = vec![0; length as usize - size_of::<u32>()];
        from.read_exact(&mut rest).await?;
        if hearing == Hearing::Deaf && kind == NOTIFICATION {
            continue;
        }
        let message = [&[kind][..], &length.to_be_bytes(), &rest].concat();
        to.write_all(&message).await?;
    }
}
