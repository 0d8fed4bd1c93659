//! The name server of the fake engine: it keeps the zones, so that a test can read them.

use async_trait::async_trait;

use super::faults::Operation;
use super::{FakeEngine, View};
use crate::{Error, Names, Zones};

#[async_trait]
impl Names for View {
    async fn serve(&self, zones: &Zones) -> Result<(), Error> {
        self.perform(Operation::ServeNames, |world, installation| {
            world.names.insert(installation, zones.clone());
            Ok(())
        })
    }
}

impl FakeEngine {
    /// The names that are served for an installation.
    pub fn names(&self, installation: uuid::Uuid) -> Zones {
        self.lock().world.names.get(&installation).cloned().unwrap_or_default()
    }
}
