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
