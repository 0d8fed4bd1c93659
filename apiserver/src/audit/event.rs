//! Decides what a line says: an event in upstream's own form (`audit.k8s.io/v1` Event), so that what reads a kube-apiserver's
//! audit log reads this one.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::policy::Level;
use crate::access::{CREDENTIAL, Identity};
use crate::clock::micro_seconds;
use crate::error::Reason;
use crate::request::Target;

/// The most of a URI and of what a client calls itself. Longer ones are cut off.
const URI: usize = 2 << 10;
const AGENT: usize = 256;
/// The most of a uid and of what names a credential: whoever acts as somebody else makes them up.
const CREDENTIAL_BYTES: usize = 256;

/// A request, as far as it is known before it is answered.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) level: Level,
    pub(crate) id: Uuid,
    pub(crate) verb: &'a str,
    pub(crate) target: &'a Target,
    pub(crate) uri: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) peer: Option<IpAddr>,
    /// Who sent it; nobody for a stranger.
    pub(crate) user: Option<&'a Identity>,
    /// As whom they act, if not as themselves.
    pub(crate) acts_as: Option<&'a Identity>,
    pub(crate) body: Option<Value>,
    pub(crate) received: Timestamp,
    pub(crate) annotations: Map<String, Value>,
}

/// How it ended.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) code: u16,
    pub(crate) reason: Option<Reason>,
    /// The name that an object was given, where the path doesn't say it.
    pub(crate) name: Option<String>,
    /// Whether something goes on: a watch or a session.
    pub(crate) is_stream: bool,
    pub(crate) at: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    kind: &'static str,
    api_version: &'static str,
    level: String,
    #[serde(rename = "auditID")]
    audit_id: Uuid,
    stage: &'static str,
    #[serde(rename = "requestURI")]
    request_uri: &'a str,
    verb: &'a str,
    user: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonated_user: Option<Value>,
    #[serde(rename = "sourceIPs", skip_serializing_if = "Option::is_none")]
    source_ips: Option<[String; 1]>,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_ref: Option<ObjectRef<'a>>,
    response_status: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_object: Option<Value>,
    request_received_timestamp: String,
    stage_timestamp: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    annotations: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef<'a> {
    resource: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    api_group: &'a str,
    api_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subresource: &'a str,
}

/// The event of a request and its answer, as JSON.
pub(crate) fn of_request(asked: Asked<'_>, answered: &Answered) -> String {
    let object_ref = match asked.target {
        Target::Resource(of) => Some(ObjectRef {
            resource: &of.plural,
            namespace: &of.namespace,
            name: if of.name.is_empty() { answered.name.as_deref().unwrap_or_default() } else { &of.name },
            api_group: &of.group,
            api_version: &of.version,
            subresource: &of.subresource,
        }),
        _ => None,
    };
    let mut response_status = json!({"metadata": {}, "code": answered.code});
    if let Some(reason) = answered.reason {
        response_status["status"] = "Failure".into();
        response_status["reason"] = reason.to_string().into();
    }
    let event = Event {
        kind: "Event",
        api_version: "audit.k8s.io/v1",
        level: format!("{:?}", asked.level),
        audit_id: asked.id,
        stage: if answered.is_stream { "ResponseStarted" } else { "ResponseComplete" },
        request_uri: cut(asked.uri, URI),
        verb: asked.verb,
        user: user(asked.user),
        impersonated_user: asked.acts_as.map(|who| user(Some(who))),
        source_ips: asked.peer.map(|peer| [peer.to_string()]),
        user_agent: cut(asked.agent, AGENT),
        object_ref,
        response_status,
        request_object: asked.body,
        request_received_timestamp: micro_seconds(asked.received),
        stage_timestamp: micro_seconds(answered.at),
        annotations: asked.annotations,
    };
    serde_json::to_string(&event).expect("texts, numbers and JSON")
}

/// The annotation of the server's own event that says which lines were removed for their age.
pub(super) const REMOVED_THROUGH: &str = "thecloud.dev/removed-through";
/// The annotation of the server's own event that says what is wrong with the lines before it.
pub(super) const FINDING: &str = "thecloud.dev/finding";

