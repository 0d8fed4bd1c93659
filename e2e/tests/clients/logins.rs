//! A user logs in with cloudctl, and every kubectl renews the tokens by itself, several at the same time too.

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::{Cloud, Output, binary, kubectls, limited, run_command, skip_unless};
use serde_json::Value;

/// Somebody at another desk, with a home of their own.
struct Desk<'a> {
    cloud: &'a Cloud,
    home: &'a Path,
}

impl Desk<'_> {
    fn cloudctl(&self, kubeconfig: &Path, line: &str, stdin: &str) -> Output {
        let mut command = Command::new(binary("cloudctl"));
        command.arg("--kubeconfig").arg(kubeconfig).args(line.split(' ')).env("CLOUD_HOME", self.home);
        run_command(&mut command, stdin)
    }

    fn kubectl(&self, program: &Path, line: &str) -> Output {
        let mut command = limited(program);
        command.arg("--kubeconfig").arg(self.home.join("config")).args(line.split(' '));
        run_command(command.env("HOME", self.home), "")
    }

    /// The refresh token that is kept.
    fn refresh_token(&self) -> String {
        let mut files = fs::read_dir(self.home.join("credentials")).unwrap().map(|file| file.unwrap().path());
        let file = files.find(|file| file.extension().is_some_and(|end| end == "json")).expect("a login is kept");
        let login: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        login["tokens"]["refreshToken"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_user_logs_in_and_every_kubectl_renews_the_tokens() {
    let versions = kubectls();
    skip_unless!(!versions.is_empty(), "there is no kubectl: set KUBECTL_DIR, or run ./justw test, which fetches some");
    let cloud = Cloud::builder().fake().argument("--access-token-seconds=2").start();
    assert!(cloud.log().contains("cloudctl passwd admin"), "the first start says how to log in");
    let made = cloud.cloudctl(&["user", "create", "ann", "--group", "painters"]).ok();
    assert_eq!(made, "user.thecloud.dev/ann created\n");
    let password = "correct horse battery\n";
    let said = cloud.cloudctl_with(&["passwd", "ann", "--password-stdin"], password).ok();
    assert_eq!(said, "The password of ann is set; ann's logins have ended.\n");

    let home = tempfile::tempdir().unwrap();
    let desk = Desk { cloud: &cloud, home: home.path() };
    let (admins, own) = (desk.cloud.kubeconfig(), home.path().join("config"));
    let refused = desk.cloudctl(&admins, "login --user ann --password-stdin", "something else\n").failed();
    assert!(refused.contains("the user name or the password is wrong"), "{refused}");
    let said = desk.cloudctl(&admins, "login --user ann --password-stdin", password).ok();
    assert!(said.starts_with("Logged in as ann."), "{said}");

    let key = cloud.cloudctl(&["apikey", "create", "ci", "--user", "ann", "--expires", "2100-01-01T00:00:00Z"]).ok();
    for kubectl in &versions {
        let before = desk.refresh_token();
        std::thread::scope(|scope| {
            let whoever = || desk.kubectl(&kubectl.program, "auth whoami -o jsonpath={.status.userInfo.username}").ok();
            let several: Vec<_> = (0..4).map(|_| scope.spawn(whoever)).collect();
            for one in several {
                assert_eq!(one.join().unwrap(), "ann", "{}", kubectl.version);
            }
        });
        assert_ne!(desk.refresh_token(), before, "{}: the token was renewed", kubectl.version);
    }
    let kubectl = &versions[0].program;
    let who = desk.cloudctl(&own, "whoami", "").ok();
    assert!(who.contains("ann") && who.contains("painters, system:authenticated"), "{who}");
    assert_eq!(desk.cloudctl(&own, "token", "").ok().trim().split('.').count(), 3);

    let both = "correct horse battery\nbattery horse correct\n";
    let said = desk.cloudctl(&own, "passwd --password-stdin", both).ok();
    assert_eq!(said, "The password is changed; your other logins have ended.\n");
    assert!(desk.kubectl(kubectl, "auth whoami").ok().contains("ann"));
    assert_eq!(desk.cloudctl(&own, "logout", "").ok(), "ann is logged out.\n");
    let refused = desk.kubectl(kubectl, "auth whoami").failed();
    assert!(refused.contains("nobody is logged in here"), "{refused}");
    let program = |what: &str| {
        let mut command = limited(kubectl);
        command.arg("--kubeconfig").arg(&admins).args(what.split(' ')).arg(format!("--token={}", key.trim()));
        run_command(command.env("HOME", home.path()), "")
    };
    assert!(program("auth whoami").ok().contains("ann"), "a key doesn't end with a login");
    assert!(cloud.kubectl(&["delete", "apikey", "ci"]).ok().contains("deleted"));
    assert!(program("auth whoami").failed().contains("must be logged in"));
    for secret in ["correct horse battery", "battery horse correct", "something else", key.trim()] {
        assert!(!cloud.log().contains(secret), "a password is in the log");
    }
}
