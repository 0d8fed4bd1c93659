//! What kubectl learns about the server before it does anything: versions, kinds, schemas, raw paths.

use super::{Kubectl, with_every_kubectl};

#[test]
fn every_kubectl_finds_out_what_there_is() {
    with_every_kubectl(script);
}

fn script(kubectl: &Kubectl<'_>) {
    kubectl.says("version -o yaml", "gitVersion: v1.36.");
    kubectl.says("api-versions", "GROUP/v1\n");
    kubectl.says("api-versions", "thecloud.dev/v1alpha1\n");
    let mine = kubectl.ok("api-resources --api-group=GROUP -o wide");
    let row: Vec<&str> = mine.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert_eq!(row[..2], ["widgets", "wg"], "{mine}");
    assert_eq!(row[3..5], ["true", "Widget"], "{mine}");
    assert!(row[5].contains("create") && row[5].contains("watch"), "{mine}");
    kubectl.says("api-resources --namespaced=false -o name", "namespaces\n");
    kubectl.says("api-resources --verbs=list,watch -o name", "instances.thecloud.dev\n");
    kubectl.says("api-resources --categories=all --sort-by=kind", "Instance");

    let explained = kubectl.ok("explain WIDGETS --recursive");
    for word in ["A thing of the tests.", "color", "lastTransitionTime", "observedGeneration"] {
        assert!(explained.contains(word), "`{word}` is not in: {explained}");
    }
    kubectl.says("explain WIDGETS.spec.color", "What it looks like from afar.");
    kubectl.says("explain configmap.data", "map[string]string");
    kubectl.says("explain instance.spec --recursive --api-version=thecloud.dev/v1alpha1", "restartPolicy");
    kubectl.says("explain crd.spec.versions", "subresources");
    kubectl.says("explain namespace.status.phase", "phase");
    kubectl.fails("explain WIDGETS.spec.colour", "field \"colour\" does not exist");

    kubectl.prints("get --raw /readyz", "ok");
    kubectl.says("get --raw /apis/GROUP/v1", "\"singularName\":\"widget\"");
    kubectl.says("get --raw /openapi/v2", "\"swagger\"");
    kubectl.says("get --raw /api/v1/namespaces/NS", "\"kind\":\"Namespace\"");
    kubectl.fails("get --raw /apis/nowhere.example.com/v1", "the server could not find the requested resource");
    kubectl.fails("get gadgets", "the server doesn't have a resource type \"gadgets\"");
}
