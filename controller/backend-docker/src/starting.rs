//! Commands of containers that are about to start. One that is, while its machine is frozen, blocks the machine's shim for
//! ever, and with it the machine (containerd 1.6). Our own ones don't begin as long as the machine is held.

use std::time::Duration;

use bollard::Docker;
use bollard::models::ContainerInspectResponse;

use crate::error::message;

/// How long a command takes to start at most, on a busy host.
const COMMAND: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// Waits until no command of a machine is about to start.
pub(crate) async fn commands_have_started(
    client: &Docker,
    container: &ContainerInspectResponse,
) -> Result<(), bollard::errors::Error> {
    let deadline = tokio::time::Instant::now() + COMMAND;
    for exec in container.exec_ids.iter().flatten() {
        loop {
            let state = match client.inspect_exec(exec).await {
                Ok(state) => state,
                // It ended long ago.
                Err(error) if matches!(message(&error), Some((404 | 409, _))) => break,
                Err(error) => return Err(error),
            };
            let started = state.pid.is_some_and(|pid| pid > 0) || state.exit_code.is_some();
            // One that was made and that nobody starts may stay so.
            if started || tokio::time::Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}
