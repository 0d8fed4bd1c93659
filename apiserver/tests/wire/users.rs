//! Users: their passwords, logins and sessions.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apiserver::{ApiServer, Clock, Config, PasswordCost, ServiceAccountKey, TokenTable};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::harness::{Reply, Server, request};

pub(crate) const USERS: &str = "/apis/thecloud.dev/v1alpha1/users";
const PASSWORD: &str = "correct horse battery";
const JSON: (&str, &str) = ("content-type", "application/json");
/// What strangers send, who have no bearer token.
const NOBODY: [(&str, &str); 2] = [("authorization", ""), JSON];

/// A clock that the test sets.
pub(crate) struct Hands(AtomicI64);

impl Hands {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_800_000_000)))
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_secs()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

pub(crate) fn definition(name: &str) -> Value {
    let path = format!("{}/../manifests/crds/{name}.thecloud.dev.yaml", env!("CARGO_MANIFEST_DIR"));
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn user(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": "User", "metadata": {"name": name}, "spec": spec})
}

impl Server {
    /// With the kind User.
    pub(crate) async fn with_users(set: impl FnOnce(&mut Config)) -> Self {
        let server = Self::with(|config| {
            config.logins.cost = PasswordCost::least();
            set(config);
        })
        .await;
        server.server.install_kinds(&[definition("users")]).await.unwrap();
        server
    }

    /// With the user `ann`, who has a password.
    pub(crate) async fn with_ann(set: impl FnOnce(&mut Config)) -> Self {
        let server = Self::with_users(set).await;
        server.make_user("ann", json!({"groups": ["developers"]})).await;
        server
    }

    pub(crate) async fn make_user(&self, name: &str, spec: Value) {
        self.post(USERS, user(name, spec)).await.expect(201);
        self.set_password(name, PASSWORD).await.expect(200);
    }

    async fn set_password(&self, name: &str, password: &str) -> Reply {
        self.post(&format!("{USERS}/{name}/password"), json!({"password": password})).await
    }

    pub(crate) async fn ask(&self, what: &str, body: Value) -> Reply {
        self.send("POST", &format!("/auth/v1/{what}"), &NOBODY, body.to_string()).await
    }

    pub(crate) async fn log_in(&self, name: &str, password: &str) -> Reply {
        self.ask("login", json!({"username": name, "password": password})).await
    }

    async fn refresh(&self, tokens: &Value) -> Reply {
        self.ask("refresh", json!({"refreshToken": tokens["refreshToken"]})).await
    }

    pub(crate) async fn tokens(&self, name: &str) -> Value {
        self.log_in(name, PASSWORD).await.expect(200)
    }

    /// Sends a request as somebody who has logged in.
    pub(crate) async fn send_as(&self, token: &str, method: &str, path: &str, body: Value) -> Reply {
        let bearer = format!("Bearer {token}");
        self.send(method, path, &[("authorization", &bearer), JSON], body.to_string()).await
    }

    /// Who somebody is by a token; the code where they are nobody.
    pub(crate) async fn who_is(&self, token: &str) -> Result<Value, u16> {
        let question = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let answer = self.send_as(token, "POST", path, question).await;
        if answer.code == 201 { Ok(answer.json()["status"]["userInfo"].clone()) } else { Err(answer.code) }
    }

    pub(crate) async fn is_in(&self, tokens: &Value) -> bool {
        self.who_is(tokens["accessToken"].as_str().unwrap()).await.is_ok()
    }
}

#[tokio::test]
async fn a_user_logs_in_by_password_and_is_known_by_the_token() {
    let server = Server::with_ann(|_| {}).await;
    let answer = server.log_in("ann", PASSWORD).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let tokens = answer.expect(200);
    assert_eq!(tokens["username"], "ann");
    let who = server.who_is(tokens["accessToken"].as_str().unwrap()).await.unwrap();
    assert_eq!((&who["username"], &who["groups"]), (&json!("ann"), &json!(["developers", "system:authenticated"])));
    let object = server.get(&format!("{USERS}/ann")).await.expect(200);
    assert_eq!(who["uid"], object["metadata"]["uid"]);
    assert!(!object.to_string().contains("argon2"), "{object}");

    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": tokens["accessToken"]},
    });
    let review = server.post("/apis/authentication.k8s.io/v1/tokenreviews", review).await.expect(201);
    assert_eq!(review["status"]["user"], who);
    let (_, message) =
        server.send_as(tokens["accessToken"].as_str().unwrap(), "GET", USERS, json!({})).await.refusal(403);
    assert!(message.contains("User \"ann\" cannot list"), "{message}");
}

