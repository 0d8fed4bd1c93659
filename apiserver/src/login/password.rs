//! `users/{name}/password`: whoever may, sets or takes away the password of somebody else. That is to be able to come in as
//! them, so it takes the right to impersonate the user and each of their groups, too.

use bytes::Bytes;
use serde::Deserialize;

use super::{done, refused};
use crate::access::users::{Account, GROUP, Password, Refusal, USERS};
use crate::access::{Attributes, Object, ResourceAttributes};
use crate::error::ApiError;
use crate::policy::{self, Operation};
use crate::query::{WriteKind, WriteOptions};
use crate::response::Answer;
use crate::verbs::Call;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    password: Password,
}

/// `POST .../users/{name}/password`
pub(crate) async fn set(call: &Call, body: &Bytes) -> Result<Answer, ApiError> {
    let Ok(Wish { password }) = serde_json::from_slice(body) else {
        return Err(ApiError::bad_request("the body is not {\"password\": \"...\"} in JSON"));
    };
    let account = account(call).await?;
    if let Some(problem) = password.problem(&account.name) {
        return Err(refused(&Refusal::Poor(problem), ""));
    }
    if !judged(call, Operation::Create)?.dry_run {
        let set = call.state.authenticator.users.set_password(&account, &password).await;
        set.map_err(|why| refused(&why, "the password was set by somebody else at the same moment"))?;
        tracing::info!(user = account.name, by = call.who.user, "a password was set");
    }
    Ok(done())
}

/// `DELETE .../users/{name}/password`
pub(crate) async fn remove(call: &Call) -> Result<Answer, ApiError> {
    let account = account(call).await?;
    if !judged(call, Operation::Delete)?.dry_run {
        let removed = call.state.authenticator.users.remove_password(&account.name).await;
        removed.map_err(|why| refused(&why, "the password was set by somebody else at the same moment"))?;
        tracing::info!(user = account.name, by = call.who.user, "a password was taken away");
    }
    Ok(done())
}

/// How the request is meant, if the policies allow it.
fn judged(call: &Call, operation: Operation) -> Result<WriteOptions, ApiError> {
    let name = &call.path.name;
    let options = call.write_options(WriteKind::Create)?;
    let user = call.state.storage().get(&Account::key(name)).ok_or_else(|| ApiError::not_found(GROUP, USERS, name))?;
    policy::check_beside(&call.state, &call.served, &user, operation, &options)?;
    Ok(options)
}

/// The user that the path names, if whoever asks may stand for them.
async fn account(call: &Call) -> Result<Account, ApiError> {
    call.state.refresh().await?;
    let name = &call.path.name;
    let account = Account::find(call.state.storage(), name).ok_or_else(|| ApiError::not_found(GROUP, USERS, name))?;
    permit_standing_for(call, &account)?;
    Ok(account)
}

/// Fails unless whoever asks may impersonate a user and each of their groups.
pub(super) fn permit_standing_for(call: &Call, account: &Account) -> Result<(), ApiError> {
    let name = &account.name;
    let user = ResourceAttributes { resource: "users", name, ..ResourceAttributes::default() };
    let groups = account.groups.iter().map(|name| ResourceAttributes { resource: "groups", name, ..user });
    for of in std::iter::once(user).chain(groups) {
        let wish = Attributes { verb: "impersonate", object: Object::Resource(of) };
        wish.permit(&call.who, call.state.config.authorizer.as_ref())?;
    }
    Ok(())
}
