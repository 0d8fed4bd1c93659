//! Creating, applying in both ways, and changing in every way.

use e2e::{Output, run_command};

use super::{Kubectl, with_every_kubectl};

#[test]
fn every_kubectl_creates_and_applies() {
    with_every_kubectl(|kubectl| {
        generators(kubectl);
        applies(kubectl);
        prunes(kubectl);
        applies_on_the_server(kubectl);
        refusals(kubectl);
        quotas(kubectl);
        policies(kubectl);
    });
}

#[test]
fn every_kubectl_changes_what_there_is() {
    with_every_kubectl(|kubectl| {
        kubectl.apply(&kubectl.widget("a", "color: green"));
        patches(kubectl);
        edits(kubectl);
        replaces(kubectl);
        labels_and_scales(kubectl);
        // Only of Kubernetes' own workloads, as on any server.
        for rollout in ["status", "restart", "history"] {
            kubectl.fails(&format!("rollout {rollout} WIDGETS/a"), "no kind \"Widget\" is registered");
        }
    });
}

fn generators(kubectl: &Kubectl<'_>) {
    kubectl.prints("create configmap c --from-literal=a=1 --from-literal=b=2", "configmap/c created\n");
    kubectl.prints("create secret generic s --from-literal=password=hunter2", "secret/s created\n");
    kubectl.prints("get secret s -o jsonpath={.data.password}", "aHVudGVyMg==");
    kubectl
        .says("create secret docker-registry r --docker-server=r --docker-username=u --docker-password=p", "created");
    kubectl.prints("get secret r -o jsonpath={.type}", "kubernetes.io/dockerconfigjson");
    kubectl.says("create configmap d --from-literal=a=1 --dry-run=server -o yaml", "uid:");
    kubectl.says("create configmap d --from-literal=a=1 --dry-run=client -o yaml", "kind: ConfigMap");
    kubectl.fails("get configmap d", "NotFound");
    kubectl.fails("create configmap c --from-literal=a=1", "already exists");
    let said =
        kubectl.run_with("create -f -", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  generateName: gen-\n").ok();
    assert!(said.starts_with("configmap/gen-") && said.ends_with(" created\n"), "{said}");
}

fn applies(kubectl: &Kubectl<'_>) {
    let red = kubectl.widget("a", "color: red\nnote: first\nports: [{port: 80, name: web}]");
    let said = |word: &str| kubectl.own("widget.GROUP/a ") + word + "\n";
    assert_eq!(kubectl.run_with("apply -f - --dry-run=server", &red).ok(), said("created (server dry run)"));
    let diff = kubectl.run_with("diff -f -", &red);
    assert!(diff.code == 1 && diff.stdout.contains("+  color: red"), "{diff}");
    assert_eq!(kubectl.apply(&red), said("created"));
    assert_eq!(kubectl.run_with("diff -f -", &red).ok(), "");
    assert_eq!(kubectl.apply(&red), said("unchanged"));

    let blue = kubectl.widget("a", "color: blue\nreplicas: 3\nports: [{port: 80, name: web}, {port: 443}]");
    let diff = kubectl.run_with("diff -f -", &blue);
    assert_eq!(diff.code, 1, "{diff}");
    for line in ["-  color: red", "+  color: blue", "-  note: first"] {
        assert!(diff.stdout.contains(line), "`{line}` is not in: {diff}");
    }
    assert_eq!(kubectl.apply(&blue), said("configured"));
    let path = "{.spec.note}{.spec.color}{.spec.replicas}{.spec.ports[*].port}";
    kubectl.prints(&format!("get WIDGETS a -o jsonpath={path}"), "blue380 443");
    kubectl.says("apply view-last-applied WIDGETS a", "color: blue");

    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata:\n  a: \"1\"\n  b: \"2\"\n";
    kubectl.apply(map);
    kubectl.apply(&map.replace("  a: \"1\"\n", ""));
    kubectl.prints("get configmap m -o jsonpath={.data}", r#"{"b":"2"}"#);
}

/// What is no longer among the applied things goes.
fn prunes(kubectl: &Kubectl<'_>) {
    let part =
        |name: &str| kubectl.widget(name, "color: red").replace("metadata:\n", "metadata:\n  labels: {set: pruned}\n");
    let apply = "apply -f - --prune -l set=pruned --prune-allowlist=GROUP/v1/Widget";
    let _ = kubectl.run_with(apply, &(part("p1") + "---\n" + &part("p2"))).ok();
    let said = kubectl.run_with(apply, &part("p2")).ok();
    assert!(said.contains("p1 pruned") && said.contains("p2 unchanged"), "{said}");
}

fn applies_on_the_server(kubectl: &Kubectl<'_>) {
    let apply = |more: &str, yaml: &str| kubectl.run_with(&format!("apply --server-side -f - {more}"), yaml);
    let said = |name: &str| kubectl.own("widget.GROUP/") + name + " serverside-applied\n";
    let red = kubectl.widget("ssa", "color: red\nports: [{port: 80}]");
    assert_eq!(apply("", &red).ok(), said("ssa"));
    assert_eq!(apply("", &red).ok(), said("ssa"));
    let blue = kubectl.widget("ssa", "color: blue\nports: [{port: 443}]");
    let conflict = apply("--field-manager=other", &blue).failed();
    for words in ["Apply failed with 1 conflict: conflict with \"kubectl\"", ".spec.color", "--force-conflicts"] {
        assert!(conflict.contains(words), "`{words}` is not in: {conflict}");
    }
    let diff = kubectl.run_with("diff --server-side --force-conflicts --field-manager=other -f -", &blue);
    assert!(diff.code == 1 && diff.stdout.contains("+  color: blue"), "{diff}");
    assert_eq!(apply("--field-manager=other --force-conflicts", &blue).ok(), said("ssa"));
    kubectl.prints("get WIDGETS ssa -o jsonpath={.spec.color}{.spec.ports[*].port}", "blue80 443");
    // Its owner leaves it out: it goes, while what the other one wants stays.
    assert_eq!(apply("", &kubectl.widget("ssa", "color: blue")).ok(), said("ssa"));
    kubectl.prints("get WIDGETS ssa -o jsonpath={.spec.ports[*].port}", "443");

    // From client-side apply to the server's: fields that are left out go, as before.
    kubectl.apply(&kubectl.widget("moved", "color: red\nnote: going"));
    assert_eq!(apply("", &kubectl.widget("moved", "color: green")).ok(), said("moved"));
    kubectl.prints("get WIDGETS moved -o jsonpath={.spec.color}{.spec.note}", "green");
    let managers = kubectl.ok("get WIDGETS moved -o jsonpath={.metadata.managedFields[*].manager}");
    // They stand in the order of their times, which may be of one second or of two.
    let managers: std::collections::BTreeSet<&str> = managers.split(' ').collect();
    assert_eq!(managers, ["kubectl", "kubectl-last-applied"].into());
}

fn refusals(kubectl: &Kubectl<'_>) {
    let refused = |spec: &str, words: &[&str]| {
        let said = kubectl.run_with("apply -f -", &kubectl.widget("bad", spec)).failed();
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
    };
    refused("color: red\nsize: 3", &["strict decoding error: unknown field \"spec.size\""]);
    refused(
        "color: pink",
        &["spec.color: Unsupported value: \"pink\": supported values: \"red\", \"green\", \"blue\""],
    );
    refused("note: x", &["spec.color: Required value"]);
    refused("color: red\nreplicas: many", &["spec.replicas", "must be of type integer: \"string\""]);
    refused("color: red\nreplicas: 11", &["ten are enough"]);
    let unknown = kubectl.widget("bad", "color: red\nsize: 3");
    assert!(kubectl.run_with("apply -f - --validate=false", &unknown).ok().contains("created"));
    let warned = kubectl.run_with("apply -f - --validate=warn", &kubectl.widget("bad", "color: red\nbulk: 3"));
    assert!(warned.code == 0 && warned.stderr.contains("Warning: unknown field \"spec.bulk\""), "{warned}");
}

/// What is more than the namespace may have is refused, by whichever way it comes.
fn quotas(kubectl: &Kubectl<'_>) {
    kubectl.prints("create quota few --hard=count/configmaps=1,secrets=9", "resourcequota/few created\n");
    kubectl.prints(r"get quota few -o jsonpath={.spec.hard.count/configmaps}{.spec.hard.secrets}", "19");
    kubectl.fails("create configmap more --from-literal=a=1", "configmaps \"more\" is forbidden: ");
    kubectl.fails("create configmap more --from-literal=a=1 --dry-run=server", "quota: few");
    kubectl.says("create secret generic more --from-literal=a=1", "created");
    kubectl.says("describe quota few", "count/configmaps");
    kubectl.says("delete quota few", "deleted");
}

/// What a policy in CEL denies is refused, with the sentence that it has for it.
fn policies(kubectl: &Kubectl<'_>) {
    let policy = kubectl.own(POLICY);
    let applied = kubectl.apply(&policy);
    assert_eq!(applied.matches(" created\n").count(), 2, "{applied}");
    let denied = kubectl.run_with("apply -f -", &kubectl.widget("loud", "color: red\nreplicas: 9")).failed();
    let why = "ValidatingAdmissionPolicy 'few.GROUP' with binding 'few.GROUP' denied request: 9 are too many";
    assert!(denied.contains(&kubectl.own(why)), "{denied}");
    assert!(kubectl.apply(&kubectl.widget("loud", "color: red\nreplicas: 3")).contains("created"));
    kubectl.fails("scale WIDGETS/loud --replicas=9 --dry-run=server", "too many");
    kubectl.says("get validatingadmissionpolicies", "few.GROUP");
    kubectl.says("describe validatingadmissionpolicybinding few.GROUP", "Policy Name");
    kubectl.says("delete validatingadmissionpolicy,validatingadmissionpolicybinding few.GROUP", "deleted");
    kubectl.says("delete WIDGETS loud", "deleted");
}

const POLICY: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: few.GROUP}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [GROUP], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [widgets, widgets/scale]}
  variables:
    - {name: replicas, expression: "object.spec.?replicas.orValue(0)"}
  validations:
    - expression: variables.replicas <= 5
      messageExpression: string(variables.replicas) + ' are too many'
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: few.GROUP}
spec: {policyName: few.GROUP, validationActions: [Deny]}
"#;

