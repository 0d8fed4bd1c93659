//! The story of a virtual machine, undisturbed, crashed after every single change, and with every call of the backend that
//! it takes failing once: it always ends in the same state, with nothing doubled and nothing left over.

use controller_backend::fake::{FaultKind, Operation};
use controller_simulation::tour::Diary;
use controller_simulation::{Cloud, Tripwire, virtual_tour};

/// Tells the story to a cloud from whose earlier ones nothing is left, with new controllers.
async fn tell(cloud: &mut Cloud, wire: &Tripwire) -> Diary {
    cloud.kill();
    cloud.start_wired(wire);
    let diary = virtual_tour::tell(cloud).await;
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
async fn a_crash_after_any_single_change_ends_in_the_same_state() {
    let mut cloud = Cloud::new().await;
    let (expected, changes) = undisturbed(&mut cloud).await;
    assert!(expected.made.contains("machine Instance/default/vm running"), "{}", expected.made);
    assert!(expected.made.contains("image ClusterImage//debian"), "{}", expected.made);
    assert!(expected.made.contains("published=[\"127.0.0.1:8080->80\"] forwarded=true"), "{}", expected.made);
    assert_eq!(expected.gone.trim(), "", "something is left over");
    assert!(changes > 20, "the story makes only {changes} changes");
    for at in 1..=changes {
        let wire = Tripwire::default();
        wire.set(at);
        let diary = tell(&mut cloud, &wire).await;
        assert!(wire.changes() >= at, "change {at} was never made");
        assert_eq!(diary, expected, "after a crash at change {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_call_that_fails_once_ends_in_the_same_state() {
    let mut cloud = Cloud::new().await;
    let (expected, _) = undisturbed(&mut cloud).await;
    for operation in [
        Operation::FindDiskImage,
        Operation::EnsureDiskImage,
        Operation::RemoveDiskImage,
        Operation::CreateMachine,
        Operation::StartMachine,
        Operation::StopMachine,
        Operation::ResizeMachine,
        Operation::RemoveMachine,
        Operation::ResolveImage,
        Operation::HoldPorts,
        Operation::ApplyFirewall,
    ] {
        for kind in [FaultKind::Fail, FaultKind::Unavailable, FaultKind::LostAnswer] {
            cloud.engine.fail_nth(operation, 1, kind);
            let diary = tell(&mut cloud, &Tripwire::default()).await;
            assert_eq!(diary, expected, "{operation}: {kind:?}");
        }
    }
}
