//! What the process is: everything, or one part. A role runs until it is asked to end; when the store was restored or
//! the keys have changed, its parts end in order and start anew in the same process, as after a restart.

pub(crate) mod all_in_one;
pub(crate) mod apiserver;
pub(crate) mod migrate;
pub(crate) mod new_certificate;

use std::future::Future;
use std::time::Duration;

use crate::stop::Stop;

/// How long the parts may take to end after SIGTERM; a second signal ends them at once.
const GRACE: Duration = Duration::from_secs(20);

/// Why the parts of a role have ended.
enum Ended {
    /// Somebody asked.
    Asked,
    /// What they stood on has changed.
    Outdated(&'static str),
}

/// Lets the parts end in order, but not for ever.
async fn end_in_order(orderly: impl Future<Output = ()>, stop: &mut Stop) {
    tokio::select! {
        done = tokio::time::timeout(GRACE, orderly) => if done.is_err() {
            tracing::warn!("some work was still under way at the end; the next start goes on with it");
        },
        () = stop.requested() => {}
    }
}
