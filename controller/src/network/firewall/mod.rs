//! Keeps the packet filter as it is declared. It belongs to no object: every Vpc, Instance, SecurityGroup and
//! VpcPeering has a part in the one set of rules, which is put in force as a whole. No machine is started before the
//! rules know its address.

mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use controller_backend::{Error as BackendError, Rules, bridge_name};
use kube::Resource;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::runtime::failure::chain;
use crate::runtime::{Failure, uid_of};
use crate::world::World;

use rules::{Declared, rules};
pub(crate) use rules::{address, policy};

/// How long changes gather: what comes at once is put in force at once.
const GATHER: Duration = Duration::from_millis(30);
/// Somebody may have changed the rules by hand, of which nothing tells.
const CHECK: Duration = Duration::from_secs(60);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a machine waits for the rules.
const PATIENCE: Duration = Duration::from_secs(10);

/// What this process put in force last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    /// The rules.
    pub(crate) rules: Rules,
    /// Which generation of each SecurityGroup they are made from, by uid.
    pub(crate) generations: BTreeMap<Uuid, Option<i64>>,
}

/// The rules in force, for whoever waits for them.
#[derive(Debug)]
pub(crate) struct Firewall {
    changed: Notify,
    in_force: watch::Sender<Arc<InForce>>,
    /// Why the last attempt failed, for people.
    trouble: Mutex<Option<String>>,
}

impl Default for Firewall {
    fn default() -> Self {
        Self { changed: Notify::new(), in_force: watch::Sender::new(Arc::default()), trouble: Mutex::default() }
    }
}

impl Firewall {
    /// Something that the rules are made from has changed.
    pub(crate) fn nudge(&self) {
        self.changed.notify_one();
    }

    /// What this process put in force last.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.in_force.borrow().clone()
    }

    /// Waits until the rules know a machine's address, so that it never runs with others.
    pub(crate) async fn admit(&self, network: Uuid, address: Ipv4Addr) -> Result<(), Failure> {
        let mut in_force = self.in_force.subscribe();
        let admitted = in_force.wait_for(|in_force| in_force.rules.admits(network, address));
        if tokio::time::timeout(PATIENCE, admitted).await.is_ok_and(|admitted| admitted.is_ok()) {
            return Ok(());
        }
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let source = trouble.map(|text| text.into());
        Err(Failure::Backend {
            action: "let the machine's packets pass",
            source: BackendError::Unavailable { what: "the packet filter".to_owned(), source },
        })
    }

    /// Takes note of what is in force now; `true` if that is news.
    fn settle(&self, now: InForce) -> bool {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.in_force.send_if_modified(|in_force| {
            let is_news = **in_force != now;
            if is_news {
                *in_force = Arc::new(now);
            }
            is_news
        })
    }

    /// Notes why it failed; `true` if that is news.
    fn fail(&self, failure: &Failure) -> bool {
        let text = chain(failure);
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).replace(text.clone()) != Some(text)
    }
}

/// Puts in force whatever is declared, again and again. Never ends.
pub(crate) async fn run(world: &World) {
    // Whatever an earlier process left is looked at once, also if nothing is declared any more.
    let mut pause = Duration::ZERO;
    // What this process knows to be in force; `None` if somebody may have changed it.
    let mut known: Option<Rules> = None;
    loop {
        tokio::select! {
            () = world.firewall.changed.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(pause) => known = None,
        }
        pause = match put_in_force(world, &mut known).await {
            Ok(()) => CHECK,
            Err(failure) => {
                if world.firewall.fail(&failure) {
                    tracing::warn!(
                        error = chain(&failure),
                        "the packet filter could not be written, it is tried again"
                    );
                }
                PAUSE
            }
        };
    }
}

async fn put_in_force(world: &World, known: &mut Option<Rules>) -> Result<(), Failure> {
    world.gate.check()?;
    let stores = &world.stores;
    let declared = Declared {
        vpcs: stores.vpcs.all(),
        instances: stores.instances.all(),
        groups: stores.security_groups.all(),
        peerings: stores.vpc_peerings.all(),
        backend: world.options.backend_name,
    };
    let rules = rules(&declared, |vpc| bridge_name(&world.owner(vpc)));
    let firewall = &world.backend().firewall;
    // Looking costs as much as writing, so that nobody looks where the answer is known.
    let holds = match known.take() {
        Some(known) => known == rules,
        None => firewall.holds(&rules).await.map_err(Failure::backend("read the packet filter"))?,
    };
    if !holds {
        firewall.apply(&rules).await.map_err(Failure::backend("write the packet filter"))?;
    }
    *known = Some(rules.clone());
    let generations = declared.groups.iter().map(|group| (uid_of(group.as_ref()), group.meta().generation)).collect();
    if world.firewall.settle(InForce { rules, generations }) {
        // Their statuses say whether they are in force.
        world.wake_rule_makers();
    }
    Ok(())
}
