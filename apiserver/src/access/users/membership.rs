//! Whether somebody may put a user into a group: who is in it, or may stand for it.

use serde_json::Value;

use crate::access::{Attributes, Object, ResourceAttributes};
use crate::error::FieldError;
use crate::lifecycle::rules;
use crate::policy::Requester;
use crate::registry::Kind;
use crate::reviews::texts;
use crate::schema::words;
use crate::state::State;

/// What is refused of a User for want of rights; nothing of other kinds, and nothing of what the server writes. An update
/// comes with the stored object.
pub(crate) fn refusals(
    state: &State,
    kind: &Kind,
    (new, old): (&Value, Option<&Value>),
    by: Option<&Requester>,
) -> Vec<FieldError> {
    let Some(by) = by.filter(|_| rules::has_passwords(kind)) else { return Vec::new() };
    let who = &by.who;
    let groups = |object: &Value| texts(object["spec"].get("groups"));
    let had = old.map(groups).unwrap_or_default();
    let may = |name: &str| {
        let of = ResourceAttributes { resource: "groups", name, ..ResourceAttributes::default() };
        let wish = Attributes { verb: "impersonate", object: Object::Resource(of) };
        who.is_in(name) || state.config.authorizer.authorize(who, &wish).is_allowed()
    };
    let added = groups(new).into_iter().filter(|group| !had.contains(group));
    let refused = added.filter(|group| !may(group)).map(|group| {
        let user = &who.user;
        let detail = format!("user {user} is not in the group {group:?} and may not impersonate it");
        words::forbidden("spec.groups", &detail)
    });
    refused.collect()
}
