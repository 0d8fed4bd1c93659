//! Questions about access and identity, as kubectl and dashboards ask them.

use serde_json::{Value, json};

use crate::harness::{Server, namespace};
use crate::protobuf::{HEADERS, body, field};

const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1";
const AUTHENTICATION: &str = "/apis/authentication.k8s.io/v1";
const BOB: [(&str, &str); 2] = [("authorization", "Bearer the-token-of-bob"), ("content-type", "application/json")];

fn access(kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec})
}

impl Server {
    async fn can_bob(&self, spec: Value) -> Value {
        let question = access("SelfSubjectAccessReview", &spec).to_string();
        let path = format!("{AUTHORIZATION}/selfsubjectaccessreviews");
        self.send("POST", &path, &BOB, question).await.expect(201)["status"].clone()
    }

    /// Lets everybody known read config maps of the namespace `a`.
    async fn with_readers() -> Self {
        let server = Self::start().await;
        server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
        let api = "rbac.authorization.k8s.io/v1";
        let place = format!("/apis/{api}/namespaces/a");
        let rule =
            json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["c"]});
        let role = json!({"apiVersion": api, "kind": "Role", "metadata": {"name": "r"}, "rules": [rule]});
        server.post(&format!("{place}/roles"), role).await.expect(201);
        let binding = json!({
            "apiVersion": api, "kind": "RoleBinding", "metadata": {"name": "b"},
            "roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "Group", "name": "system:authenticated"}],
        });
        server.post(&format!("{place}/rolebindings"), binding).await.expect(201);
        server
    }
}

const BECAUSE: &str = "RBAC: allowed by RoleBinding \"b/a\" of Role \"r\" to Group \"system:authenticated\"";

#[tokio::test]
async fn one_asks_what_one_may() {
    let server = Server::with_readers().await;
    let of = |of: Value| json!({"resourceAttributes": of});
    let c = json!({"namespace": "a", "verb": "get", "resource": "configmaps", "name": "c"});
    assert_eq!(server.can_bob(of(c)).await, json!({"allowed": true, "reason": BECAUSE}));
    for no in [
        json!({"namespace": "a", "verb": "get", "resource": "configmaps"}),
        json!({"verb": "get", "resource": "configmaps", "name": "c"}),
        json!({"namespace": "a", "verb": "get", "group": "*", "resource": "configmaps", "name": "c"}),
        json!({"namespace": "a", "verb": "*", "resource": "*"}),
        json!({"namespace": "a", "verb": "get", "resource": "configmaps", "subresource": "status", "name": "c"}),
        json!({}),
    ] {
        assert_eq!(server.can_bob(of(no.clone())).await, json!({"allowed": false}), "{no}");
    }
    let path = |path: &str| json!({"nonResourceAttributes": {"verb": "get", "path": path}});
    assert_eq!(server.can_bob(path("/version")).await["allowed"], true);
    assert_eq!(server.can_bob(path("/metrics")).await["allowed"], false);
}

#[tokio::test]
async fn an_administrators_question_reads_as_upstream_answers_it() {
    let server = Server::start().await;
    let spec = json!({"resourceAttributes": {"group": "*", "namespace": "", "resource": "*", "verb": "*"}});
    let path = format!("{AUTHORIZATION}/selfsubjectaccessreviews?fieldManager=me");
    let mut answer = server.post(&path, access("SelfSubjectAccessReview", &spec)).await.expect(201);
    answer["metadata"]["managedFields"][0]["time"] = "TIME".into();
    let read = json!({"resourceAttributes": {"group": "*", "resource": "*", "verb": "*"}});
    let fields = json!({"f:spec": {"f:resourceAttributes": {
        ".": {}, "f:group": {}, "f:resource": {}, "f:verb": {},
    }}});
    let managed = json!([{
        "apiVersion": "authorization.k8s.io/v1", "fieldsType": "FieldsV1", "fieldsV1": fields, "manager": "me",
        "operation": "Update", "time": "TIME",
    }]);
    assert_eq!(
        answer,
        json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "metadata": {"managedFields": managed}, "spec": read, "status": {"allowed": true},
        })
    );
}

