//! Validating policies: expressions that decide what may be made, changed and deleted.

use serde_json::{Value, json};

use crate::harness::{Server, WIDGETS, config_map, namespace, widget};
use crate::users::{USERS, definition};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const CONFIG_MAPS: &str = "/api/v1/namespaces/a/configmaps";

fn rule(resources: &[&str], operations: &[&str]) -> Value {
    json!({"apiGroups": ["*"], "apiVersions": ["*"], "resources": resources, "operations": operations})
}

fn policy(name: &str, rule: Value, spec: Value) -> Value {
    let mut whole = json!({"matchConstraints": {"resourceRules": [rule]}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let kind = "ValidatingAdmissionPolicy";
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": whole})
}

fn binding(name: &str, policy: &str, spec: Value) -> Value {
    let mut whole = json!({"policyName": policy, "validationActions": ["Deny"]});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let kind = "ValidatingAdmissionPolicyBinding";
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": whole})
}

/// Puts a policy in force.
async fn enforce(server: &Server, name: &str, rule: Value, spec: Value, bound: Value) {
    let policies = format!("{GROUP}/validatingadmissionpolicies");
    server.post(&policies, policy(name, rule, spec)).await.expect(201);
    let bindings = format!("{GROUP}/validatingadmissionpolicybindings");
    server.post(&bindings, binding(name, name, bound)).await.expect(201);
}

fn says(expression: &str) -> Value {
    json!({"validations": [{"expression": expression}]})
}

#[tokio::test]
async fn a_denied_request_is_told_by_which_policy_and_why() {
    let server = Server::with_widgets().await;
    let rules = json!({"validations": [
        {"expression": "object.data.size() < 3"},
        {"expression": "!('secret' in object.data)", "message": "no secrets here", "reason": "Forbidden"},
        {"expression": "!object.data.exists(key, key.startsWith('x-'))", "message": "static",
         "messageExpression": "'found ' + object.data.filter(key, key.startsWith('x-')).join()"},
    ]});
    enforce(&server, "data", rule(&["configmaps"], &["CREATE", "UPDATE"]), rules, json!({})).await;

    server.post(CONFIG_MAPS, config_map("good", [("a", "b")].into())).await.expect(201);
    let many = config_map("many", [("a", "b"), ("c", "d"), ("e", "f")].into());
    let denied = "ValidatingAdmissionPolicy 'data' with binding 'data' denied request";
    let refused = server.post(CONFIG_MAPS, many).await.expect(422);
    let message = format!("{denied}: failed expression: object.data.size() < 3");
    assert_eq!(refused["message"], format!("configmaps \"many\" is forbidden: {message}"));
    assert_eq!(refused["reason"], "Invalid");
    let causes = json!([{"message": message}]);
    assert_eq!(refused["details"], json!({"name": "many", "kind": "configmaps", "causes": causes}));

    let secret = server.post(CONFIG_MAPS, config_map("s", [("secret", "b")].into())).await.refusal(403);
    assert_eq!(secret, ("Forbidden".into(), format!("configmaps \"s\" is forbidden: {denied}: no secrets here")));
    let named = server.post(CONFIG_MAPS, config_map("x", [("x-a", "b")].into())).await.refusal(422);
    assert_eq!(named.1, format!("configmaps \"x\" is forbidden: {denied}: found x-a"));

    let data = json!({"data": {"a": "b", "c": "d", "e": "f"}});
    let good = format!("{CONFIG_MAPS}/good");
    assert_eq!(server.merge(&good, data.clone()).await.refusal(422).0, "Invalid");
    assert_eq!(server.merge(&format!("{good}?dryRun=All"), data.clone()).await.refusal(422).0, "Invalid");
    let mut applied = config_map("new", [("a", "b"), ("c", "d"), ("e", "f")].into());
    for (name, verb) in [("new", 422), ("good", 422)] {
        applied["metadata"]["name"] = name.into();
        let url = format!("{CONFIG_MAPS}/{name}?fieldManager=m&force=true");
        let headers = [("content-type", "application/apply-patch+yaml")];
        assert_eq!(server.send("PATCH", &url, &headers, applied.to_string()).await.code, verb);
    }
    assert_eq!(server.get(&format!("{CONFIG_MAPS}/new")).await.code, 404);
    // It speaks of nothing else, and ends with its binding.
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    server.delete(&format!("{GROUP}/validatingadmissionpolicybindings/data"), json!({})).await.expect(200);
    server.merge(&good, data).await.expect(200);
}

#[tokio::test]
async fn every_way_to_change_a_declared_kind_is_judged() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w", json!({"color": "red", "replicas": 1}))).await.expect(201);
    let w = format!("{WIDGETS}/w");
    enforce(
        &server,
        "status",
        rule(&["widgets/status"], &["UPDATE"]),
        says("request.subResource == 'status' && !has(object.status.phase)"),
        json!({}),
    )
    .await;
    let scale = says("object.kind == 'Scale' && object.spec.replicas <= oldObject.spec.replicas + 2");
    enforce(&server, "scale", rule(&["widgets/scale"], &["UPDATE"]), scale, json!({})).await;
    let deletion = says("object == null && oldObject.spec.color != 'red'");
    enforce(&server, "deletion", rule(&["widgets"], &["DELETE"]), deletion, json!({})).await;
    let immutable = says("object.spec.color == oldObject.spec.color || request.userInfo.username != 'admin'");
    enforce(&server, "immutable", rule(&["widgets"], &["UPDATE"]), immutable, json!({})).await;

    assert_eq!(server.merge(&format!("{w}/status"), json!({"status": {"phase": "x"}})).await.code, 422);
    server.merge(&w, json!({"metadata": {"labels": {"a": "b"}}})).await.expect(200);
    assert_eq!(server.merge(&format!("{w}/scale"), json!({"spec": {"replicas": 9}})).await.code, 422);
    server.merge(&format!("{w}/scale"), json!({"spec": {"replicas": 3}})).await.expect(200);
    assert_eq!(server.merge(&w, json!({"spec": {"color": "blue"}})).await.code, 422);
    assert_eq!(server.delete(&w, json!({})).await.code, 422);
    assert_eq!(server.delete(&format!("{w}?dryRun=All"), json!({})).await.code, 422);
    assert_eq!(server.delete(WIDGETS, json!({})).await.code, 422);
    assert_eq!(server.get(&w).await.code, 200);
    // What the server does by itself is not held up.
    server.delete("/api/v1/namespaces/a", json!({})).await.expect(200);
    server.until_gone("/api/v1/namespaces/a").await;
}

#[tokio::test]
async fn what_cannot_be_judged_is_refused_unless_the_policy_says_otherwise() {
    let server = Server::with_widgets().await;
    let expression = "object.metadata.annotations['owner'] != ''";
    enforce(&server, "owner", rule(&["configmaps"], &["CREATE"]), says(expression), json!({})).await;
    let refused = server.post(CONFIG_MAPS, config_map("c", [].into())).await.refusal(422);
    let why = format!("expression '{expression}' resulted in error: no such key: annotations");
    let denied = "ValidatingAdmissionPolicy 'owner' with binding 'owner' denied request";
    assert_eq!(refused.1, format!("configmaps \"c\" is forbidden: {denied}: {why}"));

    let owner = format!("{GROUP}/validatingadmissionpolicies/owner");
    server.merge(&owner, json!({"spec": {"failurePolicy": "Ignore"}})).await.expect(200);
    server.post(CONFIG_MAPS, config_map("c", [].into())).await.expect(201);
    // A condition that is false comes before one that fails.
    let conditions = json!([
        {"name": "fails", "expression": "object.metadata.annotations.x == ''"},
        {"name": "not-mine", "expression": "object.metadata.name != 'mine'"},
    ]);
    let strict = json!({"spec": {"failurePolicy": "Fail", "matchConditions": conditions}});
    server.merge(&owner, strict).await.expect(200);
    server.post(CONFIG_MAPS, config_map("mine", [].into())).await.expect(201);
    assert_eq!(server.post(CONFIG_MAPS, config_map("yours", [].into())).await.code, 422);
}

#[tokio::test]
async fn warnings_are_told_and_nothing_is_refused() {
    let server = Server::with_widgets().await;
    let rules = json!({"validations": [{"expression": "has(object.data)", "message": "a config map without data"}]});
    let actions = json!({"validationActions": ["Warn", "Audit"]});
    enforce(&server, "data", rule(&["configmaps"], &["CREATE"]), rules, actions).await;
    let made = server.post(CONFIG_MAPS, config_map("c", [].into())).await;
    made.expect(201);
    let warning = "299 - \"Validation failed for ValidatingAdmissionPolicy 'data' with binding 'data': a config map without \
                   data\"";
    assert_eq!(made.header("warning"), warning);
}

#[tokio::test]
async fn rules_and_selectors_say_which_requests_are_meant() {
    let server = Server::with_widgets().await;
    server.post("/api/v1/namespaces", namespace("b")).await.expect(201);
    server.merge("/api/v1/namespaces/b", json!({"metadata": {"labels": {"strict": "yes"}}})).await.expect(200);
    let mut never = policy("never", rule(&["*"], &["CREATE"]), says("false"));
    never["spec"]["matchConstraints"]["namespaceSelector"] = json!({"matchLabels": {"strict": "yes"}});
    never["spec"]["matchConstraints"]["objectSelector"] =
        json!({"matchExpressions": [{"key": "free", "operator": "DoesNotExist"}]});
    let mut but = rule(&["configmaps"], &["*"]);
    but["resourceNames"] = json!(["spared"]);
    never["spec"]["matchConstraints"]["excludeResourceRules"] = json!([but]);
    server.post(&format!("{GROUP}/validatingadmissionpolicies"), never).await.expect(201);
    let only = json!({"matchResources": {"resourceRules": [rule(&["configmaps", "secrets"], &["*"])]}});
    let bindings = format!("{GROUP}/validatingadmissionpolicybindings");
    server.post(&bindings, binding("never", "never", only)).await.expect(201);

    let inside = "/api/v1/namespaces/b/configmaps";
    assert_eq!(server.post(inside, config_map("c", [].into())).await.code, 422);
    server.post(CONFIG_MAPS, config_map("c", [].into())).await.expect(201);
    server.post(inside, config_map("spared", [].into())).await.expect(201);
    let mut free = config_map("free", [].into());
    free["metadata"]["labels"] = json!({"free": "1"});
    server.post(inside, free).await.expect(201);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "s"}});
    server.post("/api/v1/namespaces/b/serviceaccounts", account).await.expect(201);
    // The same Event by either of its names.
    let events =
        json!({"apiGroups": ["events.k8s.io"], "apiVersions": ["v1"], "resources": ["events"], "operations": ["*"]});
    enforce(
        &server,
        "events",
        events,
        says("object.note != 'quiet' && request.kind.group == 'events.k8s.io'"),
        json!({}),
    )
    .await;
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "message": "quiet",
        "involvedObject": {"kind": "X", "name": "x", "namespace": "a", "apiVersion": "v1"},
    });
    assert_eq!(server.post("/api/v1/namespaces/a/events", event).await.code, 422);
}

