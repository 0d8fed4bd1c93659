//! What only a running cloud can show of cloudctl: following, sessions, exit codes, and removal by omission.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use e2e::{Cloud, docker_is_there, eventually, skip_unless};

use crate::machine::sleeper;

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
        eventually(
            awaited,
            || if self.lines.try_iter().any(|line| wanted(&line)) { Ok(()) } else { Err("no such line") },
        );
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
