use serde_json::json;

use super::*;
use crate::schema::object;

fn errors(kind: &Kind, mut object: Value) -> Vec<String> {
    let version = &kind.versions[0];
    object["metadata"] = json!({"name": "p"});
    object::check(kind, version, &object).unwrap();
    assert_eq!(version.schema.prune(&mut object), [""; 0]);
    object::complete(kind, version, &mut object);
    object::validate(kind, version, &object, None).iter().map(ToString::to_string).collect()
}

fn policy(spec: Value) -> Vec<String> {
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]});
    let mut whole = json!({
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "object.metadata.name != 'x'"}],
    });
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    errors(&policy::kind(), json!({"spec": whole}))
}

fn binding(spec: Value) -> Vec<String> {
    let mut whole = json!({"policyName": "p", "validationActions": ["Deny"]});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    errors(&binding::kind(), json!({"spec": whole}))
}

#[test]
fn what_may_be_left_out_is_filled_in() {
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]});
    let mut policy = json!({"spec": {"matchConstraints": {"resourceRules": [rule]}}});
    prepare_policy(&mut policy);
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    let matches = &policy["spec"]["matchConstraints"];
    assert_eq!((&matches["matchPolicy"], &matches["resourceRules"][0]["scope"]), (&json!("Equivalent"), &json!("*")));
    assert_eq!((&matches["namespaceSelector"], &matches["objectSelector"]), (&json!({}), &json!({})));
    let mut binding = json!({"spec": {"policyName": "p"}});
    prepare_binding(&mut binding);
    assert_eq!(binding, json!({"spec": {"policyName": "p"}}));
}

#[test]
fn a_policy_says_what_it_is_about_and_what_must_hold() {
    assert_eq!(policy(json!({})), [""; 0]);
    assert_eq!(
        errors(&policy::kind(), json!({})),
        [
            "spec.matchConstraints: Required value",
            "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
            "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
        ]
    );
    assert_eq!(
        policy(json!({"failurePolicy": "Maybe", "matchConstraints": {"matchPolicy": "Some"}})),
        [
            "spec.failurePolicy: Unsupported value: \"Maybe\": supported values: \"Fail\", \"Ignore\"",
            "spec.matchConstraints.matchPolicy: Unsupported value: \"Some\": supported values: \"Equivalent\", \"Exact\"",
            "spec.matchConstraints.resourceRules: Required value",
        ]
    );
    let place = "spec.matchConstraints.resourceRules[0]";
    let rule = json!({
        "operations": ["*", "GET"], "apiGroups": ["*", "a"], "apiVersions": [""], "resources": ["*", "pods", "*/*", "a/*", "a/b"],
        "scope": "Here", "resourceNames": ["a", "a", "b/c"],
    });
    assert_eq!(
        policy(json!({"matchConstraints": {"resourceRules": [rule, {}]}})),
        [
            format!("{place}.resourceNames[1]: Duplicate value: \"a\""),
            format!("{place}.resourceNames[2]: Invalid value: \"b/c\": may not contain '/'"),
            format!(
                "{place}.operations: Invalid value: [\"*\",\"GET\"]: if '*' is present, must not specify other operations"
            ),
            format!(
                "{place}.operations[1]: Unsupported value: \"GET\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"DELETE\", \"UPDATE\""
            ),
            format!(
                "{place}.apiGroups: Invalid value: [\"*\",\"a\"]: if '*' is present, must not specify other API groups"
            ),
            format!("{place}.apiVersions[0]: Required value"),
            format!("{place}.resources[3]: Invalid value: \"a/*\": if '*/*' is present, must not specify a/*"),
            format!("{place}.resources[4]: Invalid value: \"a/b\": if 'a/*' is present, must not specify a/b"),
            format!(
                "{place}.resources: Invalid value: [\"*\",\"pods\",\"*/*\",\"a/*\",\"a/b\"]: if '*/*' is present, must not specify other resources"
            ),
            format!(
                "{place}.resources: Invalid value: [\"*\",\"pods\",\"*/*\",\"a/*\",\"a/b\"]: if '*' is present, must not specify other resources without subresources"
            ),
            format!("{place}.scope: Unsupported value: \"Here\": supported values: \"*\", \"Cluster\", \"Namespaced\""),
            "spec.matchConstraints.resourceRules[1].operations: Required value".to_owned(),
            "spec.matchConstraints.resourceRules[1].apiGroups: Required value".to_owned(),
            "spec.matchConstraints.resourceRules[1].apiVersions: Required value".to_owned(),
            "spec.matchConstraints.resourceRules[1].resources: Required value".to_owned(),
        ]
    );
}

