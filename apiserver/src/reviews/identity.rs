//! Who somebody is: the one who asks (SelfSubjectReview), or the owner of a token (TokenReview).

use serde_json::{Map, Value, json};

use super::{text, texts};
use crate::access::Identity;
use crate::error::ApiError;
use crate::verbs::Call;

/// The one who asks.
pub(super) fn myself(call: &Call, who: &Identity) -> Value {
    json!({
        "apiVersion": call.served.api_version(),
        "kind": call.served.kind.kind,
        "metadata": {"creationTimestamp": call.state.timestamp()},
        "status": {"userInfo": user_info(who)},
    })
}

/// The owner of a token, as a status.
pub(super) async fn of_token(call: &Call, question: &Value) -> Result<Value, ApiError> {
    let spec = &question["spec"];
    let token = text(spec, "token");
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let asked = texts(spec.get("audiences"));
    Ok(match call.state.authenticator.owner(token, &asked).await {
        Ok(found) => json!({
            "authenticated": true,
            "user": user_info(&found.identity),
            "audiences": found.audiences,
        }),
        Err(why) => json!({"user": {}, "error": why}),
    })
}

fn user_info(who: &Identity) -> Value {
    let mut info = Map::from_iter([("username".to_owned(), who.user.as_str().into())]);
    if !who.uid.is_empty() {
        info.insert("uid".to_owned(), who.uid.as_str().into());
    }
    if !who.groups.is_empty() {
        info.insert("groups".to_owned(), json!(who.groups));
    }
    if !who.extra.is_empty() {
        info.insert("extra".to_owned(), json!(who.extra));
    }
    Value::Object(info)
}