#[tokio::test]
async fn parameters_come_from_the_store() {
    let server = Server::with_widgets().await;
    let spec = json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "variables": [{"name": "most", "expression": "params == null ? 0 : int(params.data.most)"}],
        "validations": [{
            "expression": "object.spec.replicas <= variables.most",
            "messageExpression": "'at most ' + string(variables.most) + ' in ' + namespaceObject.metadata.name",
        }],
    });
    let reference = json!({"paramRef": {"name": "limits", "parameterNotFoundAction": "Deny"}});
    enforce(&server, "most", rule(&["widgets"], &["CREATE"]), spec, reference).await;
    let five = || widget("w", json!({"color": "red", "replicas": 5}));
    let denied =
        "widgets.wire.test \"w\" is forbidden: ValidatingAdmissionPolicy 'most' with binding 'most' denied request";
    let none = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction";
    assert_eq!(server.post(WIDGETS, five()).await.refusal(422).1, format!("{denied}: {none}"));
    server.post(CONFIG_MAPS, config_map("limits", [("most", "3")].into())).await.expect(201);
    assert_eq!(server.post(WIDGETS, five()).await.refusal(422).1, format!("{denied}: at most 3 in a"));
    server.merge(&format!("{CONFIG_MAPS}/limits"), json!({"data": {"most": "5"}})).await.expect(200);
    server.post(WIDGETS, five()).await.expect(201);

    let bound = format!("{GROUP}/validatingadmissionpolicybindings/most");
    let by_label =
        json!({"name": null, "selector": {"matchLabels": {"limits": "yes"}}, "parameterNotFoundAction": "Allow"});
    server.merge(&bound, json!({"spec": {"paramRef": by_label}})).await.expect(200);
    server.post(WIDGETS, widget("v", json!({"color": "red", "replicas": 9}))).await.expect(201);
    let labelled = json!({"metadata": {"labels": {"limits": "yes"}}});
    server.merge(&format!("{CONFIG_MAPS}/limits"), labelled).await.expect(200);
    let nine = widget("u", json!({"color": "red", "replicas": 9}));
    assert!(server.post(WIDGETS, nine).await.refusal(422).1.ends_with("at most 5 in a"));

    let unknown =
        json!({"paramKind": {"apiVersion": "none.test/v1", "kind": "Limit"}, "validations": [{"expression": "true"}]});
    enforce(&server, "unknown", rule(&["secrets"], &["CREATE"]), unknown, json!({})).await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    let refused = server.post("/api/v1/namespaces/a/secrets", secret).await.refusal(422).1;
    let why = "failed to find resource referenced by paramKind: 'none.test/v1, Kind=Limit'";
    let expected = format!(
        "secrets \"s\" is forbidden: ValidatingAdmissionPolicy 'unknown' denied request: failed to configure policy: {why}"
    );
    assert_eq!(refused, expected);
}

