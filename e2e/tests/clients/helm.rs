//! helm 3 and helm 4 install, change, roll back and remove a chart with machines, configuration, a hook and a kind of
//! its own.

use std::path::{Path, PathBuf};

use e2e::{Cloud, Output, client, run_command, skip_unless};
use serde_json::Value;

#[test]
fn helm_3_takes_a_chart_through_its_life() {
    takes_a_chart_through_its_life("helm-3", "--atomic");
}

#[test]
fn helm_4_takes_a_chart_through_its_life() {
    takes_a_chart_through_its_life("helm-4", "--rollback-on-failure");
}

#[test]
fn helm_4_takes_over_what_helm_3_installed() {
    let (old, new) = (client("helm-3"), client("helm-4"));
    skip_unless!(old.is_some() && new.is_some(), "helm 3 and 4 could not be fetched; ./justw test tries to");
    let cloud = Cloud::builder().fake().start();
    let old = Helm { cloud: &cloud, program: old.expect("just seen") };
    let new = Helm { cloud: &cloud, program: new.expect("just seen") };
    old.says("install shop CHART --wait --timeout=40s", "STATUS: deployed");
    new.says("upgrade shop CHART --set color=blue --wait --timeout=40s", "STATUS: deployed");
    assert_eq!(sign(&cloud)["spec"]["color"], "blue");
    // The server applies what helm 3 wrote: what it wrote becomes what is applied, defaults and all.
    new.says("upgrade shop CHART --set color=green --server-side=true --force-conflicts", "STATUS: deployed");
    old.says("upgrade shop CHART --set color=red", "STATUS: deployed");
    assert_eq!(sign(&cloud)["spec"]["color"], "red");
    new.says("uninstall shop --wait --timeout=40s", "release \"shop\" uninstalled");
    assert_eq!(cloud.cloudctl(&["get", "inst,vol,vpc"]).ok(), "");
}

fn takes_a_chart_through_its_life(name: &str, atomic: &str) {
    let program = client(name);
    skip_unless!(program.is_some(), "{name} could not be fetched; ./justw test tries to");
    let cloud = Cloud::builder().fake().start();
    let helm = Helm { cloud: &cloud, program: program.expect("just seen") };

    assert!(helm.run("install shop CHART --dry-run=server").failed().contains("ensure CRDs are installed first"));
    assert_eq!(cloud.object("instances", "shop-web"), Value::Null);
    helm.says("install shop CHART --wait --timeout=40s", "STATUS: deployed");
    cloud.await_ready("instances", "shop-web");
    assert_eq!(sign(&cloud)["spec"], serde_json::json!({"color": "red", "lit": true}));
    assert_eq!(cloud.object("configmaps", "shop-before")["data"]["ran"], "1");
    let key = cloud.object("secrets", "shop-key")["data"]["key"].clone();
    assert!(key.is_string(), "{key}");
    let again = helm.run("install shop CHART").failed();
    assert!(again.contains("still in use"), "{again}");

    helm.says("upgrade shop CHART --set cpu=300m --dry-run=server", "cpu: 300m");
    helm.says("upgrade shop CHART --set color=blue,cpu=200m --wait --timeout=40s", "REVISION: 2");
    let web = cloud.await_ready("instances", "shop-web");
    assert_eq!(web["spec"]["resources"]["cpu"], "200m");
    assert_eq!(cloud.object("configmaps", "shop-settings")["data"]["revision"], "2");
    assert_eq!(cloud.object("configmaps", "shop-before")["data"]["ran"], "2");
    assert_eq!(cloud.object("secrets", "shop-key")["data"]["key"], key);
    helm.says("status shop", "STATUS: deployed");
    helm.says("list", "shop-0.1.0");
    helm.says("get manifest shop", "kind: Sign");
    helm.says("get values shop", "color: blue");

    // A change that the server refuses goes back to what was.
    let refused = helm.run(&format!("upgrade shop CHART --set color=pink --timeout=40s {atomic}")).failed();
    assert!(refused.contains("spec.color") && refused.contains("has been rolled back"), "{refused}");
    assert_eq!(sign(&cloud)["spec"]["color"], "blue");
    helm.says("rollback shop 1 --wait --timeout=40s", "Rollback was a success");
    assert_eq!(sign(&cloud)["spec"]["color"], "red");
    assert_eq!(cloud.await_ready("instances", "shop-web")["spec"]["resources"]["cpu"], "100m");
    let history = helm.says("history shop", "Rollback to 1");
    assert!(history.contains("superseded"), "{history}");

    // Somebody changed and removed things behind helm's back.
    let _ = cloud.cloudctl(&["delete", "configmap", "shop-settings"]).ok();
    helm.says("upgrade --install shop CHART --set color=green --wait --timeout=40s", "STATUS: deployed");
    assert_eq!(cloud.object("configmaps", "shop-settings")["data"]["color"], "green");

    helm.says("uninstall shop --wait --timeout=40s", "release \"shop\" uninstalled");
    assert_eq!(cloud.cloudctl(&["get", "inst,vol,vpc,secrets,signs"]).ok(), "");
    assert_ne!(cloud.object("configmaps", "shop-kept"), Value::Null);
    assert_ne!(cloud.object("customresourcedefinitions", "signs.chart.example.com"), Value::Null);
    helm.says(
        "install shop CHART --namespace branch --create-namespace --wait --timeout=40s --take-ownership",
        "deployed",
    );
    helm.says("list --all-namespaces", "branch");
}

fn sign(cloud: &Cloud) -> Value {
    cloud.object("signs", "shop")
}

struct Helm<'a> {
    cloud: &'a Cloud,
    program: PathBuf,
}

impl Helm<'_> {
    /// Runs one command line. `CHART` stands for the chart's folder.
    fn run(&self, line: &str) -> Output {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/chart");
        let chart = chart.to_str().expect("the checkout's path is text");
        let mut command = self.cloud.client(&self.program);
        command.args(line.split_whitespace().map(|word| if word == "CHART" { chart } else { word }));
        run_command(&mut command, "")
    }

    /// The command succeeds, and its output has these words.
    #[track_caller]
    fn says(&self, line: &str, words: &str) -> String {
        let output = self.run(line);
        assert!(output.code == 0 && output.stdout.contains(words), "wanted `{words}`: {output}");
        output.stdout
    }
}
