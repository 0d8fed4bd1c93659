//! Deleting with and without what hangs on it, waiting, and machines that come and go.

use e2e::eventually;

use super::{Kubectl, with_every_kubectl};

#[test]
fn every_kubectl_deletes_in_every_way() {
    with_every_kubectl(|kubectl| {
        cascades(kubectl);
        selections(kubectl);
        finalizers(kubectl);
        namespaces(kubectl);
    });
}

#[test]
fn every_kubectl_waits_and_runs_machines() {
    with_every_kubectl(|kubectl| {
        waits(kubectl);
        machines(kubectl);
    });
}

/// A Widget and a ConfigMap that it owns.
fn family(kubectl: &Kubectl<'_>, name: &str) {
    kubectl.apply(&kubectl.widget(name, "color: red"));
    let uid = kubectl.ok(&format!("get WIDGETS {name} -o jsonpath={{.metadata.uid}}"));
    kubectl.apply(&format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: of-{name}\n  ownerReferences:\n  - {{apiVersion: {}/v1, \
         kind: Widget, name: {name}, uid: {uid}, blockOwnerDeletion: true}}\n",
        kubectl.group
    ));
}

fn cascades(kubectl: &Kubectl<'_>) {
    for name in ["back", "fore", "orphan"] {
        family(kubectl, name);
    }
    kubectl.says("delete WIDGETS back --dry-run=server", "(server dry run)");
    kubectl.says("get WIDGETS back", "red");
    kubectl.says("delete WIDGETS back --cascade=background", "deleted");
    kubectl.says("wait --for=delete configmap/of-back --timeout=20s", "");
    kubectl.fails("get configmap of-back", "NotFound");
    kubectl.says("delete WIDGETS fore --cascade=foreground", "deleted");
    kubectl.fails("get configmap of-fore", "NotFound");
    kubectl.says("delete WIDGETS orphan --cascade=orphan", "deleted");
    kubectl.prints("get configmap of-orphan -o jsonpath={.metadata.ownerReferences}", "");
}

fn selections(kubectl: &Kubectl<'_>) {
    let all: Vec<String> = ["d1", "d2", "d3", "d4", "d5"].map(|name| kubectl.widget(name, "color: red")).into();
    kubectl.apply(&all.join("---\n"));
    kubectl.says("label WIDGETS d1 d2 go=now", "labeled");
    kubectl.says("delete WIDGETS -l go=now", "\"d2\" deleted");
    kubectl.says("delete WIDGETS d3 --now", "deleted");
    let forced = kubectl.run("delete WIDGETS d4 --force --grace-period=0 --wait=false");
    assert!(forced.code == 0 && forced.stdout.contains("force deleted"), "{forced}");
    assert!(kubectl.run_with("delete -f -", &kubectl.widget("d5", "color: red")).ok().contains("deleted"));
    kubectl.says("delete WIDGETS d5 --ignore-not-found", "");
    kubectl.fails("delete WIDGETS d5", "Error from server (NotFound)");
    kubectl.apply(&all[..2].join("---\n"));
    kubectl.says("delete WIDGETS --all -o name", "widget.GROUP/d1");
    kubectl.prints("get WIDGETS -o name", "");
    kubectl.apply(&all[0]);
    kubectl.says("delete --raw /apis/GROUP/v1/namespaces/NS/widgets/d1", "\"status\":\"Success\"");
}

