//! Decides what an Instance asks for beyond the bounds that hold for every machine, and whether its namespace may. Pure.

use std::collections::BTreeSet;

use controller_backend::{PROCESS_LIMIT, SecurityContext};
use crds::compute::instance::Instance;
use crds::compute::instance_policy::InstancePolicy;

use crate::runtime::Waiting;

/// What the Instances of a namespace may have: what the InstancePolicies for it say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    namespace: String,
    capabilities: BTreeSet<String>,
    devices: BTreeSet<String>,
    processes: u32,
}

impl Bounds {
    /// Those of a namespace.
    pub(super) fn of(namespace: &str, policies: impl IntoIterator<Item = impl AsRef<InstancePolicy>>) -> Self {
        let mut bounds = Self {
            namespace: namespace.to_owned(),
            capabilities: BTreeSet::new(),
            devices: BTreeSet::new(),
            processes: PROCESS_LIMIT,
        };
        for policy in policies {
            let policy = policy.as_ref();
            // What is being deleted allows nothing any more, whatever holds it.
            if !policy.is_for(namespace) || policy.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let allow = &policy.spec.allow;
            bounds.capabilities.extend(allow.capabilities.iter().cloned());
            bounds.devices.extend(allow.devices.iter().cloned());
            bounds.processes = bounds.processes.max(count(allow.processes).unwrap_or_default());
        }
        bounds
    }

    /// What of this they don't cover, if anything.
    pub(super) fn exceeded_by(&self, asked: &SecurityContext) -> Option<Waiting> {
        let capabilities = asked.add.difference(&self.capabilities).map(|name| format!("the capability {name}"));
        let devices = asked.devices.difference(&self.devices).map(|path| format!("the device {path}"));
        let processes = (asked.process_limit > self.processes).then(|| format!("{} processes", asked.process_limit));
        let more: Vec<String> = capabilities.chain(devices).chain(processes).collect();
        let message = || {
            format!(
                "Namespace `{}` may not have {}. An administrator can allow it with an InstancePolicy; or leave it out of \
                 `securityContext`.",
                self.namespace,
                more.join(", ")
            )
        };
        (!more.is_empty()).then(|| Waiting::on_user("NotAllowed", message()))
    }
}

/// What an Instance asks for.
pub(super) fn asked(instance: &Instance) -> SecurityContext {
    let Some(context) = &instance.spec.security_context else { return SecurityContext::default() };
    let capabilities = context.capabilities.clone().unwrap_or_default();
    SecurityContext {
        add: capabilities.add.into_iter().collect(),
        drop: capabilities.drop.into_iter().collect(),
        devices: context.devices.iter().cloned().collect(),
        process_limit: count(context.process_limit).unwrap_or(PROCESS_LIMIT),
    }
}

fn count(number: Option<i32>) -> Option<u32> {
    u32::try_from(number?).ok()
}
