//! Decides whether this process may act: one at a time holds a Lease. Who loses it stops at once; who finds its holder
//! gone or silent takes it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::failure::chain;
use super::identity;

/// How long a silent holder keeps the Lease.
const DURATION: Duration = Duration::from_secs(30);
/// How often the holder shows that it is there.
const RENEWAL: Duration = Duration::from_secs(10);
/// How often the others look.
const LOOK: Duration = Duration::from_secs(2);

/// The Lease, seen from one process.
pub(crate) struct Election {
    pub(crate) api: Api<Lease>,
    pub(crate) name: &'static str,
    pub(crate) identity: String,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What to do about a Lease as it is.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    /// It can be had.
    Take,
    /// Somebody else has it.
    Leave,
}

impl Election {
    /// Waits until the Lease is ours; `false` if the shutdown came first.
    pub(crate) async fn acquire(&self, shutdown: &CancellationToken) -> bool {
        loop {
            let attempt = tokio::select! {
                attempt = self.attempt() => attempt,
                () = shutdown.cancelled() => return false,
            };
            match attempt {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => tracing::debug!(error = chain(&error), "the lease could not be read or written"),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = shutdown.cancelled() => return false,
            }
        }
    }

    /// Renews the Lease until it is lost.
    pub(crate) async fn hold(&self) {
        let mut renewed = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(RENEWAL).await;
            loop {
                match tokio::time::timeout(LOOK, self.attempt()).await {
                    Ok(Ok(true)) => {
                        renewed = tokio::time::Instant::now();
                        break;
                    }
                    Ok(Ok(false)) => return,
                    Ok(Err(error)) => {
                        tracing::debug!(error = chain(&error), "the lease could not be renewed");
                    }
                    Err(_) => tracing::debug!("the lease could not be renewed in time"),
                }
                // Stops before anybody else may take it.
                if renewed.elapsed() + LOOK + LOOK >= DURATION {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Gives the Lease up, so that the next process need not wait.
    pub(crate) async fn release(&self) {
        let Ok(Some(mut lease)) = self.api.get_opt(self.name).await else { return };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(&self.identity) {
            spec.holder_identity = None;
            if let Err(error) = self.api.replace(self.name, &PostParams::default(), &lease).await {
                tracing::debug!(error = chain(&error), "the lease could not be given up");
            }
        }
    }

    async fn attempt(&self) -> Result<bool, kube::Error> {
        let now = self.clock.now();
        let Some(mut lease) = self.api.get_opt(self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.to_owned()), ..ObjectMeta::default() },
                spec: Some(self.renewed(None, now)),
            };
            return match self.api.create(&PostParams::default(), &lease).await {
                Ok(_) => Ok(true),
                Err(error) if conflict(&error) => Ok(false),
                Err(error) => Err(error),
            };
        };
        if claim(lease.spec.as_ref(), &self.identity, now, identity::is_gone) == Claim::Leave {
            return Ok(false);
        }
        lease.spec = Some(self.renewed(lease.spec.take(), now));
        match self.api.replace(self.name, &PostParams::default(), &lease).await {
            Ok(_) => Ok(true),
            Err(error) if conflict(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn renewed(&self, old: Option<LeaseSpec>, now: Timestamp) -> LeaseSpec {
        let old = old.unwrap_or_default();
        let mine = old.holder_identity.as_deref() == Some(&self.identity);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: if mine { old.acquire_time } else { Some(MicroTime(now)) },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(old.lease_transitions.unwrap_or_default() + i32::from(!mine)),
            ..LeaseSpec::default()
        }
    }
}

fn claim(lease: Option<&LeaseSpec>, identity: &str, now: Timestamp, is_gone: impl Fn(&str) -> bool) -> Claim {
    let Some(lease) = lease else { return Claim::Take };
    let holder = lease.holder_identity.as_deref().unwrap_or_default();
    if holder.is_empty() || holder == identity || is_gone(holder) {
        return Claim::Take;
    }
    let duration = i64::from(lease.lease_duration_seconds.unwrap_or_default());
    match &lease.renew_time {
        Some(renewed) if now.as_second() - renewed.0.as_second() <= duration => Claim::Leave,
        _ => Claim::Take,
    }
}

fn conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(30),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            ..LeaseSpec::default()
        }
    }

    fn claimed(lease: &LeaseSpec, now: i64) -> Claim {
        claim(Some(lease), "me", Timestamp::from_second(now).unwrap(), |holder| holder == "dead")
    }

    #[test]
    fn a_lease_is_taken_from_nobody_but_the_gone_and_the_silent() {
        assert_eq!(claimed(&lease("other", 100), 110), Claim::Leave);
        assert_eq!(claimed(&lease("other", 100), 131), Claim::Take);
        assert_eq!(claimed(&lease("dead", 100), 101), Claim::Take);
        assert_eq!(claimed(&lease("me", 100), 101), Claim::Take);
        assert_eq!(claimed(&lease("", 100), 101), Claim::Take);
    }
}