#[tokio::test]
async fn unknown_users_wrong_passwords_and_those_who_may_not_come_in_get_the_same_answer() {
    let server = Server::with_ann(|_| {}).await;
    server.make_user("off", json!({"disabled": true})).await;
    server.post(USERS, user("bare", json!({}))).await.expect(201);
    let wrong = server.log_in("ann", "something else entirely").await;
    assert_eq!(wrong.code, 401, "{}", wrong.text);
    for name in ["nobody", "off", "bare", "", "system:admin", "admin"] {
        let answer = server.log_in(name, PASSWORD).await;
        assert_eq!((answer.code, &answer.text), (401, &wrong.text), "{name:?}");
    }
}

#[tokio::test]
async fn requests_go_on_while_passwords_are_hashed_on_all_threads_and_others_wait() {
    // A hash costs many times what all these requests do.
    let dear = PasswordCost { memory: 16 << 10, passes: 32 };
    let many = 40 + std::thread::available_parallelism().unwrap().get();
    let server = Server::with_users(|config| config.logins.cost = dear).await;
    let server = Arc::new(server);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..many {
        let (server, order) = (Arc::clone(&server), Arc::clone(&order));
        flood.spawn(async move {
            let code = server.log_in(&format!("nobody-{number}"), PASSWORD).await.code;
            order.lock().unwrap().push(code);
        });
    }
    while order.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..50 {
        server.get(USERS).await.expect(200);
        server.post(USERS, user("", json!({}))).await;
    }
    let answered = order.lock().unwrap().clone();
    assert!(answered.iter().all(|code| *code == 429), "{answered:?}: all who found a place are still hashed or wait");
    assert!(answered.len() < many);
    flood.shutdown().await;
}

#[tokio::test]
async fn what_changes_of_a_user_counts_for_the_tokens_that_are_out() {
    let server = Server::with_ann(|_| {}).await;
    let tokens = server.tokens("ann").await;
    let access = tokens["accessToken"].as_str().unwrap();
    let ann = format!("{USERS}/ann");
    server.merge(&ann, json!({"spec": {"groups": ["operators"]}})).await.expect(200);
    let who = server.who_is(access).await.unwrap();
    assert_eq!(who["groups"], json!(["operators", "system:authenticated"]));
    server.merge(&ann, json!({"spec": {"disabled": true}})).await.expect(200);
    assert_eq!(server.who_is(access).await, Err(401));
    server.refresh(&tokens).await.refusal(401);
    server.merge(&ann, json!({"spec": {"disabled": false}})).await.expect(200);
    assert!(server.who_is(access).await.is_ok());
    server.delete(&ann, json!({})).await.expect(200);
    assert_eq!(server.who_is(access).await, Err(401));
    server.post(USERS, user("ann", json!({}))).await.expect(201);
    assert_eq!(server.who_is(access).await, Err(401), "another user has the name now");
    server.refresh(&tokens).await.refusal(401);
    server.log_in("ann", PASSWORD).await.refusal(401);
}

#[tokio::test]
async fn an_access_token_expires_and_the_refresh_token_gets_the_next() {
    let clock = Hands::new();
    let server = Server::with_ann(|config| config.clock = Arc::<Hands>::clone(&clock)).await;
    let first = server.tokens("ann").await;
    clock.pass(Duration::from_secs(15 * 60 - 1));
    assert!(server.is_in(&first).await);
    clock.pass(Duration::from_secs(1));
    assert!(!server.is_in(&first).await);
    let second = server.refresh(&first).await.expect(200);
    assert!(server.is_in(&second).await);
    clock.pass(Duration::from_secs(7 * 24 * 3600));
    server.refresh(&second).await.refusal(401);
}

