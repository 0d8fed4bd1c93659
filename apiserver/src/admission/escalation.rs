//! Nobody gives away by a role or a binding what they don't have themselves, unless the verbs `escalate` or `bind` let
//! them.
//!
//! In: a role or a binding as it is to be, and who writes it. Out: nothing, or upstream's refusal. What the server does
//! by itself isn't asked.

use apiserver_store::{Key, ResourceId};
use serde_json::Value;

use crate::access::{Attributes, Identity, MASTERS, Object, ResourceAttributes, Rule, missing_rights, rights_sentence};
use crate::admission::metadata;
use crate::error::ApiError;
use crate::policy::Requester;
use crate::registry::builtin::rbac::GROUP;
use crate::state::State;
use crate::verbs::served::Served;

/// Refuses a role or binding that gives more than who writes it has; says nothing of other kinds.
///
/// # Errors
/// 403 that names what is lacking; 404 for a binding to a role that isn't there, by somebody who may not bind it.
pub(crate) fn check(
    state: &State,
    served: &Served,
    new: &Value,
    old: Option<&Value>,
    by: Option<&Requester>,
) -> Result<(), ApiError> {
    let Some(by) = by.filter(|_| served.kind.group == GROUP) else { return Ok(()) };
    if by.who.is_in(MASTERS) || old.is_some_and(|old| only_lets_go(old, new)) {
        return Ok(());
    }
    let namespace = new["metadata"]["namespace"].as_str().unwrap_or_default();
    let grant = Grant { state, served, who: &by.who, namespace, name: metadata::name(new) };
    match served.kind.plural.as_str() {
        "roles" | "clusterroles" => grant.role(new, old, &by.name),
        _ => grant.binding(&new["roleRef"]),
    }
}

/// Whether nothing changes but what keeps an object from being let go.
fn only_lets_go(old: &Value, new: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in ["finalizers", "managedFields", "ownerReferences"] {
                metadata.remove(field);
            }
        }
        object
    };
    bare(old) == bare(new)
}

/// What is being given away.
struct Grant<'a> {
    state: &'a State,
    served: &'a Served,
    who: &'a Identity,
    namespace: &'a str,
    name: &'a str,
}

impl Grant<'_> {
    fn role(&self, new: &Value, old: Option<&Value>, named: &str) -> Result<(), ApiError> {
        if self.may("escalate", &self.served.kind.plural, named) {
            return Ok(());
        }
        self.confirm(&rules(new)?)?;
        // It gathers whatever others put into it later.
        let gathers = |role: &Value| role.get("aggregationRule").is_some_and(Value::is_object);
        if (gathers(new) || old.is_some_and(gathers)) && self.confirm(&Rule::everything()).is_err() {
            return Err(self.refused("must have cluster-admin privileges to use the aggregationRule"));
        }
        Ok(())
    }

    fn binding(&self, role: &Value) -> Result<(), ApiError> {
        let text = |field: &str| role[field].as_str().unwrap_or_default();
        let (plural, namespace) = match text("kind") {
            "Role" => ("roles", self.namespace),
            _ => ("clusterroles", ""),
        };
        if self.may("bind", plural, text("name")) {
            return Ok(());
        }
        let key = Key::new(ResourceId::new(GROUP, plural), namespace, text("name"));
        let Some(role) = self.state.storage().get(&key) else {
            return Err(ApiError::not_found(GROUP, plural.trim_end_matches('s'), text("name")));
        };
        self.confirm(&rules(&role.value())?)
    }

    /// Whether a rule lets somebody do this to roles of the name, where the object is.
    fn may(&self, verb: &str, resource: &str, name: &str) -> bool {
        let of = ResourceAttributes { group: GROUP, resource, subresource: "", namespace: self.namespace, name };
        let wish = Attributes { verb, object: Object::Resource(of) };
        self.state.config.authorizer.authorize(self.who, &wish).is_allowed()
    }

    fn confirm(&self, wanted: &[Rule]) -> Result<(), ApiError> {
        let held = self.state.config.authorizer.rights(self.who, self.namespace);
        let missing = missing_rights(&held.rules, wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = self.who.groups.iter().map(|group| format!("{group:?}")).collect();
        let mut why = format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            self.who.user,
            groups.join(" "),
            rights_sentence(&missing)
        );
        if !held.problem.is_empty() {
            why = format!("{why}; resolution errors: [{}]", held.problem);
        }
        Err(self.refused(&why))
    }

    fn refused(&self, why: &str) -> ApiError {
        ApiError::forbidden(GROUP, &self.served.kind.plural, self.name, why)
    }
}

/// The rules of a role that was found good.
fn rules(role: &Value) -> Result<Vec<Rule>, ApiError> {
    let rules: Option<Vec<Rule>> = serde_json::from_value(role["rules"].clone())
        .map_err(|error| ApiError::internal(format!("the rules of a role can't be read: {error}")))?;
    Ok(rules.unwrap_or_default())
}
