//! Safe from the first day: who is nobody gets nothing, keys are private, containers are confined.

use std::os::unix::fs::PermissionsExt as _;

use e2e::{Cloud, docker_is_there, run, skip_unless};

use crate::machine::sleeper;

#[test]
fn without_a_token_everything_is_refused() {
    let cloud = Cloud::builder().fake().start();
    for path in ["/api/v1/namespaces", "/apis/thecloud.dev/v1alpha1/instances", "/openapi/v3", "/metrics"] {
        let url = format!("https://{}{path}", cloud.address());
        let plain = run("curl", ["-sk", "-o", "/dev/null", "-w", "%{http_code}", &url], "").stdout;
        let wrong = ["-sk", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Authorization: Bearer wrong", &url];
        assert_eq!((plain.as_str(), run("curl", wrong, "").stdout.as_str()), ("401", "401"), "{path}");
    }
    let http = run("curl", ["-s", "-o", "/dev/null", &format!("http://{}/livez", cloud.address())], "");
    assert_ne!(http.code, 0, "it speaks TLS only");
}

#[test]
fn keys_and_kubeconfig_are_readable_by_their_owner_only() {
    let cloud = Cloud::builder().fake().start();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cloud.kubeconfig()), 0o600);
    assert_eq!(mode(&cloud.data_dir()), 0o700);
    let open =
        run("find", [cloud.data_dir().to_str().unwrap(), "-type", "f", "-perm", "/077", "-name", "*key*"], "").stdout;
    assert_eq!(open, "");
}

#[test]
fn a_container_is_confined() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");
    let format = "{{.HostConfig.Privileged}} {{.HostConfig.SecurityOpt}} {{.HostConfig.CapDrop}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}} {{index .HostConfig.LogConfig.Config \"max-size\"}}";
    let shown = cloud.docker().call(&["inspect", "--format", format, &cloud.container("web")]).ok();
    let shown: Vec<&str> = shown.split_whitespace().collect();
    assert_eq!(shown[0], "false");
    assert!(shown[1].contains("no-new-privileges"), "{shown:?}");
    assert_eq!(shown[2], "[ALL]", "what is given back is listed in the adapter's own test");
    assert!(shown[3].parse::<i64>().is_ok_and(|limit| limit > 0), "{shown:?}");
    assert_eq!(shown[4], "no");
    assert!(shown[5].ends_with(['m', 'k']), "{shown:?}");
}

#[test]
fn a_server_that_is_not_ours_is_refused() {
    let cloud = Cloud::builder().fake().start();
    let folder = tempfile::tempdir().unwrap();
    let said = run("true", [""; 0], "");
    assert_eq!(said.code, 0);
    // Without a kubeconfig of ours nothing is tried, whatever KUBECONFIG says.
    let binary = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("cloudctl");
    let output = std::process::Command::new(binary)
        .args(["get", "inst"])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("KUBECONFIG", cloud.kubeconfig())
        .env_remove("CLOUDCONFIG")
        .env_remove("CLOUD_HOME")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("./justw up"), "{said}");
}