#[tokio::test]
async fn a_refresh_token_that_is_used_twice_ends_its_session_and_no_other() {
    let server = Server::with_ann(|_| {}).await;
    let other = server.tokens("ann").await;
    let first = server.tokens("ann").await;
    let second = server.refresh(&first).await.expect(200);
    assert!(server.is_in(&second).await);
    server.refresh(&first).await.refusal(401);
    assert!(!server.is_in(&second).await);
    server.refresh(&second).await.refusal(401);
    assert!(server.is_in(&other).await);
    server.refresh(&other).await.expect(200);
}

#[tokio::test]
async fn of_two_who_use_a_refresh_token_at_the_same_moment_at_most_one_goes_on() {
    let server = Server::with_ann(|_| {}).await;
    let tokens = server.tokens("ann").await;
    let (one, two) = tokio::join!(server.refresh(&tokens), server.refresh(&tokens));
    let mut codes = [one.code, two.code];
    codes.sort_unstable();
    assert!(codes == [200, 401] || codes == [401, 401], "{codes:?}");
    for answer in [one, two].iter().filter(|answer| answer.code == 200) {
        server.refresh(&answer.json()).await.refusal(401);
    }
}

#[tokio::test]
async fn leaving_ends_the_session_or_all_of_them() {
    let server = Server::with_ann(|_| {}).await;
    let (one, two, three) = (server.tokens("ann").await, server.tokens("ann").await, server.tokens("ann").await);
    server.ask("logout", json!({"refreshToken": one["refreshToken"]})).await.expect(200);
    assert!(!server.is_in(&one).await && server.is_in(&two).await);
    server.refresh(&one).await.refusal(401);
    server.ask("logout", json!({"refreshToken": two["refreshToken"], "everywhere": true})).await.expect(200);
    assert!(!server.is_in(&two).await && !server.is_in(&three).await);
}

#[tokio::test]
async fn a_user_changes_their_own_password_by_the_present_one_and_other_logins_end() {
    let server = Server::with_ann(|_| {}).await;
    let before = server.tokens("ann").await;
    let change = |old: &str, new: &str| json!({"username": "ann", "password": old, "newPassword": new});
    server.ask("password", change("not the one it is", "another long password")).await.refusal(401);
    for poor in ["short", "ann", &"x".repeat(300)] {
        let (_, message) = server.ask("password", change(PASSWORD, poor)).await.refusal(422);
        assert!(message.starts_with("a password "), "{message}");
    }
    assert!(server.is_in(&before).await);
    let after = server.ask("password", change(PASSWORD, "another long password")).await.expect(200);
    assert!(server.is_in(&after).await && !server.is_in(&before).await);
    server.log_in("ann", PASSWORD).await.refusal(401);
    server.log_in("ann", "another long password").await.expect(200);
}

#[tokio::test]
async fn a_password_that_is_set_or_taken_away_by_others_ends_all_logins() {
    let server = Server::with_ann(|_| {}).await;
    let tokens = server.tokens("ann").await;
    let path = format!("{USERS}/ann/password");
    let dry = format!("{path}?dryRun=All");
    server.post(&dry, json!({"password": "another long password"})).await.expect(200);
    assert!(server.is_in(&tokens).await);
    server.set_password("ann", "short").await.refusal(422);
    let (_, message) = server.post(&path, json!({"password": 5, "secret": "s3cret"})).await.refusal(400);
    assert!(!message.contains("s3cret"), "{message}");
    server.set_password("ann", "another long password").await.expect(200);
    assert!(!server.is_in(&tokens).await);
    let tokens = server.log_in("ann", "another long password").await.expect(200);
    server.delete(&path, json!({})).await.expect(200);
    assert!(!server.is_in(&tokens).await);
    server.log_in("ann", "another long password").await.refusal(401);
    server.set_password("nobody", "another long password").await.refusal(404);
    server.get(&path).await.refusal(405);
}

