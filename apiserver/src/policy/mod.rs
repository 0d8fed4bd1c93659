//! Decides whether the validating policies in the store (`admissionregistration.k8s.io`) let a request through, after
//! everything else has been found good and before it is counted and stored.
//!
//! In: a request as policies see it, a [`Case`]. Out: nothing, warnings, or upstream's refusal. Where there are no policies,
//! nothing is done but to see that. A policy counts from the very next request, in every server.

mod case;
mod grants;
mod index;
mod matching;
mod moments;
mod params;
mod program;

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use apiserver_store::{ResourceId, Revision, Storage};

use crate::error::{ApiError, Reason};
use crate::registry::Kind;
use crate::registry::builtin::admission::{BINDINGS, GROUP, POLICIES};
use crate::state::State;

pub(crate) use self::case::{Operation, Requester};
pub(crate) use self::grants::refusals;
pub(crate) use self::moments::{check_beside, check_create, check_delete, check_update, check_use};

use self::case::Case;
use self::index::{Binding, Index, Policy};
use self::program::{Decision, Judgement};

static POLICIES_ID: LazyLock<ResourceId> = LazyLock::new(|| ResourceId::new(GROUP, POLICIES));
static BINDINGS_ID: LazyLock<ResourceId> = LazyLock::new(|| ResourceId::new(GROUP, BINDINGS));

/// What all policies may cost one request together, in the steps that rules are counted in.
const REQUEST_BUDGET: f64 = 30_000_000.0;

/// The policies of the store, ready to be asked.
#[derive(Default)]
pub(crate) struct Policies(RwLock<Followed>);

/// The index, and up to where the store was looked at for it.
#[derive(Default)]
struct Followed {
    looked_at: Option<Revision>,
    index: Arc<Index>,
}

impl Policies {
    /// Whether anything could have a word about requests for the kind.
    pub(crate) fn concern(&self, storage: &Storage, kind: &Kind) -> bool {
        // Who may write policies must be able to write another.
        kind.group != GROUP
            && !storage.snapshot(&POLICIES_ID).entries.is_empty()
            && !storage.snapshot(&BINDINGS_ID).entries.is_empty()
    }

    fn index(&self, storage: &Storage) -> Arc<Index> {
        {
            let followed = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if followed.looked_at == Some(storage.revision()) {
                return Arc::clone(&followed.index);
            }
        }
        let mut followed = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // First the revision: what is written meanwhile is looked at again.
        let revision = storage.revision();
        if let Some(index) = followed.index.followed(storage) {
            followed.index = Arc::new(index);
        }
        followed.looked_at = Some(revision);
        Arc::clone(&followed.index)
    }
}

/// Refuses what a policy denies, and warns of what one warns of.
///
/// # Errors
/// Upstream's refusal, with the reason that the policy gives.
fn check(state: &State, case: &Case<'_>) -> Result<(), ApiError> {
    let index = state.policies.index(state.storage());
    let mut denied: Option<(Reason, String)> = None;
    let mut left = REQUEST_BUDGET;
    for policy in index.policies() {
        let Some(matched) = policy.spec.match_constraints.matching(state, case) else { continue };
        let scene = match matched.scene(state, case) {
            Ok(scene) => scene,
            Err(why) => {
                deny(&mut denied, policy, None, &Decision::error(format!("failed to configure policy: {why}")));
                continue;
            }
        };
        let kind = match policy.param_kind(state) {
            Ok(kind) => kind,
            Err(why) => {
                deny(&mut denied, policy, None, &Decision::error(format!("failed to configure policy: {why}")));
                continue;
            }
        };
        for binding in index.bindings(&policy.name) {
            if binding.spec.match_resources.as_ref().is_some_and(|matches| matches.matching(state, case).is_none()) {
                continue;
            }
            let params = match params::collect(state, policy, binding, kind.as_ref(), &case.namespace()) {
                Ok(params) => params,
                Err(why) => {
                    let decision = Decision::error(format!("failed to configure binding: {why}"));
                    deny(&mut denied, policy, Some(binding), &decision);
                    continue;
                }
            };
            for param in params {
                let Judgement { decisions, spent } = policy.program().judge(&scene, param.as_ref(), left);
                left -= spent;
                for decision in decisions {
                    act(case, policy, binding, &decision, &mut denied);
                }
            }
        }
    }
    match denied {
        None => Ok(()),
        Some((reason, message)) => Err(case.refused(reason, &message)),
    }
}

/// Does what a binding says follows from a broken rule.
fn act(
    case: &Case<'_>,
    policy: &Policy,
    binding: &Binding,
    decision: &Decision,
    denied: &mut Option<(Reason, String)>,
) {
    if decision.is_error && policy.spec.ignores_failures() {
        return;
    }
    if decision.always_denies {
        return deny(denied, policy, Some(binding), decision);
    }
    let (of, by) = (&policy.name, &binding.name);
    for action in &binding.spec.validation_actions {
        match action.as_str() {
            "Deny" => deny(denied, policy, Some(binding), decision),
            "Warn" => {
                let message = &decision.message;
                case.warnings.say([format!(
                    "Validation failed for ValidatingAdmissionPolicy '{of}' with binding '{by}': {message}"
                )]);
            }
            // That it was broken is worth a line of the server's log. What the message quotes isn't.
            "Audit" => tracing::info!(
                policy = %of, binding = %by, user = %case.requester.who.user,
                "a request breaks a validating policy that is only audited"
            ),
            _ => {}
        }
    }
}

/// Remembers the first denial; that is the one that is told.
fn deny(denied: &mut Option<(Reason, String)>, policy: &Policy, binding: Option<&Binding>, decision: &Decision) {
    if denied.is_some() || (decision.is_error && policy.spec.ignores_failures()) {
        return;
    }
    let with = binding.map(|binding| format!(" with binding '{}'", binding.name)).unwrap_or_default();
    let message = format!("ValidatingAdmissionPolicy '{}'{with} denied request: {}", policy.name, decision.message);
    *denied = Some((decision.reason, message));
}
