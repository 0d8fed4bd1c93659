//! A story that is told again and again to one cloud: undisturbed, crashed after each change, with each call failing. It
//! must end in the same states every time.

use std::ops::RangeInclusive;
use std::time::Duration;

use controller_backend::fake::{FaultKind, Operation};

use crate::{Cloud, Tripwire};

/// What a call can do instead of its work.
pub const FAULTS: [FaultKind; 3] = [FaultKind::Fail, FaultKind::Unavailable, FaultKind::LostAnswer];

/// What a story left at its stations, and what must be the same in every run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diary {
    /// After everything was made.
    pub made: String,
    /// After everything was changed.
    pub changed: String,
    /// After everything was deleted.
    pub gone: String,
}

/// A story, the cloud that it is told to, and how it ends where nothing disturbs it.
#[derive(Debug)]
pub struct Retold<S> {
    /// The cloud; nothing is left in it of earlier tellings.
    pub cloud: Cloud,
    /// How it ends.
    pub expected: Diary,
    /// How many changes the controllers make on the way.
    pub changes: u64,
    story: S,
}

impl<S> Retold<S>
where
    S: AsyncFn(&Cloud) -> Diary,
{
    /// Tells the story undisturbed.
    pub async fn begin(mut cloud: Cloud, story: S) -> Self {
        // The first controllers of an installation make more than the later ones.
        tell(&mut cloud, &story, &Tripwire::default()).await;
        let wire = Tripwire::default();
        let expected = tell(&mut cloud, &story, &wire).await;
        Self { cloud, expected, changes: wire.changes(), story }
    }

    /// Tells it once more, with new controllers.
    pub async fn again(&mut self, wire: &Tripwire) -> Diary {
        tell(&mut self.cloud, &self.story, wire).await
    }

    /// Tells it with a crash after each change.
    ///
    /// # Panics
    /// It ends differently.
    pub async fn crashed_after_each_change(&mut self) {
        for at in 1..=self.changes {
            let wire = Tripwire::default();
            wire.set(at);
            let diary = self.again(&wire).await;
            assert!(wire.changes() >= at, "change {at} was never made");
            assert_eq!(diary, self.expected, "after a crash at change {at}");
        }
    }

    /// Tells it with each of these calls failing once, in each way: the first time that it is made, the second, and so on.
    ///
    /// # Panics
    /// It ends differently.
    pub async fn with_each_call_failing(&mut self, calls: &[Operation], times: RangeInclusive<u64>) {
        for operation in calls {
            for kind in FAULTS {
                for nth in times.clone() {
                    self.cloud.engine.fail_nth(*operation, nth, kind);
                    let diary = self.again(&Tripwire::default()).await;
                    assert_eq!(diary, self.expected, "{operation} number {nth}: {kind:?}");
                }
            }
        }
    }
}

/// Tells a story to a cloud with new controllers.
pub async fn tell(cloud: &mut Cloud, story: impl AsyncFn(&Cloud) -> Diary, wire: &Tripwire) -> Diary {
    cloud.kill();
    cloud.start_wired(wire);
    let diary = story(cloud).await;
    cloud.engine.clear_faults();
    diary
}

/// The state once nothing moves any more.
pub(crate) async fn settled(cloud: &Cloud) -> String {
    let mut last = cloud.state().await;
    for _ in 0..60 {
        cloud.pass(Duration::from_secs(45)).await;
        let now = cloud.state().await;
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("it never settles: {last}");
}
