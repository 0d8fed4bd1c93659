//! The packet filter of the fake engine: it keeps the rules, so that a test can read them.

use async_trait::async_trait;

use super::faults::Operation;
use super::{FakeEngine, View};
use crate::{Error, Firewall, Rules};

#[async_trait]
impl Firewall for View {
    async fn holds(&self, rules: &Rules) -> Result<bool, Error> {
        self.perform(Operation::FirewallHolds, |world, installation| {
            Ok(world.firewalls.get(&installation).is_some_and(|in_force| in_force == rules))
        })
    }

    async fn apply(&self, rules: &Rules) -> Result<(), Error> {
        self.perform(Operation::ApplyFirewall, |world, installation| {
            world.firewalls.insert(installation, rules.clone());
            Ok(())
        })
    }
}

impl FakeEngine {
    /// Takes away the rules of an installation, as somebody on the host may.
    pub fn lose_firewall(&self, installation: uuid::Uuid) {
        self.lock().world.firewalls.remove(&installation);
    }

    /// The rules in force for an installation.
    pub fn firewall(&self, installation: uuid::Uuid) -> Rules {
        self.lock().world.firewalls.get(&installation).cloned().unwrap_or_default()
    }
}