/// Who somebody is who doesn't say who they are.
pub(super) const ANONYMOUS: &str = "system:anonymous";
pub(super) const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Who logs what nobody asked for.
pub(super) const SELF: &str = "system:apiserver";

/// An event of the log itself.
pub(super) fn of_log(verb: &str, annotation: &str, value: &str, at: Timestamp) -> String {
    let at = micro_seconds(at);
    json!({
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": Uuid::new_v4(),
        "stage": "ResponseComplete",
        "requestURI": "",
        "verb": verb,
        "user": {"username": SELF},
        "objectRef": {"resource": "auditlog"},
        "requestReceivedTimestamp": at,
        "stageTimestamp": at,
        "annotations": {annotation: value},
    })
    .to_string()
}

fn user(who: Option<&Identity>) -> Value {
    let Some(who) = who else { return json!({"username": ANONYMOUS, "groups": [UNAUTHENTICATED]}) };
    let mut user = json!({"username": who.user, "groups": who.groups});
    if !who.uid.is_empty() {
        user["uid"] = cut(&who.uid, CREDENTIAL_BYTES).into();
    }
    // Of what else is known only that: the rest may be as long as somebody likes.
    if let Some(credential) = who.extra.get(CREDENTIAL).and_then(|values| values.first()) {
        user["extra"] = json!({CREDENTIAL: [cut(credential, CREDENTIAL_BYTES)]});
    }
    user
}

/// The beginning of a text, of so many bytes at most.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(target: &'a Target, user: &'a Identity) -> Asked<'a> {
        Asked {
            level: Level::Metadata,
            id: Uuid::nil(),
            verb: "create",
            target,
            uri: "/api/v1/namespaces/a/configmaps?dryRun=All",
            agent: "kubectl/v1.33",
            peer: Some([10, 0, 0, 7].into()),
            user: Some(user),
            acts_as: None,
            body: None,
            received: "2026-01-02T03:04:05.000006Z".parse().unwrap(),
            annotations: Map::new(),
        }
    }

    fn answered(code: u16, reason: Option<Reason>) -> Answered {
        let at = "2026-01-02T03:04:05.5Z".parse().unwrap();
        Answered { code, reason, name: Some("settings".to_owned()), is_stream: false, at }
    }

    #[test]
    fn event_says_who_did_what_when_from_where_and_how_it_ended() {
        let target = Target::parse("/api/v1/namespaces/a/configmaps").unwrap();
        let bob = Identity::new("bob", ["dev".to_owned()]);
        let event: Value = serde_json::from_str(&of_request(asked(&target, &bob), &answered(201, None))).unwrap();
        assert_eq!(
            event,
            json!({
                "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": Uuid::nil(),
                "stage": "ResponseComplete", "requestURI": "/api/v1/namespaces/a/configmaps?dryRun=All", "verb": "create",
                "user": {"username": "bob", "groups": bob.groups}, "sourceIPs": ["10.0.0.7"], "userAgent": "kubectl/v1.33",
                "objectRef": {"resource": "configmaps", "namespace": "a", "name": "settings", "apiVersion": "v1"},
                "responseStatus": {"metadata": {}, "code": 201},
                "requestReceivedTimestamp": "2026-01-02T03:04:05.000006Z", "stageTimestamp": "2026-01-02T03:04:05.500000Z",
            })
        );
    }

    #[test]
    fn refusals_and_strangers_are_told_of() {
        let target = Target::parse("/api/v1/secrets").unwrap();
        let bob = Identity::new("bob", []);
        let stranger = Asked { user: None, ..asked(&target, &bob) };
        let event = of_request(stranger, &answered(401, Some(Reason::Unauthorized)));
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["user"]["username"], "system:anonymous");
        assert_eq!(
            event["responseStatus"],
            json!({"metadata": {}, "code": 401, "status": "Failure", "reason": "Unauthorized"})
        );
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(cut("äöü", 3), "ä");
        assert_eq!(cut("abc", 3), "abc");
    }
}
