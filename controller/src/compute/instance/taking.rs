//! Keeps two Instances from taking one Volume at the same moment: each has looked before the other's machine had it. Memory
//! only, for as long as it takes; afterwards the machines themselves tell who has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use controller_backend::{Mount, MountSource};
use crds::compute::instance::Instance;
use uuid::Uuid;

use super::InstanceKind;
use super::rivals;
use crate::runtime::{Failure, uid_of};

/// Who is about to take which Volume.
#[derive(Debug, Default)]
pub(super) struct Takers(Mutex<BTreeMap<Uuid, Uuid>>);

/// Until it is dropped nobody else takes them.
#[derive(Debug)]
pub(super) struct Taking<'a> {
    takers: &'a Takers,
    owner: Uuid,
}

impl Takers {
    /// All of these or, if somebody else is about to take one of them, none.
    fn take(&self, owner: Uuid, volumes: &BTreeSet<Uuid>) -> Option<Taking<'_>> {
        let mut takers = self.lock();
        if volumes.iter().any(|volume| takers.get(volume).is_some_and(|other| *other != owner)) {
            return None;
        }
        takers.extend(volumes.iter().map(|volume| (*volume, owner)));
        Some(Taking { takers: self, owner })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.takers.lock().retain(|_, owner| *owner != self.owner);
    }
}

/// Takes the Volumes among these mounts for a machine that is about to have them, unless somebody has got one meanwhile.
pub(super) async fn take<'a>(
    kind: &'a InstanceKind,
    instance: &Instance,
    mounts: &[Mount],
) -> Result<Option<Taking<'a>>, Failure> {
    let volumes = mounts.iter().filter_map(|mount| match mount.source {
        MountSource::Volume(uid) => Some(uid),
        _ => None,
    });
    let volumes: BTreeSet<Uuid> = volumes.collect();
    if volumes.is_empty() {
        return Ok(None);
    }
    let taking = kind.takers.take(uid_of(instance), &volumes).ok_or(Failure::Stale)?;
    // Whoever took one before is seen now, and whoever comes later sees this.
    if rivals::is_taken(&kind.world, instance, &volumes).await? { Err(Failure::Stale) } else { Ok(Some(taking)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_a_volume_is_alone_until_it_is_done() {
        let takers = Takers::default();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let volumes = |numbers: &[u128]| numbers.iter().map(|number| Uuid::from_u128(*number)).collect();
        let taking = takers.take(one, &volumes(&[10, 11])).unwrap();
        assert!(takers.take(other, &volumes(&[11, 12])).is_none());
        assert!(takers.take(other, &volumes(&[12])).is_some(), "nothing of it was taken before");
        drop(taking);
        assert!(takers.take(other, &volumes(&[11, 12])).is_some());
    }
}