#[tokio::test]
async fn policies_are_objects_like_others_and_judge_not_themselves() {
    let server = Server::start().await;
    let every = rule(&["*", "*/*"], &["*"]);
    let everything = json!({"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]});
    let policies = format!("{GROUP}/validatingadmissionpolicies");
    let refused = server.post(&policies, policy("p", every, says("true"))).await.refusal(422);
    assert!(refused.1.contains("must not specify other resources"), "{}", refused.1);
    enforce(&server, "never", everything, says("false"), json!({})).await;
    assert_eq!(server.post("/api/v1/namespaces", namespace("n")).await.code, 422);

    server
        .until(&format!("{policies}/never"), "observed", |found| {
            found.is_some_and(|found| found["status"] == json!({"observedGeneration": 1}))
        })
        .await;
    let made = server.get(&format!("{policies}/never")).await.expect(200);
    assert_eq!(made["spec"]["failurePolicy"], "Fail");
    assert_eq!(made["metadata"]["generation"], 1);
    let bad = json!({"spec": {"validations": [{"expression": "object.x >"}]}});
    assert_eq!(server.merge(&format!("{policies}/never"), bad).await.refusal(422).0, "Invalid");
    server.merge(&format!("{policies}/never"), json!({"spec": says("true")})).await.expect(200);
    server.post("/api/v1/namespaces", namespace("n")).await.expect(201);

    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let shown = server.send("GET", &policies, &table, "").await.expect(200);
    assert_eq!(shown["rows"][0]["cells"].as_array().unwrap()[..3], [json!("never"), json!(1), json!("<unset>")]);
    let bindings = format!("{GROUP}/validatingadmissionpolicybindings");
    let shown = server.send("GET", &bindings, &table, "").await.expect(200);
    assert_eq!(shown["rows"][0]["cells"].as_array().unwrap()[..3], [json!("never"), json!("never"), json!("<unset>")]);
}

#[tokio::test]
async fn a_policy_of_another_server_counts_at_once() {
    let one = Server::with_widgets().await;
    let other = Server::over(one.storage.clone(), |_| {}).await;
    enforce(&one, "never", rule(&["configmaps"], &["CREATE"]), says("false"), json!({})).await;
    assert_eq!(other.post(CONFIG_MAPS, config_map("c", [].into())).await.code, 422);
    one.delete(&format!("{GROUP}/validatingadmissionpolicies/never"), json!({})).await.expect(200);
    other.post(CONFIG_MAPS, config_map("c", [].into())).await.expect(201);
}

#[tokio::test]
async fn an_expensive_expression_is_given_up() {
    let server = Server::with_widgets().await;
    let slow = "object.data.all(a, object.data.all(b, object.data.all(c, a + b + c != '')))";
    enforce(&server, "slow", rule(&["configmaps"], &["CREATE"]), says(slow), json!({})).await;
    let keys: Vec<String> = (0..2_000).map(|number| format!("k{number}")).collect();
    let large = config_map("large", keys.iter().map(|key| (key.as_str(), "v")).collect());
    let began = std::time::Instant::now();
    let refused = server.post(CONFIG_MAPS, large).await.refusal(422).1;
    assert!(refused.contains("cost"), "{refused}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    server.post(CONFIG_MAPS, config_map("small", [("a", "b")].into())).await.expect(201);
}

#[tokio::test]
async fn tokens_are_judged_and_who_asks_is_known() {
    let server = Server::with_widgets().await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "s"}});
    server.post("/api/v1/namespaces/a/serviceaccounts", account).await.expect(201);
    let short =
        says("object.spec.expirationSeconds <= 900 && request.userInfo.groups.exists(g, g == 'system:masters')");
    enforce(&server, "short", rule(&["serviceaccounts/token"], &["CREATE"]), short, json!({})).await;
    let request = |seconds: i64| json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}});
    let url = "/api/v1/namespaces/a/serviceaccounts/s/token";
    assert_eq!(server.post(url, request(3600)).await.code, 422);
    server.post(url, request(900)).await.expect(201);
}

