//! Decides when an import that failed is tried again: after 10 s, doubling, kept in the status, so that nobody's server is
//! asked in a hot loop, and no disk copied in one, whoever restarts. Input: what the status remembers.

use controller_backend::ImportError;
use crds::compute::image::ImageStatus;
use crds::status::{READY, STALLED, condition, is_true};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::AnyImage;
use crate::runtime::conditions::whole_seconds;
use crate::runtime::{Failure, Waiting};

/// The first pause.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// The longest pause, where little is lost by trying.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(300);
/// The longest pause, where it takes a whole download to find out.
const LONGEST_AFTER_ALL: SignedDuration = SignedDuration::from_secs(3600);
/// What a failed attempt says in `Ready`.
const REASONS: [&str; 8] = [
    "SourceNotFound",
    "SourceRefused",
    "ChecksumMismatch",
    "TooLarge",
    "NoRoom",
    "DownloadFailed",
    "Invalid",
    "BackendFailed",
];

/// Until when nothing is tried, with what the last attempt said.
pub(super) fn wait<I: AnyImage>(image: &I, now: Timestamp) -> Option<(Timestamp, Waiting)> {
    let status = image.status()?;
    let Time(due) = *status.next_import.as_ref()?;
    // Farther off than any pause: the clock was set back.
    if due <= now
        || due.duration_since(now) > LONGEST_AFTER_ALL
        || status.observed_generation != image.meta().generation
    {
        return None;
    }
    let ready = condition(&status.conditions, READY)?;
    let reason = REASONS.into_iter().find(|reason| *reason == ready.reason)?;
    let stalled = is_true(&status.conditions, STALLED);
    Some((due, Waiting { stalled, ..Waiting::briefly(reason, ready.message.clone()) }))
}

/// Whether an attempt has failed.
pub(super) fn has_failed<I: AnyImage>(image: &I) -> bool {
    image.status().is_some_and(|status| status.import_failures.is_some())
}

/// Writes down a failed attempt, where each costs a download or the copy of a disk, and forgets the earlier ones once the
/// image is there.
pub(super) fn account(
    status: &mut ImageStatus,
    failure: Option<&Failure>,
    is_costly: bool,
    is_there: bool,
    now: Timestamp,
) {
    match failure {
        Some(Failure::Import(error)) if is_costly && !is_outage(error) => {
            let failures = status.import_failures.unwrap_or_default();
            status.import_failures = Some(failures.saturating_add(1));
            let due = now.checked_add(pause(error, failures)).unwrap_or(now);
            status.next_import = Some(Time(whole_seconds(due)));
        }
        None if is_there => {
            status.import_failures = None;
            status.next_import = None;
        }
        _ => {}
    }
}

/// That is no word on the source.
fn is_outage(error: &ImportError) -> bool {
    match error {
        ImportError::Busy { .. } => true,
        ImportError::Backend { source } => source.is_unavailable(),
        _ => false,
    }
}

/// The pause after so many failures before this one.
fn pause(error: &ImportError, failures: i32) -> SignedDuration {
    let longest = match error {
        ImportError::ChecksumMismatch { .. } | ImportError::TooLarge { .. } | ImportError::Backend { .. } => {
            LONGEST_AFTER_ALL
        }
        _ => LONGEST_PAUSE,
    };
    FIRST_PAUSE.saturating_mul(1_i32 << failures.clamp(0, 10)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_are_longer_where_a_try_is_a_whole_download() {
        let unreachable = ImportError::Unreachable { message: String::new() };
        let seconds = |error: &ImportError| [0, 1, 4, 5, 20].map(|failures| pause(error, failures).as_secs());
        assert_eq!(seconds(&unreachable), [10, 20, 160, 300, 300]);
        let large = ImportError::TooLarge { message: String::new() };
        assert_eq!(seconds(&large), [10, 20, 160, 320, 3600]);
    }
}
