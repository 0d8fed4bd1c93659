//! Getting, listing, selecting, describing and watching.

use super::{Kubectl, with_every_kubectl};

#[test]
fn every_kubectl_reads_in_every_form() {
    with_every_kubectl(|kubectl| {
        let all = [("w1", "red"), ("w2", "green"), ("w3", "blue")]
            .map(|(name, color)| kubectl.widget(name, &format!("color: {color}\nnote: of {name}")));
        kubectl.apply(&all.join("---\n"));
        forms(kubectl);
        selections(kubectl);
        events(kubectl);
        watches(kubectl);
    });
}

fn forms(kubectl: &Kubectl<'_>) {
    let table = kubectl.ok("get WIDGETS");
    let heading: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(heading, ["NAME", "COLOR", "REPLICAS", "AGE"], "{table}");
    kubectl.says("get WIDGETS w1 -o wide", "of w1");
    kubectl.says("get wg.GROUP,configmaps --show-kind --show-labels", "widget.GROUP/w1");
    kubectl.says("get all", "widget.GROUP/w2");
    kubectl.says("get WIDGETS -A", "NS");
    kubectl.prints("get WIDGETS w1 -o name", "widget.GROUP/w1\n");
    kubectl.prints("get WIDGETS -o jsonpath={.items[*].spec.color}", "red green blue");
    kubectl.prints(
        "get WIDGETS -o custom-columns=N:.metadata.name,C:.spec.color --no-headers",
        "w1    red\nw2    green\nw3    blue\n",
    );
    kubectl.prints("get WIDGETS --sort-by=.spec.color -o name", "widget.GROUP/w3\nwidget.GROUP/w2\nwidget.GROUP/w1\n");
    kubectl.prints("get WIDGETS -o go-template={{range.items}}{{.metadata.name}},{{end}}", "w1,w2,w3,");
    kubectl.says("get WIDGETS w1 -o yaml", "\n  color: red\n");
    kubectl.says("get WIDGETS w1 -o yaml --show-managed-fields", "manager: kubectl-client-side-apply");
    kubectl.says("get WIDGETS w1 -o json", "\"note\": \"of w1\"");
    kubectl.prints("get WIDGETS --chunk-size=1 -o name", "widget.GROUP/w1\nwidget.GROUP/w2\nwidget.GROUP/w3\n");
    kubectl.says("get WIDGETS --chunk-size=2", "w3");
    kubectl.says("get WIDGETS w1 --subresource=status", "w1");
    kubectl.says("get WIDGETS w1 --subresource=scale -o yaml", "kind: Scale");
    kubectl.says("get namespaces", "Active");
    kubectl.says("get crd WIDGETS", "CREATED AT");
    kubectl.fails("get WIDGETS none", "Error from server (NotFound): WIDGETS \"none\" not found");
}

fn selections(kubectl: &Kubectl<'_>) {
    kubectl.prints("get WIDGETS --field-selector=spec.color=green -o name", "widget.GROUP/w2\n");
    kubectl.prints("get WIDGETS --field-selector=metadata.name!=w2,spec.color!=red -o name", "widget.GROUP/w3\n");
    kubectl.fails("get WIDGETS --field-selector=spec.note=x", "field label not supported: spec.note");
    kubectl.says("label WIDGETS w1 w2 tier=front", "labeled");
    kubectl.prints("get WIDGETS -l tier=front -o name", "widget.GROUP/w1\nwidget.GROUP/w2\n");
    kubectl.prints("get WIDGETS -l tier!=front -o name", "widget.GROUP/w3\n");
    kubectl.says("get WIDGETS -L tier", "front");
    kubectl.says("get WIDGETS -l tier=back --ignore-not-found", "");
}

fn events(kubectl: &Kubectl<'_>) {
    let uid = kubectl.ok("get WIDGETS w1 -o jsonpath={.metadata.uid}");
    let event = format!(
        "apiVersion: v1\nkind: Event\nmetadata:\n  name: w1.faded\ntype: Warning\nreason: Faded\nmessage: by the sun\n\
         count: 3\nfirstTimestamp: 2026-01-02T03:04:05Z\nlastTimestamp: 2026-01-02T03:04:05Z\nsource: {{component: sun}}\n\
         involvedObject: {{apiVersion: {}/v1, kind: Widget, name: w1, namespace: {}, uid: {uid}}}\n",
        kubectl.group, kubectl.namespace
    );
    let _ = kubectl.run_with("create -f -", &event).ok();
    for line in ["get events", "events", "events --types=Warning", "get events --field-selector=reason=Faded"] {
        kubectl.says(line, "by the sun");
    }
    // 1.27 doesn't take a kind with its group here.
    if kubectl.minor() >= 28 {
        kubectl.says("events --for=WIDGETS/w1", "Faded");
    }
    let described = kubectl.ok("describe WIDGETS w1");
    for word in ["Kind:", "Widget", "Color:", "Events:", "Faded", "by the sun"] {
        assert!(described.contains(word), "`{word}` is not in: {described}");
    }
    kubectl.says("describe namespace NS", "Status:       Active");
    kubectl.says("describe crd WIDGETS", "Plural:");
}

/// A watch shows what is there, what comes and what goes, as it happens.
fn watches(kubectl: &Kubectl<'_>) {
    let watch = kubectl.start("get WIDGETS -w --output-watch-events");
    watch.await_line(&["ADDED", "w3"]);
    kubectl.apply(&kubectl.widget("w4", "color: red"));
    watch.await_line(&["ADDED", "w4"]);
    kubectl.says("scale WIDGETS w4 --replicas=7", "scaled");
    watch.await_line(&["MODIFIED", "7"]);
    kubectl.says("delete WIDGETS w4", "deleted");
    watch.await_line(&["DELETED", "w4"]);
}