fn patches(kubectl: &Kubectl<'_>) {
    kubectl.says(r#"patch WIDGETS a --type=merge -p {"spec":{"color":"red","note":"x"}}"#, "patched");
    kubectl.says(r#"patch WIDGETS a --type=merge -p {"spec":{"note":null}}"#, "patched");
    kubectl.says(r#"patch WIDGETS a --type=merge -p {"spec":{"color":"red"}}"#, "patched (no change)");
    let json =
        r#"[{"op":"test","path":"/spec/color","value":"red"},{"op":"replace","path":"/spec/color","value":"blue"}]"#;
    kubectl.says(&format!("patch WIDGETS a --type=json -p {json}"), "patched");
    kubectl.fails(
        &format!("patch WIDGETS a --type=json -p {json}"),
        "the server rejected our request due to an error in our request",
    );
    kubectl.prints("get WIDGETS a -o jsonpath={.spec.color}{.spec.note}", "blue");
    kubectl.fails(
        r#"patch WIDGETS a --type=strategic -p {"spec":{"color":"red"}}"#,
        "application/strategic-merge-patch+json is not supported",
    );
    kubectl.says("create configmap m --from-literal=a=1", "created");
    kubectl.says(r#"patch configmap m -p {"data":{"a":null,"b":"2"}}"#, "patched");
    kubectl.prints("get configmap m -o jsonpath={.data}", r#"{"b":"2"}"#);
    let status = r#"{"status":{"replicas":2,"selector":"app=a"},"spec":{"color":"red"}}"#;
    kubectl.says(&format!("patch WIDGETS a --type=merge --subresource=status -p {status}"), "patched");
    kubectl.prints("get WIDGETS a -o jsonpath={.spec.color}{.status.replicas}{.metadata.generation}", "blue24");
    kubectl.says(r#"patch WIDGETS a --type=merge --dry-run=server -o yaml -p {"spec":{"color":"red"}}"#, "color: red");
    kubectl.prints("get WIDGETS a -o jsonpath={.spec.color}", "blue");
}

fn edits(kubectl: &Kubectl<'_>) {
    let edit = |line: &str, expression: &str| -> Output {
        let mut command = kubectl.command(line);
        command.env("KUBE_EDITOR", format!("sed -i '{expression}'"));
        run_command(&mut command, "")
    };
    assert!(edit("edit WIDGETS a", "s/color: blue/color: green/").ok().contains("edited"));
    kubectl.prints("get WIDGETS a -o jsonpath={.spec.color}", "green");
    let unchanged = edit("edit WIDGETS a", "s/x/x/");
    assert!(unchanged.code == 0 && unchanged.stderr.contains("no changes made"), "{unchanged}");
    assert!(edit("edit WIDGETS a --subresource=status", "s/replicas: 2/replicas: 3/").ok().contains("edited"));
    kubectl.prints("get WIDGETS a -o jsonpath={.status.replicas}", "3");
    let _ = edit("edit configmap m -o json", "s/\"b\": \"2\"/\"b\": \"3\"/").ok();
    kubectl.prints("get configmap m -o jsonpath={.data.b}", "3");
}

fn replaces(kubectl: &Kubectl<'_>) {
    let uid = kubectl.ok("get WIDGETS a -o jsonpath={.metadata.uid}");
    let red = kubectl.widget("a", "color: red");
    assert!(kubectl.run_with("replace -f -", &red).ok().contains("replaced"));
    kubectl.prints("get WIDGETS a -o jsonpath={.spec.color}{.metadata.uid}{.status.replicas}", &format!("red{uid}3"));
    let stale = red.replace("  name: a\n", "  name: a\n  resourceVersion: \"1\"\n");
    kubectl.fails_with("replace -f -", &stale, "the object has been modified; please apply your changes to the latest");
    assert!(kubectl.run_with("replace --force -f -", &red).ok().contains("replaced"));
    assert_ne!(kubectl.ok("get WIDGETS a -o jsonpath={.metadata.uid}"), uid);
    kubectl.fails_with("replace -f -", &kubectl.widget("none", "color: red"), "NotFound");
}

fn labels_and_scales(kubectl: &Kubectl<'_>) {
    kubectl.says("label WIDGETS a tier=front", "labeled");
    kubectl.fails("label WIDGETS a tier=back", "--overwrite is false");
    kubectl.says("label WIDGETS --all tier=back --overwrite", "labeled");
    kubectl.says("label WIDGETS a --list", "tier=back");
    kubectl.says("label WIDGETS -l tier=back tier-", "unlabeled");
    kubectl.says("annotate WIDGETS a example.com/why=because", "annotate");
    kubectl.prints(r"get WIDGETS a -o jsonpath={.metadata.annotations.example\.com/why}", "because");
    kubectl.says("annotate WIDGETS a example.com/why-", "annotate");
    kubectl.fails("label WIDGETS a -bad-=x", "unknown shorthand flag");
    kubectl.fails("label WIDGETS a b=_x_", "a valid label must be");

    kubectl.says("scale WIDGETS a --replicas=4", "scaled");
    kubectl.says("scale WIDGETS/a --current-replicas=4 --replicas=5", "scaled");
    kubectl.fails("scale WIDGETS/a --current-replicas=4 --replicas=6", "5");
    kubectl.fails("scale WIDGETS/a --replicas=11", "ten are enough");
    kubectl.prints("get WIDGETS a -o jsonpath={.spec.replicas}", "5");
    kubectl.fails("scale configmap/m --replicas=1", "could not find the requested resource");
}
