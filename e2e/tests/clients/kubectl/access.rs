//! Roles and bindings made by kubectl, what it asks about access, and acting as somebody else.

use super::{Kubectl, with_every_kubectl};

#[test]
fn every_kubectl_grants_and_asks_about_access() {
    with_every_kubectl(script);
}

fn script(kubectl: &Kubectl<'_>) {
    kubectl.says("create serviceaccount robot", "serviceaccount/robot created");
    kubectl.says("create role reader --verb=get,list,watch --resource=configmaps", "reader created");
    kubectl.says("create role painter --verb=* --resource=WIDGETS,widgets.GROUP/status", "painter created");
    kubectl.says("create rolebinding ann --role=reader --user=ann-NS", "ann created");
    kubectl.says("create rolebinding robot --role=painter --serviceaccount=NS:robot", "robot created");
    kubectl.says("create clusterrole NS-nodes --verb=get --non-resource-url=/metrics", "created");
    kubectl.says("create clusterrolebinding NS-all --clusterrole=NS-nodes --group=metrics-NS", "created");

    kubectl.prints("auth can-i create WIDGETS", "yes\n");
    kubectl.prints("auth can-i get configmaps --as=ann-NS", "yes\n");
    kubectl.prints("auth can-i patch WIDGETS --subresource=status --as=system:serviceaccount:NS:robot", "yes\n");
    kubectl.fails("auth can-i delete configmaps --as=ann-NS", "no\n");
    kubectl.fails("auth can-i get configmaps --as=ann-NS -n default", "no\n");
    kubectl.prints("auth can-i get /metrics --as=bob --as-group=metrics-NS", "yes\n");
    let rights = kubectl.ok("auth can-i --list --as=ann-NS");
    assert!(rights.lines().any(|line| line.contains("configmaps") && line.contains("[get list watch]")), "{rights}");

    kubectl.says("create configmap c --from-literal=a=1", "created");
    kubectl.prints("get configmaps c -o name --as=ann-NS", "configmap/c\n");
    let refusal = "configmaps \"c\" is forbidden: User \"ann-NS\" cannot delete resource \"configmaps\" in API group \"\" in the \
                   namespace \"NS\"";
    kubectl.fails("delete configmap c --as=ann-NS", refusal);
    let red = kubectl.widget("w", "color: red");
    let apply = "apply -f - --as=system:serviceaccount:NS:robot";
    assert!(kubectl.run_with(apply, &red).ok().contains("created"));
    kubectl.says("describe role reader", "configmaps");
    kubectl.says("describe rolebinding ann", "ann-NS");
    // It takes no namespace but the one in the file.
    let role = kubectl.own(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: NS}\nrules:\n- \
         {apiGroups: [''], resources: [secrets], verbs: [get]}\n",
    );
    assert!(kubectl.run_with("auth reconcile -f -", &role).ok().contains("reader reconciled"));
    kubectl.prints("auth can-i get secrets --as=ann-NS", "yes\n");
    kubectl.prints("auth can-i get configmaps --as=ann-NS", "yes\n");
}