#[tokio::test]
async fn who_may_ask_asks_about_others() {
    let server = Server::with_readers().await;
    let c = json!({"namespace": "a", "verb": "get", "resource": "configmaps", "name": "c"});
    let ask = |groups: Value| json!({"user": "carol", "groups": groups, "resourceAttributes": c});
    for (kind, path) in [
        ("SubjectAccessReview", format!("{AUTHORIZATION}/subjectaccessreviews")),
        ("LocalSubjectAccessReview", format!("{AUTHORIZATION}/namespaces/a/localsubjectaccessreviews")),
    ] {
        let question = |groups| access(kind, &ask(groups));
        let answer = server.post(&path, question(json!([]))).await.expect(201);
        assert_eq!(answer["status"], json!({"allowed": false}), "nothing is added to what the question says");
        let answer = server.post(&path, question(json!(["system:authenticated"]))).await.expect(201);
        assert_eq!(answer["status"], json!({"allowed": true, "reason": BECAUSE}));
        let answer = server.post(&path, question(json!(["system:masters"]))).await.expect(201);
        assert_eq!(answer["status"], json!({"allowed": true}));
        let (reason, message) = server.send("POST", &path, &BOB, question(json!([])).to_string()).await.refusal(403);
        assert_eq!(reason, "Forbidden");
        assert!(message.contains("cannot create resource"), "{message}");
    }
    let nobody = access("SubjectAccessReview", &json!({"resourceAttributes": c}));
    let (_, message) = server.post(&format!("{AUTHORIZATION}/subjectaccessreviews"), nobody).await.refusal(422);
    assert_eq!(
        message,
        "SubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.user: Invalid value: \"\": at least one of user or \
         group must be specified"
    );
}

#[tokio::test]
async fn one_asks_for_all_that_one_may() {
    let server = Server::with_readers().await;
    let path = format!("{AUTHORIZATION}/selfsubjectrulesreviews");
    let ask = |namespace: &str| access("SelfSubjectRulesReview", &json!({"namespace": namespace})).to_string();
    let answer = server.send("POST", &path, &BOB, ask("a")).await.expect(201);
    assert_eq!((&answer["metadata"], &answer["spec"]), (&json!({}), &json!({})));
    let status = &answer["status"];
    assert_eq!(status["incomplete"], false);
    let of_maps = json!({
        "verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["c"],
    });
    assert!(status["resourceRules"].as_array().unwrap().contains(&of_maps), "{status}");
    assert!(status["nonResourceRules"][0]["nonResourceURLs"].as_array().unwrap().contains(&json!("/version")));
    let elsewhere = server.send("POST", &path, &BOB, ask("b")).await.expect(201);
    assert!(!elsewhere["status"]["resourceRules"].as_array().unwrap().contains(&of_maps));
    let master = server.post(&path, access("SelfSubjectRulesReview", &json!({"namespace": "a"}))).await.expect(201);
    let everything = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
    assert_eq!(master["status"]["resourceRules"][0], everything);
    let (reason, message) = server.send("POST", &path, &BOB, ask("")).await.refusal(400);
    assert_eq!((reason.as_str(), message.as_str()), ("BadRequest", "no namespace on request"));
}

