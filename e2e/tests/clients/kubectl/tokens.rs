//! Service accounts that come in by a token that kubectl asked for, and who they are then.

use e2e::{Output, run_command};

use super::{Kubectl, with_every_kubectl};

#[test]
fn every_kubectl_comes_in_as_a_service_account() {
    with_every_kubectl(script);
}

fn script(kubectl: &Kubectl<'_>) {
    kubectl.says("auth whoami", "system:masters");
    kubectl.says("create serviceaccount robot", "serviceaccount/robot created");
    kubectl.says("create role painter --verb=list --resource=WIDGETS", "painter created");
    kubectl.says("create rolebinding robots --role=painter --serviceaccount=NS:robot", "robots created");
    kubectl.says("get rolebinding robots -o wide", "NS/robot");
    let patch = r#"patch rolebinding robots --patch {"roleRef":{"name":"other"}}"#;
    kubectl.fails(patch, "cannot change roleRef");

    let token = kubectl.ok("create token robot --duration=10m");
    let come = |line: &str| with_token(kubectl, &token, line);
    let who = come("auth whoami").ok();
    assert!(who.contains(&kubectl.own("system:serviceaccount:NS:robot")), "{who}");
    assert_eq!(come("auth can-i list WIDGETS").ok(), "yes\n");
    assert_eq!(come("get WIDGETS -o name").ok(), "");
    let refused = come("get secrets").failed();
    assert!(refused.contains("cannot list resource \"secrets\" in API group \"\""), "{refused}");
    let elsewhere = kubectl.ok("create token robot --audience=vault");
    let refused = with_token(kubectl, &elsewhere, "get WIDGETS").failed();
    assert!(refused.contains("must be logged in"), "{refused}");
    kubectl.fails("create token robot --duration=1m", "may not specify a duration less than 10 minutes");
    kubectl.fails("create token nobody", "serviceaccounts \"nobody\" not found");

    kubectl.says("delete serviceaccount robot", "deleted");
    let refused = come("get WIDGETS").failed();
    assert!(refused.contains("must be logged in"), "{refused}");
}

/// Runs a command line as the owner of a token. It goes in as it is: words of a line are replaced.
fn with_token(kubectl: &Kubectl<'_>, token: &str, line: &str) -> Output {
    run_command(kubectl.command(line).arg(format!("--token={}", token.trim())), "")
}
