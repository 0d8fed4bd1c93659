//! `apikeys/{name}/token`: makes the key of an ApiKey and shows it, once. Who makes one for somebody else can come in as
//! them, so it takes the right to impersonate the owner.

use http::StatusCode;
use serde_json::json;

use super::password::permit_standing_for;
use super::{refused, secret};
use crate::access::users::{ApiKeys, Owner};
use crate::access::{Attributes, Object, ResourceAttributes};
use crate::error::ApiError;
use crate::policy::{self, Operation};
use crate::query::WriteKind;
use crate::response::{self, Answer};
use crate::verbs::Call;

/// `POST .../apikeys/{name}/token`
pub(crate) async fn issue(call: &Call) -> Result<Answer, ApiError> {
    let (state, name) = (&call.state, &call.path.name);
    state.refresh().await?;
    let entry = state.storage().get(&ApiKeys::object_key(name)).ok_or_else(|| call.served.not_found(name))?;
    let owner = Owner::of(state.storage(), &entry.value());
    let owner =
        owner.ok_or_else(|| ApiError::bad_request("the owner that the ApiKey names is not there, or disabled"))?;
    match &owner {
        Owner::User(account) if account.name == call.who.user && account.uid == call.who.uid => {}
        Owner::User(account) => permit_standing_for(call, account)?,
        Owner::ServiceAccount { namespace, name, .. } => {
            let of =
                ResourceAttributes { resource: "serviceaccounts", namespace, name, ..ResourceAttributes::default() };
            let wish = Attributes { verb: "impersonate", object: Object::Resource(of) };
            wish.permit(&call.who, state.config.authorizer.as_ref())?;
        }
    }
    let options = call.write_options(WriteKind::Create)?;
    policy::check_beside(state, &call.served, &entry, Operation::Create, &options)?;
    let mut answer = json!({
        "apiVersion": call.served.api_version(),
        "kind": call.served.kind.kind,
        "metadata": {"name": name, "uid": entry.uid.to_string()},
        "status": {},
    });
    if !options.dry_run {
        let made = state.authenticator.api_keys.issue(name, &entry.uid.to_string(), &owner).await;
        let (key, prefix) =
            made.map_err(|why| refused(&why, "the key was made by somebody else at the same moment"))?;
        answer["status"] = json!({"key": key, "prefix": prefix});
        tracing::info!(api_key = name, by = call.who.user, "an API key was made");
    }
    Ok(secret(response::json(StatusCode::CREATED, &answer)))
}