/// A role with these rules, bound to `bob`.
pub(crate) async fn let_bob(server: &Server, rules: Value) {
    let access = "/apis/rbac.authorization.k8s.io/v1";
    let version = "rbac.authorization.k8s.io/v1";
    let role = json!({"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": "bob"}, "rules": rules});
    server.put(&format!("{access}/clusterroles/bob"), role).await;
    let binding = json!({
        "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": "bob"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bob"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}],
    });
    server.put(&format!("{access}/clusterrolebindings/bob"), binding).await;
}

pub(crate) const BOB: &str = "the-token-of-bob";

#[tokio::test]
async fn nobody_gets_more_by_making_users_than_they_have() {
    let server = Server::with_ann(|_| {}).await;
    let manage = json!({"apiGroups": ["thecloud.dev"], "resources": ["users", "users/password"], "verbs": ["*"]});
    let_bob(&server, json!([manage])).await;
    let make = |groups: Value| user("eve", json!({"groups": groups}));
    for group in ["developers", "system:masters"] {
        let (_, message) = server.send_as(BOB, "POST", USERS, make(json!([group]))).await.refusal(422);
        assert!(message.contains(&format!("user bob is not in the group \"{group}\"")), "{message}");
    }
    server.send_as(BOB, "POST", USERS, make(json!([]))).await.expect(201);
    let eve = format!("{USERS}/eve");
    server.send_as(BOB, "PUT", &eve, make(json!(["developers"]))).await.refusal(422);
    let word = json!({"password": PASSWORD});
    let (_, message) = server.send_as(BOB, "POST", &format!("{eve}/password"), word.clone()).await.refusal(403);
    assert!(message.contains("cannot impersonate resource \"users\""), "{message}");

    let stand_for = json!({"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]});
    let_bob(&server, json!([manage, stand_for])).await;
    server.send_as(BOB, "POST", &format!("{eve}/password"), word.clone()).await.expect(200);
    let (_, message) = server.send_as(BOB, "POST", &format!("{USERS}/ann/password"), word.clone()).await.refusal(403);
    assert!(message.contains("\"developers\" is forbidden") && message.contains("impersonate"), "{message}");

    let groups =
        json!({"apiGroups": [""], "resources": ["groups"], "verbs": ["impersonate"], "resourceNames": ["developers"]});
    let_bob(&server, json!([manage, stand_for, groups])).await;
    server.send_as(BOB, "POST", &format!("{USERS}/ann/password"), word).await.expect(200);
    let mut eve_in = server.get(&eve).await.expect(200);
    eve_in["spec"]["groups"] = json!(["developers"]);
    server.send_as(BOB, "PUT", &eve, eve_in).await.expect(200);
}

#[tokio::test]
async fn names_and_groups_of_the_server_itself_are_nobodys() {
    let server = Server::with_users(|_| {}).await;
    server.post(USERS, user("system:admin", json!({}))).await.refusal(422);
    let (_, message) = server.post(USERS, user("eve", json!({"groups": ["system:nodes"]}))).await.refusal(422);
    assert!(message.contains("only system:masters can be given"), "{message}");
    server.make_user("root", json!({"groups": ["system:masters"]})).await;
    let tokens = server.tokens("root").await;
    server.send_as(tokens["accessToken"].as_str().unwrap(), "GET", USERS, json!({})).await.expect(200);
}

#[tokio::test]
async fn a_name_that_is_tried_wrongly_is_locked_for_a_while_also_for_the_right_password() {
    let clock = Hands::new();
    let server = Server::with_ann(|config| config.clock = Arc::<Hands>::clone(&clock)).await;
    for name in ["ann", "nobody"] {
        for _ in 0..5 {
            server.log_in(name, "something else entirely").await.refusal(401);
        }
        let answer = server.log_in(name, PASSWORD).await;
        let (reason, _) = answer.refusal(429);
        assert_eq!((reason.as_str(), answer.header("retry-after")), ("TooManyRequests", "1"), "{name}");
    }
    clock.pass(Duration::from_secs(1));
    let tokens = server.tokens("ann").await;
    assert!(server.is_in(&tokens).await);
}

#[tokio::test]
async fn a_user_has_no_more_sessions_than_may_be_and_the_oldest_end() {
    let clock = Hands::new();
    let server = Server::with_ann(|config| config.clock = Arc::<Hands>::clone(&clock)).await;
    let mut all = Vec::new();
    for _ in 0..34 {
        all.push(server.tokens("ann").await);
        clock.pass(Duration::from_secs(1));
    }
    let mut open = Vec::new();
    for tokens in &all {
        open.push(server.is_in(tokens).await);
    }
    assert_eq!(open, [vec![false; 2], vec![true; 32]].concat());
}

#[tokio::test]
async fn servers_of_one_store_know_each_others_logins_and_their_ends() {
    let key = Arc::new(ServiceAccountKey::generate());
    let server = Server::with_ann(|config| config.service_account_key = Arc::clone(&key)).await;
    let mut config = Config::new(server.storage.clone(), TokenTable::new());
    config.service_account_key = key;
    let other = ApiServer::new(config).await.unwrap();
    let code = async |tokens: &Value| {
        let bearer = format!("Bearer {}", tokens["accessToken"].as_str().unwrap());
        let asked = request("GET", "/version", &[("authorization", &bearer)], "");
        other.service().oneshot(asked).await.unwrap().status().as_u16()
    };
    let tokens = server.tokens("ann").await;
    assert_eq!(code(&tokens).await, 200);
    server.ask("logout", json!({"refreshToken": tokens["refreshToken"]})).await.expect(200);
    assert_eq!(code(&tokens).await, 401);
}

#[tokio::test]
async fn what_is_no_login_is_refused_without_showing_what_was_in_it() {
    let server = Server::with_ann(|_| {}).await;
    for body in
        ["", "{", "[]", "{\"username\": \"ann\"}", "{\"username\": \"ann\", \"password\": \"s3cret\", \"x\": 1}"]
    {
        let (_, message) = server.send("POST", "/auth/v1/login", &NOBODY, body).await.refusal(400);
        assert!(!message.contains("s3cret"), "{message}");
    }
    let large = format!("{{\"username\": \"{}\"}}", "x".repeat(9 << 10));
    server.send("POST", "/auth/v1/login", &NOBODY, large).await.refusal(413);
    server.send("GET", "/auth/v1/login", &NOBODY, "").await.refusal(405);
    assert_eq!(server.send("POST", "/auth/v1/else", &NOBODY, "{}").await.code, 404);
    for token in
        ["", "tcr_", "tcr_ann", "tcr_ann.x", "tcr_ann.x.y", "tcr_ann.x.y.z", "nonsense", "tcr_../..", "tcr_ann..."]
    {
        server.ask("refresh", json!({"refreshToken": token})).await.refusal(401);
        server.ask("logout", json!({"refreshToken": token})).await.refusal(401);
    }
}

#[tokio::test]
async fn a_password_is_hashed_anew_when_it_costs_more_than_before() {
    let server = Server::with_ann(|_| {}).await;
    let key = apiserver_store::Key::new(apiserver::private_resources()[0].clone(), "", "ann");
    let kept =
        |server: &Server| server.storage.get(&key).unwrap().value()["record"]["hash"].as_str().unwrap().to_owned();
    assert!(kept(&server).starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", kept(&server));
    let server =
        Server::over(server.storage.clone(), |config| config.logins.cost = PasswordCost { memory: 64, passes: 2 })
            .await;
    server.log_in("ann", PASSWORD).await.expect(200);
    assert!(kept(&server).starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{}", kept(&server));
    server.log_in("ann", PASSWORD).await.expect(200);
}
