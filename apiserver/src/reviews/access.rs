//! What somebody may: one thing (SubjectAccessReview and its kin), or everything (SelfSubjectRulesReview).

use serde_json::{Map, Value, json};

use super::{text, texts};
use crate::access::{Attributes, Identity, Object, ResourceAttributes, Rights};
use crate::error::{ApiError, FieldError};
use crate::registry::Review;
use crate::schema::words;
use crate::verbs::Call;

/// Whether the one who is meant may do what is meant, as a status.
pub(super) fn decide(call: &Call, who: &Identity, review: Review, question: &Value) -> Result<Value, ApiError> {
    let errors = problems(review, question);
    if !errors.is_empty() {
        return Err(call.served.invalid("", &errors));
    }
    let spec = &question["spec"];
    let object = match spec.get("resourceAttributes").filter(|of| of.is_object()) {
        Some(of) => Object::Resource(ResourceAttributes {
            group: text(of, "group"),
            resource: text(of, "resource"),
            subresource: text(of, "subresource"),
            namespace: text(of, "namespace"),
            name: text(of, "name"),
        }),
        None => Object::Path(text(&spec["nonResourceAttributes"], "path")),
    };
    let asked = if matches!(object, Object::Resource(_)) { "resourceAttributes" } else { "nonResourceAttributes" };
    let wish = Attributes { verb: text(&spec[asked], "verb"), object };
    let rules = &call.state.config.authorizer;
    let decision = match review {
        Review::SelfSubjectAccess => rules.authorize(who, &wish),
        _ => rules.authorize(&subject(spec), &wish),
    };
    let mut status = json!({"allowed": decision.is_allowed()});
    let reason = decision.reason();
    if !reason.is_empty() {
        status["reason"] = reason.into();
    }
    Ok(status)
}

/// Whom the question is about. Nothing is added to what it says: not even that somebody is known.
fn subject(spec: &Value) -> Identity {
    let extra = spec.get("extra").and_then(Value::as_object).into_iter().flatten();
    Identity {
        user: text(spec, "user").to_owned(),
        uid: text(spec, "uid").to_owned(),
        groups: texts(spec.get("groups")),
        extra: extra.map(|(key, values)| (key.clone(), texts(Some(values)))).collect(),
    }
}

fn problems(review: Review, question: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let spec = &question["spec"];
    let of = |field: &str| spec.get(field).filter(|value| value.is_object());
    let (resource, path) = (of("resourceAttributes"), of("nonResourceAttributes"));
    // Upstream shows its internal struct.
    let shown = |path: &Value| json!({"Path": text(path, "path"), "Verb": text(path, "verb")});
    if let (Some(_), Some(path)) = (resource, path) {
        let detail = "cannot be specified in combination with resourceAttributes";
        errors.push(words::invalid("spec.nonResourceAttributes", &shown(path), detail));
    }
    if resource.is_none() && path.is_none() {
        let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.push(words::invalid("spec.resourceAttributes", &"null".into(), detail));
    }
    if review != Review::SelfSubjectAccess && text(spec, "user").is_empty() && texts(spec.get("groups")).is_empty() {
        errors.push(words::invalid("spec.user", &"".into(), "at least one of user or group must be specified"));
    }
    let is_local = review == Review::LocalSubjectAccess;
    let metadata = &question["metadata"];
    if !is_bare(metadata, is_local) {
        let detail = if is_local { "must be empty except for namespace" } else { "must be empty" };
        errors.push(words::invalid("metadata", metadata, detail));
    }
    if is_local {
        let namespace = resource.map(|resource| text(resource, "namespace"));
        if let Some(namespace) = namespace.filter(|namespace| *namespace != text(metadata, "namespace")) {
            let place = "spec.resourceAttributes.namespace";
            errors.push(words::invalid(place, &namespace.into(), "must match metadata.namespace"));
        }
        if let Some(path) = path {
            let detail = "disallowed on this kind of request";
            errors.push(words::invalid("spec.nonResourceAttributes", &shown(path), detail));
        }
    }
    errors
}

/// Whether metadata says nothing: a question has no name.
fn is_bare(metadata: &Value, is_local: bool) -> bool {
    metadata.as_object().into_iter().flatten().all(|(field, value)| {
        let is_empty = match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        is_empty || field == "managedFields" || (is_local && field == "namespace")
    })
}

/// Everything that the one who asks may do in a namespace.
pub(super) fn rules(call: &Call, who: &Identity, question: &Value) -> Result<Value, ApiError> {
    let namespace = text(&question["spec"], "namespace");
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let Rights { rules, problem } = call.state.config.authorizer.rights(who, namespace);
    let mut of_resources = Vec::new();
    let mut of_paths = Vec::new();
    for rule in &rules {
        if !rule.resources.is_empty() {
            let mut shown = Map::from_iter([("verbs".to_owned(), json!(rule.verbs))]);
            for (field, list) in [
                ("apiGroups", &rule.api_groups),
                ("resources", &rule.resources),
                ("resourceNames", &rule.resource_names),
            ] {
                if !list.is_empty() {
                    shown.insert(field.to_owned(), json!(list));
                }
            }
            of_resources.push(Value::Object(shown));
        }
        if !rule.non_resource_urls.is_empty() {
            of_paths.push(json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls}));
        }
    }
    let mut status = json!({"resourceRules": of_resources, "nonResourceRules": of_paths, "incomplete": false});
    if !problem.is_empty() {
        status["evaluationError"] = problem.into();
    }
    Ok(json!({
        "apiVersion": call.served.api_version(),
        "kind": call.served.kind.kind,
        "metadata": {},
        "spec": {},
        "status": status,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(review: Review, question: &Value) -> Vec<String> {
        problems(review, question).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_question_is_about_one_thing_and_somebody() {
        let resource = json!({"verb": "get", "resource": "pods"});
        let path = json!({"verb": "get", "path": "/x"});
        let good = json!({"metadata": {"creationTimestamp": null}, "spec": {"resourceAttributes": resource}});
        assert_eq!(said(Review::SelfSubjectAccess, &good), [""; 0]);
        assert_eq!(
            said(Review::SubjectAccess, &json!({"metadata": {"name": "n"}, "spec": {}})),
            [
                "spec.resourceAttributes: Invalid value: \"null\": exactly one of nonResourceAttributes or \
                 resourceAttributes must be specified",
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
                "metadata: Invalid value: {\"name\":\"n\"}: must be empty",
            ]
        );
        let both = json!({"spec": {"resourceAttributes": resource, "nonResourceAttributes": path}});
        assert_eq!(
            said(Review::SelfSubjectAccess, &both),
            ["spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"get\"}: cannot be specified in \
              combination with resourceAttributes"]
        );
    }

    #[test]
    fn a_local_question_stays_in_its_namespace() {
        let ask = |spec: Value| {
            let mut spec = spec;
            spec["groups"] = json!(["g"]);
            said(Review::LocalSubjectAccess, &json!({"metadata": {"namespace": "a"}, "spec": spec}))
        };
        assert_eq!(ask(json!({"resourceAttributes": {"namespace": "a"}})), [""; 0]);
        assert_eq!(
            ask(json!({"resourceAttributes": {"namespace": "b"}})),
            ["spec.resourceAttributes.namespace: Invalid value: \"b\": must match metadata.namespace"]
        );
        assert_eq!(
            ask(json!({"nonResourceAttributes": {"path": "/x"}})),
            ["spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"\"}: disallowed on this kind of \
              request"]
        );
    }
}
