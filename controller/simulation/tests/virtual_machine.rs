//! The story of a virtual machine, undisturbed, crashed after every single change, and with every call of the backend that
//! it takes failing once: it always ends in the same state, with nothing doubled and nothing left over.

use controller_backend::fake::Operation;
use controller_simulation::story::Retold;
use controller_simulation::{Cloud, virtual_tour};

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_single_change_ends_in_the_same_state() {
    let mut story = Retold::begin(Cloud::new().await, virtual_tour::tell).await;
    let expected = &story.expected;
    assert!(expected.made.contains("machine Instance/default/vm running"), "{}", expected.made);
    for image in ["image ClusterImage//debian", "image Image/default/own"] {
        assert!(expected.made.contains(image), "{}", expected.made);
    }
    assert_eq!(expected.gone.trim(), "", "something is left over");
    assert!(story.changes > 20, "the story makes only {} changes", story.changes);
    story.crashed_after_each_change().await;
}

#[tokio::test(start_paused = true)]
async fn any_call_that_fails_once_ends_in_the_same_state() {
    let calls = [
        Operation::FindDiskImage,
        Operation::EnsureDiskImage,
        Operation::RemoveDiskImage,
        Operation::CreateMachine,
        Operation::StartMachine,
        Operation::StopMachine,
        Operation::ResizeMachine,
        Operation::DefineMounts,
        Operation::AttachVolume,
        Operation::DetachVolume,
        Operation::RemoveMachine,
        Operation::ResolveImage,
        Operation::FindMachineSnapshot,
        Operation::EnsureMachineSnapshot,
        Operation::RemoveMachineSnapshot,
        Operation::HoldPorts,
        Operation::ApplyFirewall,
    ];
    let mut story = Retold::begin(Cloud::new().await, virtual_tour::tell).await;
    story.with_each_call_failing(&calls, 1..=1).await;
}