#[tokio::test]
async fn passwords_and_keys_are_judged_and_never_shown_to_a_policy() {
    let server = Server::with_users(|_| {}).await;
    server.server.install_kinds(&[definition("apikeys")]).await.unwrap();
    for name in ["ann", "free"] {
        server.make_user(name, json!({})).await;
        let spec = json!({"owner": {"kind": "User", "name": name}});
        let key =
            json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": name}, "spec": spec});
        server.post("/apis/thecloud.dev/v1alpha1/apikeys", key).await.expect(201);
    }
    let guard = says(
        "request.name == 'free' && (object == null ? oldObject : object).kind == request.kind.kind
         && !('password' in (object == null ? oldObject : object))",
    );
    let rule = rule(&["users/password", "apikeys/token"], &["CREATE", "DELETE"]);
    enforce(&server, "guard", rule, guard, json!({})).await;
    for (name, code) in [("ann", 422), ("free", 200)] {
        let path = format!("{USERS}/{name}/password");
        assert_eq!(server.post(&path, json!({"password": "battery staple horse"})).await.code, code, "{name}");
        assert_eq!(server.delete(&path, json!({})).await.code, code, "{name}");
        let made = server.post(&format!("/apis/thecloud.dev/v1alpha1/apikeys/{name}/token"), json!({})).await;
        assert_eq!(made.code, if code == 200 { 201 } else { code }, "{}", made.text);
        let is_in = server.log_in(name, "correct horse battery").await.code == 200;
        assert_eq!(is_in, name == "ann", "what is refused changes nothing");
    }
}

