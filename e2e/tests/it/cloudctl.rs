//! What only a running cloud can show of cloudctl: following, sessions, exit codes, and removal by omission.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use e2e::{Cloud, docker_is_there, eventually, skip_unless};

use crate::machine::{documents, sleeper, volume, vpc};

/// A cloudctl that runs on, and the lines that it writes.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(cloud: &Cloud, arguments: &[&str]) -> Self {
        let mut child = Command::new(e2e::binary("cloudctl"))
            .arg("--kubeconfig")
            .arg(cloud.kubeconfig())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    #[track_caller]
    fn await_line(&self, awaited: &str, wanted: impl Fn(&str) -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            if wanted(&line.unwrap_or_else(|error| panic!("no such line as `{awaited}`: {error}"))) {
                return;
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn get_w_and_logs_f_follow_what_happens() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let list = Following::start(&cloud, &["get", "inst", "-w"]);
    cloud.apply(&sleeper(
        "talker",
        "command: [sh, -c]\nargs: [\"i=0; while true; do i=$((i+1)); echo line $i; sleep 0.2; done\"]",
    ));
    list.await_line("the running Instance in the list", |line| line.starts_with("talker") && line.contains("Running"));
    let log = Following::start(&cloud, &["logs", "-f", "talker"]);
    log.await_line("an early line", |line| line == "line 1");
    log.await_line("a line that was written later", |line| line == "line 20");
    let tail = cloud.cloudctl(&["logs", "--tail", "2", "talker"]).ok();
    assert_eq!(tail.lines().count(), 2, "{tail}");
}

#[test]
fn exec_passes_input_output_and_the_exit_code() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");
    let echoed = cloud.cloudctl_with(&["exec", "-i", "web", "--", "tr", "a-z", "A-Z"], "through the wire\n");
    assert_eq!((echoed.stdout.as_str(), echoed.code), ("THROUGH THE WIRE\n", 0));
    let failed = cloud.cloudctl(&["exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((failed.stdout.as_str(), failed.code), ("out\n", 7), "{failed}");
    assert!(failed.stderr.contains("err"), "{failed}");
    assert_eq!(cloud.cloudctl(&["exec", "missing", "--", "true"]).code, 3);
}

#[test]
fn a_field_removed_from_the_yaml_is_removed() {
    let cloud = Cloud::builder().fake().start();
    cloud.apply(&sleeper("web", "env: [{name: A, value: \"1\"}]\nworkingDir: /tmp"));
    let said = cloud.apply(&sleeper("web", "env: [{name: B, value: \"2\"}]"));
    assert_eq!(said, "instance.thecloud.dev/web configured\n");
    let spec = cloud.object("instances", "web")["spec"].clone();
    assert_eq!(spec["env"], serde_json::json!([{"name": "B", "value": "2"}]));
    assert_eq!(spec.get("workingDir"), None);
}

#[test]
fn apply_takes_fields_of_others_only_when_it_is_told_to() {
    let cloud = Cloud::builder().argument("--compute-backend=fake").start();
    let web = sleeper("web", "").replace("name: web", "name: web\n  labels: {tier: front}");
    cloud.apply(&web);
    assert_eq!(cloud.apply(&web), "instance.thecloud.dev/web unchanged\n");
    let _ = cloud.cloudctl(&["label", "inst", "web", "tier=back", "hand=made", "--overwrite"]).ok();
    let refused = cloud.cloudctl_with(&["apply", "-f", "-"], &web);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("metadata.labels.tier was set by cloudctl-label"), "{refused}");
    assert!(refused.stderr.contains("--force-conflicts"), "{refused}");
    assert_eq!(cloud.object("instances", "web")["metadata"]["labels"]["tier"], "back");
    let _ = cloud.cloudctl_with(&["apply", "--force-conflicts", "-f", "-"], &web).ok();
    let labels = cloud.object("instances", "web")["metadata"]["labels"].clone();
    assert_eq!(labels, serde_json::json!({"tier": "front", "hand": "made"}));
    assert_eq!(cloud.apply(&web), "instance.thecloud.dev/web unchanged\n");
}

#[test]
fn machine_that_was_made_by_run_is_taken_over_by_apply() {
    let cloud = Cloud::builder().argument("--compute-backend=fake").start();
    let run = ["run", "web", "--image", "busybox:stable", "-e", "A=1", "-p", "80"];
    let _ = cloud.cloudctl(&run).ok();
    let printed = cloud.cloudctl(&[&run[..], &["-o", "yaml"]].concat()).ok();
    assert_eq!(cloud.apply(&printed), "instance.thecloud.dev/web unchanged\n");
    let yaml = "apiVersion: thecloud.dev/v1alpha1\nkind: Instance\nmetadata: {name: web}\nspec: {image: other}\n";
    assert_eq!(cloud.apply(yaml), "instance.thecloud.dev/web configured\n");
    let spec = cloud.object("instances", "web")["spec"].clone();
    assert_eq!((&spec["image"], spec.get("env"), spec.get("ports")), (&"other".into(), None, None));
}

#[test]
fn prune_removes_what_was_given_before_and_nothing_else() {
    let cloud = Cloud::builder().argument("--compute-backend=fake").start();
    let apply = |yaml: &str| cloud.cloudctl_with(&["apply", "-f", "-", "--prune", "--applyset", "shop"], yaml);
    cloud.apply(&documents(&[vpc("stranger"), volume("stranger", "32Mi")]));
    let mounts = "vpc: net\nvolumes: [{volume: data, mountPath: /data}]";
    let all =
        documents(&[vpc("net"), volume("data", "32Mi"), sleeper("web", mounts), sleeper("extra", "vpc: stranger")]);
    let _ = apply(&all).ok();
    let said = apply(&all).ok();
    assert_eq!(said.lines().filter(|line| line.ends_with(" unchanged")).count(), 4, "{said}");

    let fewer = documents(&[vpc("net"), sleeper("extra", "vpc: stranger")]);
    let diff = cloud.cloudctl_with(&["diff", "-f", "-", "--prune", "--applyset", "shop"], &fewer);
    assert_eq!(diff.code, 1, "{diff}");
    for gone in ["+++ instance.thecloud.dev/web (pruned)", "+++ volume.thecloud.dev/data (pruned)"] {
        assert!(diff.stdout.contains(gone), "{diff}");
    }
    assert_eq!(diff.stdout.matches("+++").count(), 2, "{diff}");
    let said = apply(&fewer).ok();
    // What uses the Volume goes before it.
    assert!(said.ends_with("instance.thecloud.dev/web pruned\nvolume.thecloud.dev/data pruned\n"), "{said}");
    cloud.await_object("volumes", "data", "to be gone", serde_json::Value::is_null);
    assert_eq!(cloud.cloudctl_with(&["diff", "-f", "-", "--prune", "--applyset", "shop"], &fewer).code, 0);
    // Applied alone, a member stays one.
    cloud.apply(&sleeper("extra", "vpc: stranger\nworkingDir: /tmp"));
    let _ = apply(&vpc("net")).ok();
    cloud.await_object("instances", "extra", "to be gone", serde_json::Value::is_null);
    let left = cloud.cloudctl(&["get", "inst,vpc,vol", "-o", "name"]).ok();
    assert_eq!(left, "vpc.thecloud.dev/net\nvpc.thecloud.dev/stranger\nvolume.thecloud.dev/stranger\n");
}

#[test]
fn prune_that_was_cut_off_is_made_up_for_by_the_next() {
    let cloud = Cloud::builder().argument("--compute-backend=fake").start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    let networks =
        |range: std::ops::Range<u32>| documents(&range.map(|number| vpc(&format!("net{number}"))).collect::<Vec<_>>());
    let left = || cloud.cloudctl(&["get", "vpc", "-o", "name"]).ok();
    // Neither the machine nor the test decides how far a process comes before it is killed: it is tried until both of
    // them were cut off.
    let cut_off = (0..20).any(|attempt| {
        let applyset = format!("configmap/shop{attempt}");
        let flags = ["apply", "-f", file.to_str().unwrap(), "--prune", "--applyset", &applyset];
        let run_until = |wanted: std::ops::Range<u32>, stop: u32| {
            std::fs::write(&file, networks(wanted)).unwrap();
            let stop = format!("vpc.thecloud.dev/net{stop} created");
            Following::start(&cloud, &flags).await_line(&stop, |line| line == stop);
        };
        run_until(0..40, 3);
        run_until(40..80, 42);
        let before = left();
        let cut_off = before.contains("/net0\n") && !before.contains("/net79\n");
        std::fs::write(&file, networks(79..80)).unwrap();
        let said = cloud.cloudctl(&flags).ok();
        assert!(!cut_off || said.contains("vpc.thecloud.dev/net0 pruned"), "{said}");
        eventually("exactly what is given to be left", || {
            let left = left();
            if left == "vpc.thecloud.dev/net79\n" { Ok(()) } else { Err(left) }
        });
        let _ = cloud.cloudctl(&["delete", "vpc", "net79"]).ok();
        cut_off
    });
    assert!(cut_off, "every apply was done before it could be killed");
}

#[test]
fn small_changes_need_no_file() {
    let cloud = Cloud::builder().argument("--compute-backend=fake").start();
    let _ = cloud.cloudctl(&["create", "ns", "shop"]).ok();
    let _ = cloud.cloudctl(&["-n", "shop", "create", "secret", "db", "--from-literal", "password=hunter2"]).ok();
    let password = ["-n", "shop", "get", "secret", "db", "-o", "jsonpath={.data.password}"];
    assert_eq!(cloud.cloudctl(&password).ok(), "aHVudGVyMg==");

    cloud.apply(&sleeper("web", ""));
    let patch = ["patch", "inst", "web", "-p", "spec: {resources: {cpu: 200m}}"];
    assert_eq!(cloud.cloudctl(&patch).ok(), "instance.thecloud.dev/web patched\n");
    assert_eq!(cloud.cloudctl(&patch).ok(), "instance.thecloud.dev/web unchanged\n");
    let operation = r#"[{"op": "add", "path": "/spec/workingDir", "value": "/tmp"}]"#;
    let _ = cloud.cloudctl(&["patch", "inst", "web", "--type", "json", "-p", operation]).ok();
    let misspelt = cloud.cloudctl(&["patch", "inst", "web", "-p", "spec: {imgae: x}"]);
    assert!(misspelt.stderr.contains("spec.imgae: there is no such field"), "{misspelt}");

    let edit = r#"EDITOR="sed -i -e s/200m/250m/ -e /workingDir/d" "$0" --kubeconfig "$1" edit inst web"#;
    let program = e2e::binary("cloudctl");
    let kubeconfig = cloud.kubeconfig();
    let edited = e2e::run("sh", ["-c", edit, program.to_str().unwrap(), kubeconfig.to_str().unwrap()], "").ok();
    assert_eq!(edited, "instance.thecloud.dev/web edited\n");
    let spec = cloud.object("instances", "web")["spec"].clone();
    assert_eq!((&spec["resources"]["cpu"], spec.get("workingDir")), (&"250m".into(), None));

    let columns =
        cloud.cloudctl(&["get", "inst", "-o", "custom-columns=N:.metadata.name,CPU:.spec.resources.cpu"]).ok();
    assert_eq!(columns, "N    CPU\nweb  250m\n");
    let range = "jsonpath={range .items[*]}{.metadata.name}={.spec.resources.cpu};{end}";
    assert_eq!(cloud.cloudctl(&["get", "inst", "-o", range]).ok(), "web=250m;");
    let refused = cloud.cloudctl(&["scale", "inst", "web", "--replicas", "2"]);
    assert_eq!((refused.code, refused.stderr.contains("instances have no scale")), (2, true), "{refused}");
}

#[test]
fn run_makes_a_machine_and_prints_where_it_is_reached() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let run = ["run", "page", "--image", "busybox:stable", "--publish", "8080", "--", "httpd", "-f", "-p", "8080"];
    let said = cloud.cloudctl(&run).ok();
    let address = cloud.object("instances", "page")["status"]["published"].as_str().unwrap().to_owned();
    assert!(said.contains(&address), "{said}");
    let yaml = cloud.cloudctl(&["run", "other", "--image", "busybox:stable", "-o", "yaml"]).ok();
    assert!(yaml.contains("kind: Instance") && cloud.object("instances", "other").is_null(), "{yaml}");
    assert_eq!(cloud.cloudctl(&["wait", "--for=condition=Ready", "--timeout=1s", "inst/nothing"]).code, 3);
}
