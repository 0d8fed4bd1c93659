//! Hints from `LISTEN`: who wrote what revision. Our own writes are left out; a lost connection says "look".

use std::time::Duration;

use futures::StreamExt;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use uuid::Uuid;

use apiserver_store::{Hint, Hints, Revision};

/// The channel of the database on which every commit is announced as `<revision> <writer>`.
pub(crate) const CHANNEL: &str = "the_cloud_revision";

pub(crate) async fn listen(options: &PgConnectOptions, own: Uuid) -> Result<Hints, sqlx::Error> {
    // A connection that listens is in use for ever, so it is not taken from those that read.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    let hints = futures::stream::unfold(listener, move |mut listener| async move {
        loop {
            match listener.try_recv().await {
                Ok(Some(notification)) => {
                    if let Some(hint) = read(notification.payload(), own) {
                        return Some((hint, listener));
                    }
                }
                // The connection was lost, and notifications with it.
                Ok(None) => return Some((Hint::Look, listener)),
                Err(error) => {
                    tracing::debug!(error = %error, "listening ends, polling goes on");
                    return None;
                }
            }
        }
    });
    // What was announced before we listened.
    Ok(futures::stream::once(async { Hint::Look }).chain(hints).boxed())
}

fn read(payload: &str, own: Uuid) -> Option<Hint> {
    let parsed = payload.split_once(' ').and_then(|(revision, writer)| {
        let revision = revision.parse().ok()?;
        let writer: Uuid = writer.parse().ok()?;
        Some((Revision(revision), writer))
    });
    match parsed {
        Some((_, writer)) if writer == own => None,
        Some((revision, _)) => Some(Hint::Reached(revision)),
        None => Some(Hint::Look),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_writes_are_no_news() {
        let (own, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(read(&format!("7 {own}"), own), None);
        assert_eq!(read(&format!("7 {other}"), own), Some(Hint::Reached(Revision(7))));
        assert_eq!(read("something else", own), Some(Hint::Look));
    }
}
