//! Every version of kubectl that can be had does the same work: a namespace and a kind of its own each, all on one
//! cloud. Never knows what the work is.

mod access;
mod delete;
mod discover;
mod read;
mod tokens;
mod write;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use e2e::{Cloud, KubectlVersion, Output, Running, kubectls, run_command, skip_unless};

use crate::widget::{definition, widget};

/// One version of kubectl, at work in its namespace.
pub(crate) struct Kubectl<'a> {
    cloud: &'a Cloud,
    kubectl: KubectlVersion,
    namespace: String,
    /// The group of its own Widgets.
    group: String,
}

/// Runs the script with every version, as many at a time as there are cores.
pub(crate) fn with_every_kubectl(script: impl Fn(&Kubectl<'_>) + Sync) {
    let versions = kubectls();
    skip_unless!(!versions.is_empty(), "there is no kubectl: set KUBECTL_DIR, or run ./justw test, which fetches some");
    if versions.len() <= 2 {
        eprintln!("SKIPPED: older versions of kubectl; KUBECTL_DIR names a directory of kubectl.1.27 and so on");
    }
    let cloud = Cloud::builder().fake().start();
    let waiting = Mutex::new(versions);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no script holds the lock").pop();
                    let Some(kubectl) = next else { return };
                    script(&Kubectl::settle(&cloud, kubectl));
                }
            });
        }
    });
}

impl<'a> Kubectl<'a> {
    /// Makes the namespace and the kind, with this kubectl.
    fn settle(cloud: &'a Cloud, kubectl: KubectlVersion) -> Self {
        let namespace = format!("k{}", kubectl.version.replace('.', "-"));
        let group = format!("{namespace}.example.com");
        let kubectl = Self { cloud, kubectl, namespace, group };
        kubectl.says("create namespace NS", "namespace/NS created");
        kubectl.apply(&definition(&kubectl.group));
        kubectl.says("wait --for=condition=Established --timeout=20s crd/WIDGETS", "condition met");
        kubectl
    }

    /// 37 of kubectl 1.37.
    fn minor(&self) -> u32 {
        self.kubectl.version.rsplit('.').next().and_then(|minor| minor.parse().ok()).unwrap_or_default()
    }

    /// Runs one command line. `WIDGETS`, `GROUP` and `NS` stand for its own kind, group and namespace.
    fn run(&self, line: &str) -> Output {
        self.run_with(line, "")
    }

    fn run_with(&self, line: &str, stdin: &str) -> Output {
        run_command(&mut self.command(line), stdin)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.cloud.client(&self.kubectl.program);
        command.arg("--cache-dir").arg(self.cache()).args(["--namespace", &self.namespace]);
        command.args(line.split_whitespace().map(|word| self.own(word)));
        command
    }

    fn cache(&self) -> PathBuf {
        PathBuf::from(format!("cache-{}", self.kubectl.version))
    }

    fn own(&self, text: &str) -> String {
        text.replace("WIDGETS", &format!("widgets.{}", self.group))
            .replace("GROUP", &self.group)
            .replace("NS", &self.namespace)
    }

    /// Standard output of a command that must succeed.
    #[track_caller]
    fn ok(&self, line: &str) -> String {
        self.run(line).ok()
    }

    /// The command succeeds, and its output has these words.
    #[track_caller]
    fn says(&self, line: &str, words: &str) {
        let output = self.run(line);
        assert!(output.code == 0 && output.stdout.contains(&self.own(words)), "wanted `{words}`: {output}");
    }

    /// The command succeeds, and this is its output.
    #[track_caller]
    fn prints(&self, line: &str, text: &str) {
        let output = self.run(line);
        assert!(output.code == 0 && output.stdout == self.own(text), "wanted `{text}`: {output}");
    }

    /// The command fails, and either output has these words.
    #[track_caller]
    fn fails(&self, line: &str, words: &str) {
        self.fails_with(line, "", words);
    }

    #[track_caller]
    fn fails_with(&self, line: &str, stdin: &str, words: &str) {
        let output = self.run_with(line, stdin);
        let said = output.stdout.clone() + &output.stderr;
        assert!(output.code != 0 && said.contains(&self.own(words)), "wanted a refusal with `{words}`: {output}");
    }

    /// `apply -f -`, which must succeed.
    #[track_caller]
    fn apply(&self, yaml: &str) -> String {
        self.run_with("apply -f -", yaml).ok()
    }

    /// A Widget of its own kind, as YAML.
    fn widget(&self, name: &str, spec: &str) -> String {
        widget(&self.group, name, spec)
    }

    /// Starts a command that goes on beside the script.
    fn start(&self, line: &str) -> Running {
        Running::start(&mut self.command(line))
    }
}