/// `delete` waits until whoever holds the object lets go.
fn finalizers(kubectl: &Kubectl<'_>) {
    kubectl.apply(
        &kubectl.widget("held", "color: red").replace("name: held\n", "name: held\n  finalizers: [example.com/hold]\n"),
    );
    let mut delete = kubectl.start("delete WIDGETS held");
    eventually("the object to be on its way out", || {
        let since = kubectl.ok("get WIDGETS held -o jsonpath={.metadata.deletionTimestamp}");
        if since.is_empty() { Err("no deletionTimestamp") } else { Ok(()) }
    });
    kubectl.says(r#"patch WIDGETS held --type=merge -p {"metadata":{"finalizers":null}}"#, "patched");
    delete.ends_well();
    kubectl.fails("get WIDGETS held", "NotFound");
}

fn namespaces(kubectl: &Kubectl<'_>) {
    kubectl.says("create namespace NS-other", "created");
    kubectl.says("create configmap c -n NS-other --from-literal=a=1", "created");
    assert!(kubectl.run_with("apply -n NS-other -f -", &kubectl.widget("w", "color: red")).ok().contains("created"));
    kubectl.says("delete namespace NS-other --timeout=30s", "deleted");
    kubectl.fails("get namespace NS-other", "NotFound");
    kubectl.fails("create configmap c -n NS-other", "namespaces \"NS-other\" not found");
    kubectl.says("delete crd WIDGETS --timeout=30s", "deleted");
    kubectl.fails("get WIDGETS", "the server doesn't have a resource type");
}

fn waits(kubectl: &Kubectl<'_>) {
    kubectl.apply(&kubectl.widget("w", "color: red"));
    let mut ready = kubectl.start("wait --for=condition=Ready WIDGETS/w --timeout=30s");
    let mut blue = kubectl.start("wait --for=jsonpath={.spec.color}=blue WIDGETS/w --timeout=30s");
    let mut gone = kubectl.start("wait --for=delete WIDGETS/w --timeout=30s");
    let status = r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#;
    kubectl.says(&format!("patch WIDGETS w --type=merge --subresource=status -p {status}"), "patched");
    ready.ends_well();
    kubectl.says(r#"patch WIDGETS w --type=merge -p {"spec":{"color":"blue"}}"#, "patched");
    blue.ends_well();
    kubectl.fails("wait --for=condition=Ready=False WIDGETS/w --timeout=1s", "timed out waiting for the condition");
    kubectl.says("delete WIDGETS w", "deleted");
    gone.ends_well();
    if kubectl.minor() >= 31 {
        let mut come = kubectl.start("wait --for=create WIDGETS/later --timeout=30s");
        kubectl.apply(&kubectl.widget("later", "color: red"));
        come.ends_well();
    }
}

fn machines(kubectl: &Kubectl<'_>) {
    let group = "apiVersion: thecloud.dev/v1alpha1\n";
    kubectl.apply(&format!(
        "{group}kind: Vpc\nmetadata: {{name: lan}}\nspec: {{}}\n---\n{group}kind: Volume\nmetadata: {{name: disk}}\nspec: \
         {{size: 64Mi}}\n---\n{group}kind: Instance\nmetadata: {{name: web}}\nspec: {{image: 'busybox:stable', instanceType: \
         nano, vpc: lan, volumes: [{{volume: disk, mountPath: /data}}]}}\n"
    ));
    kubectl.says(
        "wait --for=condition=Ready --timeout=30s inst/web vpc/lan vol/disk",
        "instance.thecloud.dev/web condition met",
    );
    let table = kubectl.ok("get inst");
    let heading: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(heading, ["NAME", "PHASE", "READY", "IP", "RESTARTS", "PUBLISHED", "AGE"], "{table}");
    let all = kubectl.ok("get all");
    for name in ["instance.thecloud.dev/web", "vpc.thecloud.dev/lan", "volume.thecloud.dev/disk"] {
        assert!(all.contains(name), "`{name}` is not in: {all}");
    }
    kubectl.says("describe inst web", "Started");
    kubectl.says("get cloud -o name", "instance.thecloud.dev/web\n");
    kubectl.says(r#"patch inst web --type=merge -p {"spec":{"resources":{"cpu":"150m"}}}"#, "patched");
    kubectl.says("delete inst/web vol/disk vpc/lan --timeout=30s", "deleted");
    kubectl.prints("get inst,vol,vpc -o name", "");
}
