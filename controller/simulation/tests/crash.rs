//! The tour, undisturbed, crashed after every single change, and with every call of the backend failing once: it
//! always ends in the same state, with nothing doubled and nothing left over.

use controller_backend::fake::{FaultKind, Operation};
use controller_simulation::tour::{self, Diary};
use controller_simulation::{Cloud, Tripwire};

const CALLS: [Operation; 19] = [
    Operation::FindMachines,
    Operation::CreateMachine,
    Operation::StartMachine,
    Operation::StopMachine,
    Operation::ResizeMachine,
    Operation::RemoveMachine,
    Operation::FindNetwork,
    Operation::OccupiedRanges,
    Operation::EnsureNetwork,
    Operation::RemoveNetwork,
    Operation::EnsureVolume,
    Operation::RemoveVolume,
    Operation::FindSnapshot,
    Operation::EnsureSnapshot,
    Operation::RemoveSnapshot,
    Operation::ResolveImage,
    Operation::EnsureFiles,
    Operation::RemoveFiles,
    Operation::Identity,
];

const KINDS: [FaultKind; 3] = [FaultKind::Fail, FaultKind::Unavailable, FaultKind::LostAnswer];

/// Tells the tour to a cloud from whose earlier tours nothing is left, with new controllers.
async fn tell(cloud: &mut Cloud, wire: &Tripwire) -> Diary {
    cloud.kill();
    cloud.start_wired(wire);
    let diary = tour::tell(cloud).await;
    cloud.engine.clear_faults();
    diary
}

async fn undisturbed(cloud: &mut Cloud) -> (Diary, u64) {
    let wire = Tripwire::default();
    // The first controllers of an installation make more than the later ones.
    tell(cloud, &Tripwire::default()).await;
    let diary = tell(cloud, &wire).await;
    (diary, wire.changes())
}

#[tokio::test(start_paused = true)]
async fn the_undisturbed_tour_is_always_the_same_and_leaves_nothing() {
    let (diary, changes) = undisturbed(&mut Cloud::new().await).await;
    assert_eq!(undisturbed(&mut Cloud::new().await).await, (diary.clone(), changes));
    assert!(diary.made.contains("machine Instance/default/web running"), "{}", diary.made);
    assert_eq!(diary.gone.trim(), "", "something is left over");
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_single_change_ends_in_the_same_state() {
    let mut cloud = Cloud::new().await;
    let (expected, changes) = undisturbed(&mut cloud).await;
    assert!(changes > 30, "the tour makes only {changes} changes");
    for at in 1..=changes {
        let wire = Tripwire::default();
        wire.set(at);
        let diary = tell(&mut cloud, &wire).await;
        assert!(wire.changes() >= at, "change {at} was never made");
        assert_eq!(diary, expected, "after a crash at change {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_the_very_first_controllers_ends_in_the_same_state() {
    let (expected, _) = undisturbed(&mut Cloud::new().await).await;
    for at in 1..=10 {
        let wire = Tripwire::default();
        wire.set(at);
        let mut cloud = Cloud::new().await;
        assert_eq!(tell(&mut cloud, &wire).await, expected, "after a crash at change {at}");
        assert_eq!(cloud.instance_types().await.len(), 6);
    }
}

#[tokio::test(start_paused = true)]
async fn any_call_that_fails_once_ends_in_the_same_state() {
    let mut cloud = Cloud::new().await;
    let (expected, _) = undisturbed(&mut cloud).await;
    for operation in CALLS {
        for kind in KINDS {
            for nth in 1..=2 {
                cloud.engine.fail_nth(operation, nth, kind);
                let diary = tell(&mut cloud, &Tripwire::default()).await;
                assert_eq!(diary, expected, "{operation} number {nth}: {kind:?}");
            }
        }
    }
}

/// A small generator, so that a failing seed can be told and tried again.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

#[tokio::test(start_paused = true)]
async fn several_faults_and_a_crash_at_random_end_in_the_same_state() {
    let mut cloud = Cloud::new().await;
    let (expected, changes) = undisturbed(&mut cloud).await;
    for seed in 0..60 {
        let mut random = Seeded(seed);
        let wire = Tripwire::default();
        wire.set(1 + random.below(usize::try_from(changes).unwrap()) as u64);
        for _ in 0..4 {
            let (operation, kind) = (CALLS[random.below(CALLS.len())], KINDS[random.below(KINDS.len())]);
            cloud.engine.fail_nth(operation, 1 + random.below(4) as u64, kind);
        }
        let diary = tell(&mut cloud, &wire).await;
        assert_eq!(diary, expected, "seed {seed}");
    }
}