#[tokio::test]
async fn one_learns_who_one_is() {
    let server = Server::start().await;
    let path = format!("{AUTHENTICATION}/selfsubjectreviews");
    let question = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).to_string();
    let answer = server.send("POST", &path, &BOB, question.clone()).await.expect(201);
    assert!(answer["metadata"]["creationTimestamp"].is_string());
    let user = json!({"username": "bob", "groups": ["system:authenticated"]});
    assert_eq!(answer["status"], json!({"userInfo": user}));
    let as_ci = [
        ("content-type", "application/json"),
        ("impersonate-user", "system:serviceaccount:a:ci"),
        ("impersonate-uid", "7"),
        ("impersonate-extra-team", "x"),
    ];
    let beta = json!({"apiVersion": "authentication.k8s.io/v1beta1", "kind": "SelfSubjectReview"}).to_string();
    let answer = server.send("POST", &path.replace("v1", "v1beta1"), &BOB, beta).await.expect(201);
    assert_eq!(
        (&answer["apiVersion"], &answer["status"]["userInfo"]["username"]),
        (&json!("authentication.k8s.io/v1beta1"), &json!("bob"))
    );
    let answer = server.send("POST", &path, &as_ci, question).await.expect(201);
    let groups = json!(["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]);
    let user =
        json!({"username": "system:serviceaccount:a:ci", "uid": "7", "groups": groups, "extra": {"team": ["x"]}});
    assert_eq!(answer["status"]["userInfo"], user);
}

#[tokio::test]
async fn a_tokens_owner_is_told_to_who_may_ask() {
    let server = Server::start().await;
    let path = format!("{AUTHENTICATION}/tokenreviews");
    let ask = |token: &str, audiences: Value| {
        json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token, "audiences": audiences},
        })
    };
    let answer = server.post(&path, ask("the-token-of-bob", json!(null))).await.expect(201);
    assert_eq!(
        answer["status"],
        json!({
            "authenticated": true, "user": {"username": "bob", "groups": ["system:authenticated"]},
            "audiences": ["https://kubernetes.default.svc.cluster.local"],
        })
    );
    for question in [ask("nope", json!([])), ask("the-token-of-bob", json!(["vault"]))] {
        let answer = server.post(&path, question).await.expect(201);
        assert_eq!(answer["status"], json!({"user": {}, "error": "invalid bearer token"}));
    }
    let (_, message) = server.post(&path, ask("", json!([]))).await.refusal(400);
    assert_eq!(message, "token is required for TokenReview in authentication");
    let asked = ask("the-token-of-bob", json!([])).to_string();
    assert_eq!(server.send("POST", &path, &BOB, asked).await.code, 403);
}

#[tokio::test]
async fn questions_are_asked_in_protobuf_too() {
    let server = Server::start().await;
    let of = [field(2, "get"), field(5, "secrets")].concat();
    let question = body("authorization.k8s.io/v1", "SelfSubjectAccessReview", field(2, field(1, of)));
    let path = format!("{AUTHORIZATION}/selfsubjectaccessreviews");
    let answer = server.send("POST", &path, &HEADERS, question).await.expect(201);
    assert_eq!(answer["spec"]["resourceAttributes"], json!({"verb": "get", "resource": "secrets"}));
    assert_eq!(answer["status"], json!({"allowed": true}));

    let question = body("authentication.k8s.io/v1", "SelfSubjectReview", Vec::new());
    let answer = server.send("POST", &format!("{AUTHENTICATION}/selfsubjectreviews"), &HEADERS, question).await;
    assert_eq!(answer.expect(201)["status"]["userInfo"]["username"], "admin");
    let question = body("authorization.k8s.io/v1", "SelfSubjectRulesReview", field(2, field(1, "default")));
    let answer = server.send("POST", &format!("{AUTHORIZATION}/selfsubjectrulesreviews"), &HEADERS, question).await;
    assert_eq!(answer.expect(201)["status"]["incomplete"], false);
    let question = body("authentication.k8s.io/v1", "TokenReview", field(2, field(1, "the-token-of-bob")));
    let answer = server.send("POST", &format!("{AUTHENTICATION}/tokenreviews"), &HEADERS, question).await;
    assert_eq!(answer.expect(201)["status"]["user"]["username"], "bob");
}

#[tokio::test]
async fn questions_are_only_asked() {
    let server = Server::start().await;
    let path = format!("{AUTHORIZATION}/selfsubjectaccessreviews");
    assert_eq!(server.get(&path).await.refusal(405).0, "MethodNotAllowed");
    assert_eq!(server.get(&format!("{path}/x")).await.code, 404);
    let misspelt =
        json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {"resource": {}}});
    let (_, message) = server.post(&format!("{path}?fieldValidation=Strict"), misspelt).await.refusal(400);
    assert!(message.ends_with("strict decoding error: unknown field \"spec.resource\""), "{message}");
    let list = server.get(AUTHORIZATION).await.expect(200);
    for resource in list["resources"].as_array().unwrap() {
        assert_eq!(resource["verbs"], json!(["create"]), "{resource}");
    }
}
