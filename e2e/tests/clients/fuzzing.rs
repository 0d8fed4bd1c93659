//! Requests that schemathesis makes up from the OpenAPI document: the same ones in each run.

use std::process::Command;

use e2e::{Cloud, client, run_command, skip_unless};
use serde_json::Value;

use crate::python::program;

/// The longest that it may take, in seconds. It is some minutes where the machine does much else.
const LONGEST: &str = "540";

#[test]
fn no_request_that_fits_the_document_makes_the_server_fail_for_an_administrator() {
    finds_nothing("2", &[]);
}

#[test]
fn no_request_that_fits_the_document_makes_the_server_fail_for_a_stranger() {
    // Somebody without a single right.
    finds_nothing("1", &["--header", "Impersonate-User: nobody-in-particular"]);
}

/// Makes up so many requests for each operation, and looks for answers that say that the server failed.
fn finds_nothing(examples: &str, who: &[&str]) {
    let python = client("python");
    skip_unless!(python.is_some(), "the Python clients could not be fetched; ./justw test tries to");
    let cloud = Cloud::builder().fake().start();
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("openapi.json");
    std::fs::write(&document, cloud.kubectl(&["get", "--raw", "/openapi/v2"]).ok()).unwrap();
    let kubeconfig: Value =
        serde_json::from_str(&cloud.kubectl(&["config", "view", "--raw", "-o", "json"]).ok()).unwrap();
    let server = kubeconfig["clusters"][0]["cluster"]["server"].as_str().unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap();

    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", LONGEST]).arg(python.expect("just seen").join("bin/python"));
    command.args(["-m", "schemathesis.cli", "run"]).arg(&document).args(["--url", server, "--tls-verify", "false"]);
    command.args(["--header", &format!("Authorization: Bearer {token}")]).args(who);
    command.args(["--checks", "no_failure_of_the_server", "--phases", "fuzzing", "--max-examples", examples]);
    command.args(["--seed", "1", "--generation-database", "none", "--suppress-health-check", "all"]);
    command.args(["--request-timeout", "60", "--no-color"]);
    command.env("SCHEMATHESIS_HOOKS", "no_failure").env("PYTHONPATH", program("no_failure.py").parent().unwrap());
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("HOME", folder.path()).current_dir(folder.path());
    let output = run_command(&mut command, "");
    assert!(output.code == 0, "{output}");
    assert_eq!(cloud.kubectl(&["get", "--raw", "/readyz"]).ok(), "ok");
}