#[test]
fn expressions_of_a_policy_compile() {
    let validations = json!([
        {"expression": "object.x >"}, {"expression": " "}, {"expression": "'a'"}, {"expression": "params.x == 1"},
        {"expression": "true", "message": " ", "reason": "Nope"}, {"expression": "true", "message": "a\nb"},
        {"expression": "true", "messageExpression": " "}, {"expression": "true", "messageExpression": "true"},
    ]);
    let found = policy(json!({"validations": validations}));
    assert!(
        found[0].starts_with("spec.validations[0].expression: Invalid value: \"object.x >\": compilation failed: ")
    );
    let supported = "supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\"";
    assert_eq!(
        found[1..],
        [
            "spec.validations[1].expression: Required value: expression is not specified",
            "spec.validations[2].expression: Invalid value: \"'a'\": must evaluate to bool but got string",
            "spec.validations[3].expression: Invalid value: \"params.x == 1\": compilation failed: undeclared reference to \
             'params' (in container '')",
            "spec.validations[4].message: Invalid value: \" \": message must be non-empty if specified",
            &format!("spec.validations[4].reason: Unsupported value: \"Nope\": {supported}"),
            "spec.validations[5].message: Invalid value: \"a\\nb\": message must not contain line breaks",
            "spec.validations[6].messageExpression: Invalid value: \" \": must be non-empty if specified",
            "spec.validations[7].messageExpression: Invalid value: \"true\": must evaluate to string but got bool",
        ]
    );
    let variables = json!([{"name": "a", "expression": "1"}, {"name": "in", "expression": "variables.a"}, {"name": "b", "expression": "variables.c"}]);
    assert_eq!(
        policy(json!({"variables": variables, "validations": [{"expression": "variables.a == variables.d"}]})),
        [
            "spec.variables[1].name: Invalid value: \"in\": name is not a valid CEL identifier",
            "spec.variables[2].expression: Invalid value: \"variables.c\": compilation failed: undefined field 'c'",
            "spec.validations[0].expression: Invalid value: \"variables.a == variables.d\": compilation failed: undefined \
             field 'd'",
        ]
    );
    let conditions = json!([{"name": "a b", "expression": "true"}, {"name": "c", "expression": ""}, {"name": "c", "expression": "true"}]);
    let found = policy(json!({"matchConditions": conditions}));
    assert_eq!(found[0], "spec.matchConditions[2]: Duplicate value: {\"name\":\"c\"}");
    assert!(found[1].starts_with("spec.matchConditions[0].name: Invalid value: \"a b\": name part must consist of"));
    assert_eq!(found[2..], ["spec.matchConditions[1].expression: Required value"]);
    let annotations = json!([{"key": "k", "valueExpression": "'v'"}, {"key": "k", "valueExpression": "true"}]);
    assert_eq!(
        policy(json!({"auditAnnotations": annotations})),
        [
            "spec.auditAnnotations[1].valueExpression: Invalid value: \"true\": must evaluate to one of [string null_type] \
             but got bool",
            "spec.auditAnnotations[1].key: Duplicate value: \"k\"",
        ]
    );
    assert_eq!(
        policy(json!({"paramKind": {"apiVersion": "a/b/c", "kind": "X Y"}}))[0],
        "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c"
    );
}

#[test]
fn a_binding_names_a_policy_and_says_what_follows() {
    assert_eq!(binding(json!({})), [""; 0]);
    assert_eq!(
        errors(&binding::kind(), json!({})),
        [
            "spec.policyName: Required value",
            "spec.validationActions: Required value: at least one validation action is required",
        ]
    );
    assert_eq!(
        binding(json!({"validationActions": ["Deny", "Warn", "Warn", "Log"]})),
        [
            "spec.validationActions[2]: Duplicate value: \"Warn\"",
            "spec.validationActions[3]: Unsupported value: \"Log\": supported values: \"Audit\", \"Deny\", \"Warn\"",
            "spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Warn\",\"Log\"]: must not contain both Deny and Warn \
             (repeating the same validation failure information in the API response and headers serves no purpose)",
        ]
    );
    assert_eq!(
        binding(json!({"paramRef": {"name": "x", "selector": {}}})),
        [
            "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.parameterNotFoundAction: Required value",
        ]
    );
    assert_eq!(
        binding(json!({"paramRef": {"parameterNotFoundAction": "Ask"}})),
        [
            "spec.paramRef: Required value: one of name or selector must be specified",
            "spec.paramRef.parameterNotFoundAction: Unsupported value: \"Ask\": supported values: \"Deny\", \"Allow\"",
        ]
    );
}
