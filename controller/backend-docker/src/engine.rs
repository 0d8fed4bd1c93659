//! Holds the connection to Docker: made when first needed, with the API version that both sides speak, and made anew
//! after it was lost. Decides nothing else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use bollard::models::ContainerInspectResponse;
use bollard::{API_DEFAULT_VERSION, Docker};
use controller_backend::{Error, MachineId};
use uuid::Uuid;

use crate::error::translate;
use crate::held::Held;
use crate::labels;

/// Seconds that Docker may take to begin an answer. Creating and starting on a busy host takes several.
const ANSWER_SECONDS: u64 = 120;

pub(crate) struct Engine {
    socket: PathBuf,
    installation: Uuid,
    client: RwLock<Option<Docker>>,
    pub(crate) held: Held,
}

impl Engine {
    pub(crate) fn new(socket: &Path, installation: Uuid) -> Self {
        Self { socket: socket.to_owned(), installation, client: RwLock::new(None), held: Held::default() }
    }

    pub(crate) fn installation(&self) -> Uuid {
        self.installation
    }

    /// A client that speaks the daemon's version.
    pub(crate) async fn client(&self) -> Result<Docker, Error> {
        if let Some(client) = self.client.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(client);
        }
        let socket = self.socket.to_string_lossy();
        let unanswered = |error| Error::unavailable(format!("Docker at `{}`", self.socket.display()), error);
        let client = Docker::connect_with_unix(&socket, ANSWER_SECONDS, API_DEFAULT_VERSION).map_err(unanswered)?;
        let client = client.negotiate_version().await.map_err(unanswered)?;
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
        Ok(client)
    }

    /// Forgets what was agreed with the daemon: another version may answer next.
    pub(crate) fn forget(&self) {
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The container behind an id, if it is this installation's.
    pub(crate) async fn owned(&self, id: &MachineId) -> Result<ContainerInspectResponse, Error> {
        let what = format!("machine `{id}`");
        let inspected = self.client().await?.inspect_container(&id.0, None).await;
        let container = inspected.map_err(|error| translate(&what, &format!("inspect {what}"), error))?;
        let owner = labels::container_owner(&container);
        if owner.is_some_and(|owner| owner.installation == self.installation) {
            Ok(container)
        } else {
            Err(Error::not_found(what))
        }
    }

    /// A filter for what bears this installation's label, and more labels.
    pub(crate) fn filter(&self, more: &[(&str, String)]) -> HashMap<String, Vec<String>> {
        let installation = format!("{}={}", labels::INSTALLATION, self.installation);
        let more = more.iter().map(|(key, value)| format!("{key}={value}"));
        HashMap::from([("label".to_owned(), std::iter::once(installation).chain(more).collect())])
    }
}
