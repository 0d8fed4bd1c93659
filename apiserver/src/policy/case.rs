//! A request as policies see it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::access::Identity;
use crate::error::{ApiError, Reason};
use crate::lifecycle::rules;
use crate::registry::{Kind, Version};
use crate::verbs::served::Served;
use crate::warnings::Warnings;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// Who asks, and how: what a write carries with it to be judged. The server's own doings have none, and are not judged.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    pub(crate) who: Arc<Identity>,
    /// As `status`; empty for the object itself.
    pub(crate) subresource: String,
    /// The name in the path; empty where there is none.
    pub(crate) name: String,
}

/// One request.
pub(crate) struct Case<'a> {
    pub(crate) requester: &'a Requester,
    pub(crate) served: &'a Served,
    pub(crate) operation: Operation,
    /// Empty for what is in none.
    pub(crate) namespace: &'a str,
    /// The name that rules are asked for.
    pub(crate) name: String,
    /// What will be there; nothing for a deletion.
    pub(crate) object: Option<Value>,
    /// What is there.
    pub(crate) old: Option<Value>,
    /// What the request says of how it is meant.
    pub(crate) options: Value,
    pub(crate) dry_run: bool,
    pub(crate) warnings: &'a Warnings,
}

impl Case<'_> {
    pub(super) fn subresource(&self) -> &str {
        &self.requester.subresource
    }

    /// The namespace as upstream has it: one is in itself.
    pub(super) fn namespace(&self) -> String {
        let is_namespace = rules::is_namespace(&self.served.kind);
        if is_namespace { self.name.clone() } else { self.namespace.to_owned() }
    }

    /// The variable `request`.
    pub(super) fn request(&self, kind: &Kind, version: &Version) -> Value {
        let subresource = self.subresource();
        let described = |kind: &Kind, version: &Version| {
            // What stands for an object has a kind of its own.
            let (group, name, of) = match subresource {
                "scale" => ("autoscaling", "v1", "Scale"),
                "token" if rules::has_tokens(kind) => ("authentication.k8s.io", "v1", "TokenRequest"),
                "exec" => ("", "v1", "PodExecOptions"),
                "attach" => ("", "v1", "PodAttachOptions"),
                _ => (kind.group.as_str(), version.name.as_str(), kind.kind.as_str()),
            };
            let resource = json!({"group": kind.group, "version": version.name, "resource": kind.plural});
            (json!({"group": group, "version": name, "kind": of}), resource)
        };
        let (matched_kind, matched_resource) = described(kind, version);
        let (kind, resource) = described(&self.served.kind, self.served.version());
        let who = &self.requester.who;
        let mut options = self.options.clone();
        options["apiVersion"] = "meta.k8s.io/v1".into();
        options["kind"] = match self.operation {
            Operation::Create => "CreateOptions",
            Operation::Update => "UpdateOptions",
            Operation::Delete => "DeleteOptions",
            Operation::Connect => "",
        }
        .into();
        if self.dry_run {
            options["dryRun"] = json!(["All"]);
        }
        let mut user = json!({"username": who.user, "groups": who.groups, "extra": who.extra});
        if !who.uid.is_empty() {
            user["uid"] = who.uid.as_str().into();
        }
        let mut request = json!({
            "kind": matched_kind,
            "resource": matched_resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": self.name,
            "operation": self.operation.name(),
            "userInfo": user,
            "dryRun": self.dry_run,
            "options": if self.operation == Operation::Connect { Value::Null } else { options },
        });
        let namespace = self.namespace();
        for (field, value) in
            [("namespace", namespace.as_str()), ("subResource", subresource), ("requestSubResource", subresource)]
        {
            if !value.is_empty() {
                request[field] = value.into();
            }
        }
        request
    }

    /// The refusal, in upstream's words.
    pub(super) fn refused(&self, reason: Reason, message: &str) -> ApiError {
        let object = self.object.as_ref().map(|object| &object["metadata"]);
        let given = |field: &str| object.and_then(|metadata| metadata[field].as_str()).unwrap_or_default();
        let names = [self.name.as_str(), given("name"), given("generateName")];
        let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or("Unknown");
        let kind = &self.served.kind;
        let mut error = ApiError::forbidden(&kind.group, &kind.plural, name, message);
        error.reason = reason;
        error.details.insert("causes".into(), json!([{"message": message}]));
        error
    }
}
