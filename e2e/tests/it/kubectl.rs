//! An unmodified kubectl drives the cloud with the kubeconfig that cloudd wrote.

use e2e::{Cloud, docker_is_there, eventually, run, skip_unless};

use crate::machine::sleeper;

fn kubectl_is_there() -> bool {
    run("sh", ["-c", "command -v ${KUBECTL:-kubectl}"], "").code == 0
}

#[test]
fn kubectl_reads_and_changes_instances() {
    skip_unless!(docker_is_there() && kubectl_is_there(), "no Docker daemon answers, or there is no kubectl");
    let cloud = Cloud::start();
    let web = sleeper("web", "");
    let said = cloud.kubectl_with(&["apply", "-f", "-"], &web).ok();
    assert_eq!(said, "instance.thecloud.dev/web created\n");
    let said = cloud.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "inst/web"]).ok();
    assert_eq!(said, "instance.thecloud.dev/web condition met\n");

    let table = cloud.kubectl(&["get", "inst"]).ok();
    let heading: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(heading, ["NAME", "PHASE", "READY", "IP", "RESTARTS", "PUBLISHED", "AGE"]);
    assert!(table.contains("Running"), "{table}");
    assert!(cloud.kubectl(&["get", "all"]).ok().contains("instance.thecloud.dev/web"));
    assert!(cloud.kubectl(&["get", "inst", "-A", "-o", "wide"]).ok().contains("busybox:stable"));
    assert_eq!(cloud.kubectl(&["get", "inst", "-o", "name"]).ok(), "instance.thecloud.dev/web\n");
    assert_eq!(cloud.kubectl(&["get", "inst", "web", "-o", "jsonpath={.spec.image}"]).ok(), "busybox:stable");

    let described = cloud.kubectl(&["describe", "inst", "web"]).ok();
    assert!(described.contains("Events:") && described.contains("Started"), "{described}");
    assert!(cloud.kubectl(&["get", "events"]).ok().contains("instance/web"));

    assert_eq!(cloud.kubectl_with(&["apply", "-f", "-"], &web).ok(), "instance.thecloud.dev/web unchanged\n");
    let changed = sleeper("web", "resources: {cpu: 100m}");
    let diff = cloud.kubectl_with(&["diff", "-f", "-"], &changed);
    assert_eq!(diff.code, 1, "{diff}");
    assert!(diff.stdout.contains("+    cpu: 100m"), "{diff}");
    assert_eq!(cloud.kubectl_with(&["apply", "-f", "-"], &changed).ok(), "instance.thecloud.dev/web configured\n");

    let _ = cloud.kubectl(&["label", "inst", "web", "tier=front"]).ok();
    assert!(cloud.kubectl(&["get", "inst", "-l", "tier=front"]).ok().contains("web"));
    assert!(cloud.kubectl(&["get", "inst", "-l", "tier!=front"]).stderr.contains("No resources found"));
    let _ =
        cloud.kubectl(&["patch", "inst", "web", "--type=merge", "-p", r#"{"spec":{"resources":{"cpu":"150m"}}}"#]).ok();
    let patch = r#"[{"op":"replace","path":"/spec/resources/cpu","value":"200m"}]"#;
    let _ = cloud.kubectl(&["patch", "inst", "web", "--type=json", "-p", patch]).ok();
    assert_eq!(cloud.kubectl(&["get", "inst", "web", "-o", "jsonpath={.spec.resources.cpu}"]).ok(), "200m");
    let edited = cloud.kubectl(&["edit", "inst", "web"]).ok();
    assert!(edited.contains("cancelled") || edited.is_empty(), "{edited}");

    let explained = cloud.kubectl(&["explain", "instance.spec.restartPolicy"]).ok();
    let words: Vec<&str> = explained.split_whitespace().collect();
    assert!(words.join(" ").contains("doubles from 10 s"), "{explained}");
    let resources = cloud.kubectl(&["api-resources", "--api-group=thecloud.dev"]).ok();
    for kind in ["instances", "instancetypes", "volumes", "vpcs"] {
        assert!(resources.contains(kind), "{resources}");
    }
    assert_eq!(cloud.kubectl(&["delete", "inst", "web"]).ok(), "instance.thecloud.dev \"web\" deleted\n");
    assert!(cloud.kubectl(&["get", "inst", "web"]).failed().contains("NotFound"));
}

#[test]
fn kubectl_keeps_configuration_and_watches() {
    skip_unless!(docker_is_there() && kubectl_is_there(), "no Docker daemon answers, or there is no kubectl");
    let cloud = Cloud::builder().fake().start();
    let _ = cloud
        .kubectl_with(
            &["apply", "-f", "-"],
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: hunter2\n",
        )
        .ok();
    let data = cloud.kubectl(&["get", "secret", "s", "-o", "jsonpath={.data.password}"]).ok();
    assert_eq!(data, "aHVudGVyMg==");
    let _ = cloud
        .kubectl_with(
            &["apply", "-f", "-"],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: \"1\"\n",
        )
        .ok();
    let _ = cloud
        .kubectl_with(
            &["apply", "-f", "-"],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  b: \"2\"\n",
        )
        .ok();
    assert_eq!(cloud.kubectl(&["get", "cm", "c", "-o", "jsonpath={.data}"]).ok(), r#"{"b":"2"}"#);

    // A watch shows what is there and what changes, as it happens.
    let mut watch = std::process::Command::new(std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".into()))
        .args(["--kubeconfig", cloud.kubeconfig().to_str().unwrap(), "get", "cm", "-w", "-o", "name"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let _ = cloud.kubectl_with(&["apply", "-f", "-"], "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: d\n").ok();
    let output = watch.stdout.take().unwrap();
    let (send, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        use std::io::BufRead as _;
        for line in std::io::BufReader::new(output).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    eventually("the watch to show the new object", || {
        if lines.try_iter().any(|line| line == "configmap/d") { Ok(()) } else { Err("nothing of it") }
    });
    let _ = watch.kill();
    let _ = watch.wait();

    // Nothing of the Secret lies in the clear in the database.
    let found = run("grep", ["-rlE", "hunter2|aHVudGVyMg", cloud.data_dir().to_str().unwrap()], "").stdout;
    assert_eq!(found, "");
}

#[test]
fn kubectl_and_cloudctl_take_turns_applying() {
    skip_unless!(kubectl_is_there(), "there is no kubectl");
    let cloud = Cloud::builder().argument("--compute-backend=fake").start();
    let map = |data: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata: {data}\n");
    let data = || cloud.object("configmaps", "c")["data"].clone();
    // What kubectl had applied is removed by cloudctl once it is no longer in the YAML.
    let _ = cloud.kubectl_with(&["apply", "-f", "-"], &map("{a: one, b: two}")).ok();
    cloud.apply(&map("{a: one}"));
    assert_eq!(data(), serde_json::json!({"a": "one"}));
    assert_eq!(cloud.apply(&map("{a: one}")), "configmap/c unchanged\n");
    // And the other way round, though each has to be told to take the other's values.
    let _ = cloud.kubectl_with(&["apply", "-f", "-"], &map("{a: three}")).ok();
    let refused = cloud.cloudctl_with(&["apply", "-f", "-"], &map("{a: four}"));
    assert!(refused.stderr.contains("data.a was set by kubectl-client-side-apply"), "{refused}");
    let _ = cloud.cloudctl_with(&["apply", "--force-conflicts", "-f", "-"], &map("{a: four}")).ok();
    assert_eq!(data(), serde_json::json!({"a": "four"}));
}

#[test]
fn what_an_older_cloudctl_applied_is_handed_over_once() {
    skip_unless!(kubectl_is_there(), "there is no kubectl");
    let cloud = Cloud::builder().argument("--compute-backend=fake").start();
    let web = sleeper("web", "env: [{name: A, value: x}, {name: B, value: x}]\nworkingDir: /tmp");
    // As an older cloudctl did it: an update under its name, with the annotation of a client-side apply.
    let _ = cloud.kubectl_with(&["create", "--save-config", "--field-manager=cloudctl", "-f", "-"], &web).ok();
    let _ = cloud.kubectl(&["label", "--field-manager=cloudctl", "inst", "web", "hand=made"]).ok();
    let changed = sleeper("web", "env: [{name: A, value: \"y\"}]");
    let diff = cloud.cloudctl_with(&["diff", "-f", "-"], &changed);
    assert!(diff.code == 1 && diff.stdout.contains("-  workingDir: /tmp"), "{diff}");
    assert_eq!(cloud.apply(&changed), "instance.thecloud.dev/web configured\n");
    let object = cloud.object("instances", "web");
    assert_eq!(object["spec"]["env"], serde_json::json!([{"name": "A", "value": "y"}]));
    assert_eq!(object["spec"].get("workingDir"), None);
    assert_eq!(object["metadata"]["labels"], serde_json::json!({"hand": "made"}));
    assert_eq!(object["metadata"].get("annotations"), None);
    assert_eq!(cloud.apply(&changed), "instance.thecloud.dev/web unchanged\n");
}

#[test]
fn sets_of_kubectl_and_of_cloudctl_have_the_same_form_and_different_owners() {
    skip_unless!(kubectl_is_there(), "there is no kubectl");
    let cloud = Cloud::builder().argument("--compute-backend=fake").start();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata: {a: one}\n";
    let kubectl = || {
        let script = r#"KUBECTL_APPLYSET=true ${KUBECTL:-kubectl} --kubeconfig "$0" -n default apply --prune --applyset=shop -f -"#;
        run("sh", ["-c", script, cloud.kubeconfig().to_str().unwrap()], map)
    };
    let cloudctl = || cloud.cloudctl_with(&["apply", "--prune", "--applyset", "shop", "-f", "-"], map);
    let labels = || cloud.object("secrets", "shop")["metadata"]["labels"].clone();
    let _ = kubectl().ok();
    let theirs = labels();
    assert!(cloudctl().failed().contains("secret/shop: it is an apply set of kubectl"));
    let _ = cloud.cloudctl(&["delete", "secret/shop", "cm/c"]).ok();
    let _ = cloudctl().ok();
    assert_eq!(labels(), theirs);
    assert!(kubectl().failed().contains("managed by tooling \"cloudctl\""));
}
