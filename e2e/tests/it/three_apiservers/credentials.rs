//! Who is let in by one apiserver is let in by the others, and who is shut out at one is shut out at all.

use std::time::Duration;

use apiserver_store_postgres::testing::PostgresServer;
use e2e::{Cloud, eventually_within, run};
use serde_json::{Value, json};

use super::three;

/// What one server knows, all know by then, with the time that asking takes on a busy machine.
const SOON: Duration = Duration::from_secs(3);

/// The answer's code to somebody with these arguments for curl who asks a server something that it knows by itself.
fn code(cloud: &Cloud, arguments: &[&str]) -> String {
    let url = format!("https://{}/apis/authentication.k8s.io/v1/selfsubjectreviews", cloud.address());
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).to_string();
    let common = ["-sk", "-o", "/dev/null", "-w", "%{http_code}", "-H", "content-type: application/json", "-d", &body];
    run("curl", common.iter().copied().chain(arguments.iter().copied()).chain([url.as_str()]), "").stdout
}

fn with_token(cloud: &Cloud, token: &str) -> String {
    code(cloud, &["-H", &format!("authorization: Bearer {token}")])
}

/// A token of a service account, made by this server.
fn account_token(cloud: &Cloud) -> String {
    let wish = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}).to_string();
    let path = "/api/v1/namespaces/default/serviceaccounts/ci/token";
    let made: Value =
        serde_json::from_str(&cloud.kubectl_with(&["create", "--raw", path, "-f", "-"], &wish).ok()).unwrap();
    made["status"]["token"].as_str().unwrap().to_owned()
}

/// The access token of a user who logs in at this server.
fn login(cloud: &Cloud, user: &str, password: &str) -> String {
    let url = format!("https://{}/auth/v1/login", cloud.address());
    let body = json!({"username": user, "password": password}).to_string();
    let said = run("curl", ["-sk", "-H", "content-type: application/json", "-d", &body, &url], "").ok();
    let said: Value = serde_json::from_str(&said).unwrap();
    said["accessToken"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// All of them answer so, and soon.
#[track_caller]
fn all_answer(clouds: &[Cloud], expected: &str, what: &str, ask: impl Fn(&Cloud) -> String) {
    eventually_within(SOON, &format!("{what} to get {expected} everywhere"), || {
        let codes: Vec<String> = clouds.iter().map(&ask).collect();
        if codes.iter().all(|code| code == expected) { Ok(()) } else { Err(codes) }
    });
}

#[test]
fn who_is_let_in_or_shut_out_by_one_is_by_all() {
    let Some(server) = PostgresServer::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clouds = three(&runtime.block_on(server.create_database()));
    let [first, second, third] = &clouds[..] else { panic!("there are three") };
    let _ = first.kubectl(&["create", "serviceaccount", "ci"]).ok();
    let _ = second.cloudctl(&["user", "create", "ann"]).ok();
    let password = "correct horse battery";
    let _ = third.cloudctl_with(&["passwd", "ann", "--password-stdin"], &format!("{password}\n")).ok();

    let account = account_token(first);
    let session = login(second, "ann", password);
    let key = third.cloudctl(&["apikey", "create", "ci", "--user", "ann"]).ok().trim().to_owned();
    let [certificate, private] = certificate(first, "ann");
    let certificate = ["--cert", &certificate, "--key", &private];
    let tokens = [("an account's token", &account), ("a session's token", &session), ("an API key", &key)];
    for (what, token) in tokens {
        all_answer(&clouds, "201", what, |cloud| with_token(cloud, token));
    }
    all_answer(&clouds, "201", "a certificate", |cloud| code(cloud, &certificate));

    let _ = second.cloudctl(&["admin", "rotate-signing-key"]).ok();
    let (of_first, of_second) = (account_token(first), account_token(second));
    for (what, token) in tokens.into_iter().chain([("a new token", &of_first), ("another new token", &of_second)]) {
        all_answer(&clouds, "201", &format!("{what}, after a rotation,"), |cloud| with_token(cloud, token));
    }
    let _ = third.cloudctl(&["admin", "rotate-signing-key", "--revoke-old"]).ok();
    for (what, token) in
        [("an account's token", &account), ("a session's token", &session), ("a new token", &of_second)]
    {
        all_answer(&clouds, "401", &format!("{what}, revoked,"), |cloud| with_token(cloud, token));
    }
    all_answer(&clouds, "201", "an API key", |cloud| with_token(cloud, &key));
    let (account, session) = (account_token(first), login(second, "ann", password));
    for (what, token) in [("an account's token", &account), ("a session's token", &session)] {
        all_answer(&clouds, "201", &format!("{what} of the new key"), |cloud| with_token(cloud, token));
    }

    let _ = first.kubectl(&["delete", "serviceaccount", "ci"]).ok();
    all_answer(&clouds, "401", "a token of an account that is gone", |cloud| with_token(cloud, &account));
    let _ = second.cloudctl(&["patch", "user", "ann", "--type=merge", "-p", "{\"spec\": {\"disabled\": true}}"]).ok();
    for (what, token) in [("a session's token", &session), ("an API key", &key)] {
        all_answer(&clouds, "401", &format!("{what} of who is disabled"), |cloud| with_token(cloud, token));
    }
    all_answer(&clouds, "401", "a certificate of who is disabled", |cloud| code(cloud, &certificate));
    let _ = third.cloudctl(&["patch", "user", "ann", "--type=merge", "-p", "{\"spec\": {\"disabled\": false}}"]).ok();
    all_answer(&clouds, "201", "an API key of who is enabled again", |cloud| with_token(cloud, &key));
    let _ = third.kubectl(&["delete", "apikey", "ci"]).ok();
    all_answer(&clouds, "401", "an API key that is gone", |cloud| with_token(cloud, &key));
}

/// A client certificate by the installation's own authority, and its key, made as `docs/operations.md` says.
fn certificate(cloud: &Cloud, user: &str) -> [String; 2] {
    let directory = cloud.data_dir();
    let script = format!(
        "cd '{}'\n\
         openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {user}.key -subj /CN={user} -out {user}.csr\n\
         openssl x509 -req -in {user}.csr -CA pki/ca.crt -CAkey pki/ca.key -days 1 -out {user}.crt \
         -extfile <(echo extendedKeyUsage=clientAuth)",
        directory.display()
    );
    let _ = run("bash", ["-euc", &script], "").ok();
    ["crt", "key"].map(|end| format!("{}/{user}.{end}", directory.display()))
}
