//! A user of an OpenID issuer logs in with cloudctl and a browser, and every kubectl renews the ID token by itself.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use e2e::{Cloud, Output, binary, kubectls, limited, run, run_command, skip_unless};

use crate::issuer::Issuer;

/// What a browser that trusts the issuer does with a page: it goes where it is sent. Returns the last page.
fn browse(certificate: &Path, page: &str) -> String {
    let certificate = certificate.to_str().unwrap();
    run("curl", ["--silent", "--location", "--max-time", "20", "--cacert", certificate, page], "").stdout
}

/// `cloudctl login --oidc` with a browser, which also confirms a code where there is one. Returns what it said, and the page that the browser ended at.
fn log_in(cloud: &Cloud, home: &Path, certificate: &Path, how: &[&str]) -> (Output, String) {
    let mut child = limited(binary("cloudctl"))
        .arg("--kubeconfig")
        .arg(cloud.kubeconfig())
        .args(["login", "--oidc"])
        .args(how)
        .env("CLOUD_HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let (mut said, mut seen) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if told.read_line(&mut line).unwrap() == 0 {
            break;
        }
        if line.starts_with("https://") {
            let code = if how.contains(&"--device") { "?code=CODE" } else { "" };
            seen = browse(certificate, &format!("{}{code}", line.trim()));
        }
        said.push_str(&line);
    }
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let code = child.wait().unwrap().code().unwrap_or(-1);
    (Output { command: "cloudctl login --oidc".to_owned(), stdout, stderr: said, code }, seen)
}

#[test]
fn a_user_of_an_issuer_logs_in_by_browser_and_every_kubectl_renews_the_token() {
    let versions = kubectls();
    skip_unless!(!versions.is_empty(), "there is no kubectl: set KUBECTL_DIR, or run ./justw test, which fetches some");
    let (issuer, home) = (Issuer::open(), tempfile::tempdir().unwrap());
    let (certificate, own) = (home.path().join("issuer.crt"), home.path().join("config"));
    std::fs::write(&certificate, &issuer.certificate).unwrap();
    let options = [
        format!("--oidc-issuer-url={}", issuer.url),
        format!("--oidc-ca-file={}", certificate.display()),
        "--oidc-client-id=cloud".to_owned(),
        "--oidc-username-prefix=oidc:".to_owned(),
        "--oidc-groups-claim=groups".to_owned(),
        "--oidc-groups-prefix=oidc:".to_owned(),
    ];
    let cloud = options.iter().fold(Cloud::builder().fake(), |cloud, option| cloud.argument(option)).start();
    let cloudctl = |words: &[&str]| {
        let mut command = Command::new(binary("cloudctl"));
        run_command(command.arg("--kubeconfig").arg(&own).args(words).env("CLOUD_HOME", home.path()), "")
    };
    let kubectl = |program: &Path| {
        let mut command = limited(program);
        command.arg("--kubeconfig").arg(&own).args(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
        run_command(command.env("HOME", home.path()), "")
    };

    issuer.set_denies(true);
    let refused = log_in(&cloud, home.path(), &certificate, &["--no-browser"]).0.failed();
    assert!(
        refused.contains(&format!("{} refused the login", issuer.url)) && refused.contains("access_denied"),
        "{refused}"
    );
    issuer.set_denies(false);
    let (said, page) = log_in(&cloud, home.path(), &certificate, &["--no-browser"]);
    assert!(said.clone().ok().starts_with("Logged in as oidc:ann. The context oidc:ann@"), "{said}");
    assert!(page.contains("Close this window"), "{page}");
    let who = cloudctl(&["whoami"]).ok();
    assert!(who.contains("oidc:ann") && who.contains("oidc:painters"), "{who}");

    for version in &versions {
        let before = issuer.logins();
        std::thread::scope(|scope| {
            let several: Vec<_> = (0..4).map(|_| scope.spawn(|| kubectl(&version.program).ok())).collect();
            for one in several {
                assert_eq!(one.join().unwrap(), "oidc:ann", "{}", version.version);
            }
        });
        let after = issuer.logins();
        assert!(after[0].0 >= before[0].0 + 4 && !after[0].1, "{}: {before:?} {after:?}", version.version);
    }
    assert_eq!(cloudctl(&["token"]).ok().trim().split('.').count(), 3);
    let refused = cloudctl(&["passwd", "--password-stdin"]).failed();
    assert!(refused.contains(&format!("the password of oidc:ann is kept at {}", issuer.url)), "{refused}");

    assert!(cloudctl(&["logout", "--everywhere"]).failed().contains("cloudctl"));
    assert_eq!(cloudctl(&["logout"]).ok(), "oidc:ann is logged out.\n");
    assert!(issuer.logins()[0].1, "the issuer was told");
    assert!(kubectl(&versions[0].program).failed().contains("nobody is logged in here"));

    let (said, _) = log_in(&cloud, home.path(), &certificate, &["--device"]);
    assert!(said.stderr.contains("confirm the code CODE"), "{said}");
    assert!(said.ok().starts_with("Logged in as oidc:ann."));
    assert_eq!(kubectl(&versions[0].program).ok(), "oidc:ann");
}

#[test]
fn a_client_with_a_secret_proves_itself_at_the_login_its_renewals_and_the_logout() {
    let (issuer, home) = (Issuer::with_secret("hush"), tempfile::tempdir().unwrap());
    let (certificate, own) = (home.path().join("issuer.crt"), home.path().join("config"));
    let (secret, wrong) = (home.path().join("secret"), home.path().join("wrong"));
    for (file, content) in [(&certificate, issuer.certificate.as_str()), (&secret, "hush\n"), (&wrong, "loud\n")] {
        std::fs::write(file, content).unwrap();
    }
    let cloud = Cloud::builder()
        .fake()
        .argument(&format!("--oidc-issuer-url={}", issuer.url))
        .argument(&format!("--oidc-ca-file={}", certificate.display()))
        .argument("--oidc-client-id=cloud")
        .argument("--oidc-username-prefix=oidc:")
        .start();
    let cloudctl = |words: &[&str]| {
        let mut command = Command::new(binary("cloudctl"));
        run_command(command.arg("--kubeconfig").arg(&own).args(words).env("CLOUD_HOME", home.path()), "")
    };
    let log_in = |how: &[&str]| log_in(&cloud, home.path(), &certificate, how).0;
    let (file, other) = (secret.to_str().unwrap(), wrong.to_str().unwrap());
    for how in [&["--no-browser"][..], &["--device"], &["--no-browser", "--client-secret-file", other]] {
        let refused = log_in(how).failed();
        assert!(refused.contains("invalid_client") && refused.contains("--client-secret-file"), "{refused}");
    }
    for way in ["--device", "--no-browser"] {
        let said = log_in(&[way, "--client-secret-file", file]);
        assert!(!said.stderr.contains("hush"), "{said}");
        assert!(said.ok().starts_with("Logged in as oidc:ann."));
        let before = issuer.logins();
        assert!(cloudctl(&["whoami"]).ok().contains("oidc:ann"));
        assert!(issuer.logins().last().unwrap().0 > before.last().unwrap().0, "each use renews");
    }
    assert_eq!(cloudctl(&["logout"]).ok(), "oidc:ann is logged out.\n");
    assert!(issuer.logins().last().unwrap().1, "the issuer was told");
}