#[tokio::test]
async fn who_may_not_read_parameters_binds_no_policy_to_them() {
    let server = Server::with_widgets().await;
    let access = "/apis/rbac.authorization.k8s.io/v1";
    let rules = json!([{"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]}]);
    let role = json!({"metadata": {"name": "author"}, "rules": rules});
    server.post(&format!("{access}/clusterroles"), role).await.expect(201);
    let bound = json!({
        "metadata": {"name": "bob"}, "roleRef": {"kind": "ClusterRole", "name": "author"},
        "subjects": [{"kind": "User", "name": "bob"}],
    });
    server.post(&format!("{access}/clusterrolebindings"), bound).await.expect(201);
    let bob = [("authorization", "Bearer the-token-of-bob"), ("content-type", "application/json")];
    let spy = json!({"paramKind": {"apiVersion": "v1", "kind": "Secret"}, "validations": [{"expression": "false"}]});
    let spy = policy("spy", rule(&["configmaps"], &["CREATE"]), spy);
    let policies = format!("{GROUP}/validatingadmissionpolicies");
    let refused = server.send("POST", &policies, &bob, spy.to_string()).await.refusal(422).1;
    assert_eq!(
        refused,
        "ValidatingAdmissionPolicy.admissionregistration.k8s.io \"spy\" is invalid: spec.paramKind: Forbidden: user bob must \
         have \"get\" permission on all objects of the referenced paramKind (kind=Secret, apiVersion=v1)"
    );
    server.post(&policies, spy).await.expect(201);
    let reference = json!({"paramRef": {"name": "s", "namespace": "a", "parameterNotFoundAction": "Allow"}});
    let bindings = format!("{GROUP}/validatingadmissionpolicybindings");
    let spying = binding("spy", "spy", reference).to_string();
    let refused = server.send("POST", &bindings, &bob, spying.clone()).await.refusal(422).1;
    let detail = "user bob does not have \"get\" permission on the object referenced by paramRef";
    assert!(refused.ends_with(&format!("spec.paramRef: Forbidden: {detail}")), "{refused}");
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"], "verbs": ["get"]}]);
    let role = json!({"metadata": {"name": "reader"}, "rules": rules});
    server.post(&format!("{access}/namespaces/a/roles"), role).await.expect(201);
    let bound = json!({
        "metadata": {"name": "bob"}, "roleRef": {"kind": "Role", "name": "reader"},
        "subjects": [{"kind": "User", "name": "bob"}],
    });
    server.post(&format!("{access}/namespaces/a/rolebindings"), bound).await.expect(201);
    server.send("POST", &bindings, &bob, spying).await.expect(201);
}

#[tokio::test]
async fn variables_are_merged_by_their_names() {
    let server = Server::start().await;
    let mut made = policy("p", rule(&["configmaps"], &["CREATE"]), says("variables.a == 1"));
    made["spec"]["variables"] = json!([{"name": "a", "expression": "1"}]);
    let policies = format!("{GROUP}/validatingadmissionpolicies");
    server.post(&policies, made).await.expect(201);
    let patch = json!({"spec": {"variables": [{"name": "b", "expression": "variables.a + 1"}]}});
    let headers = [("content-type", "application/strategic-merge-patch+json")];
    let patched = server.send("PATCH", &format!("{policies}/p"), &headers, patch.to_string()).await.refusal(422).1;
    // As upstream merges them: the new one comes first.
    assert!(patched.contains("spec.variables[0].expression: Invalid value: \"variables.a + 1\""), "{patched}");
    let patch = json!({"spec": {"variables": [{"name": "b", "expression": "2"}]}});
    let patched = server.send("PATCH", &format!("{policies}/p"), &headers, patch.to_string()).await.expect(200);
    assert_eq!(patched["spec"]["variables"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn policies_come_in_protobuf_too() {
    // ValidatingAdmissionPolicy{metadata{name:"p"}, spec{matchConstraints{resourceRules[{ruleWithOperations{
    // operations["CREATE"], rule{apiGroups[""], apiVersions["v1"], resources["configmaps"]}}}]},
    // validations[{expression:"true"}]}}
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }
    let inner = [field(1, b""), field(2, b"v1"), field(3, b"configmaps")].concat();
    let rule = field(2, &[field(1, b"CREATE"), field(2, &inner)].concat());
    let spec = [field(2, &field(3, &rule)), field(3, &field(1, b"true"))].concat();
    let object = [field(1, &field(1, b"p")), field(2, &spec)].concat();
    let kind = [field(1, b"admissionregistration.k8s.io/v1"), field(2, b"ValidatingAdmissionPolicy")].concat();
    let body = [b"k8s\0".to_vec(), field(1, &kind), field(2, &object)].concat();
    let server = Server::start().await;
    let headers = [("content-type", "application/vnd.kubernetes.protobuf"), ("accept", "application/json")];
    let made = server.send("POST", &format!("{GROUP}/validatingadmissionpolicies"), &headers, body).await.expect(201);
    let expected = json!({
        "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "scope": "*",
    });
    assert_eq!(made["spec"]["matchConstraints"]["resourceRules"], json!([expected]));
}
