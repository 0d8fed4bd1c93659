//! Bad input gets a message that names the field or the thing, loses nothing, and recovers when the cause is gone.

use std::net::TcpListener;

use e2e::{Cloud, condition, docker_is_there, skip_unless};

use crate::machine::{documents, sleeper, volume};

#[track_caller]
fn refused(cloud: &Cloud, yaml: &str, words: &[&str]) {
    let said = cloud.cloudctl_with(&["apply", "-f", "-"], yaml).failed();
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

#[test]
fn what_the_schema_forbids_is_refused_by_field() {
    let cloud = Cloud::builder().fake().start();
    refused(
        &cloud,
        &sleeper("web", "imagee: nginx"),
        &["spec.imagee", "there is no such field; did you mean `image`?"],
    );
    refused(
        &cloud,
        &sleeper("web", "terminationGracePeriodSeconds: soon").replace("  terminationGracePeriodSeconds: 0\n", ""),
        &["spec.terminationGracePeriodSeconds", "expected numeric (int or float), got string"],
    );
    refused(&cloud, &sleeper("web", "resources: {memory: lots}"), &["spec.resources.memory", "must be a quantity"]);
    refused(
        &cloud,
        &sleeper("web", "restartPolicy: Sometimes"),
        &["spec.restartPolicy", "\"Always\", \"OnFailure\", \"Never\""],
    );
    refused(&cloud, &sleeper("Web_1", ""), &["metadata.name"]);
    refused(&cloud, &volume("data", "1Gi").replace("size: 1Gi", "siez: 1Gi"), &["spec.siez", "there is no such field"]);
    refused(
        &cloud,
        &volume("data", "1Gi").replace("  size: 1Gi\n", "  volumeMode: Filesystem\n"),
        &["spec.size", "Required value"],
    );
    let vpc = "apiVersion: thecloud.dev/v1alpha1\nkind: Vpc\nmetadata:\n  name: main\nspec:\n  cidr: 10.0.0.1/20\n";
    refused(&cloud, vpc, &["spec.cidr", "without host bits"]);
    refused(&cloud, "apiVersion: thecloud.dev/v1alpha1\nkind: Instanze\nmetadata:\n  name: a\n", &["Instanze"]);
    assert_eq!(cloud.cloudctl(&["get", "inst,vol,vpc"]).ok(), "");
}

#[test]
fn what_may_not_change_is_refused_with_the_way_out() {
    let cloud = Cloud::builder().fake().start();
    let vpc = "apiVersion: thecloud.dev/v1alpha1\nkind: Vpc\nmetadata:\n  name: main\nspec:\n  cidr: 10.50.0.0/20\n";
    cloud.apply(vpc);
    refused(&cloud, &vpc.replace("10.50", "10.51"), &["cidr can't be changed", "make it again"]);
    cloud.apply(&volume("data", "64Mi"));
    refused(&cloud, &volume("data", "32Mi"), &["size can't shrink"]);
    cloud.apply(&volume("data", "128Mi"));
}

#[test]
fn huge_and_hostile_yaml_is_refused_at_once() {
    let cloud = Cloud::builder().fake().start();
    let huge =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: big\ndata:\n  a: {}\n", "x".repeat(4 << 20));
    let said = cloud.cloudctl_with(&["apply", "-f", "-"], &huge).failed();
    assert!(said.contains("MiB") || said.contains("too large"), "{said}");
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (alias, name) in ["a", "b", "c", "d", "e", "f", "g", "h"].iter().zip(["b", "c", "d", "e", "f", "g", "h", "i"]) {
        bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{alias}"); 10].join(", "));
    }
    let yaml = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: bomb\n{bomb}");
    let _ = cloud.cloudctl_with(&["apply", "-f", "-"], &yaml).failed();
    // The same straight to the server, past the client's own checks.
    let token = serde_token(&cloud);
    for body in [&huge, &yaml] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("body");
        std::fs::write(&file, body).unwrap();
        let output = e2e::run(
            "curl",
            [
                "-sk",
                "--max-time",
                "20",
                "-w",
                "\n%{http_code}",
                "-H",
                &format!("Authorization: Bearer {token}"),
                "-H",
                "Content-Type: application/yaml",
                "--data-binary",
                &format!("@{}", file.display()),
                &format!("https://{}/api/v1/namespaces/default/configmaps", cloud.address()),
            ],
            "",
        );
        let code = output.stdout.lines().last().unwrap_or_default().to_owned();
        assert!(["400", "413"].contains(&code.as_str()), "{output}");
        assert!(output.stdout.contains("\"Status\""), "{output}");
    }
    assert_eq!(cloud.cloudctl(&["get", "configmaps", "-o", "name"]).ok(), "");
}

fn serde_token(cloud: &Cloud) -> String {
    let text = std::fs::read_to_string(cloud.kubeconfig()).unwrap();
    let line = text.lines().find(|line| line.trim_start().starts_with("token:")).unwrap();
    line.split_once(':').unwrap().1.trim().trim_matches(['"', '\'']).to_owned()
}

#[test]
fn a_taken_port_is_a_condition_that_goes_when_the_port_is_free() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    cloud.apply(&sleeper("web", &format!("ports: [{{port: 80, publish: {{port: {port}}}}}]")));
    let web = cloud.await_object("instances", "web", "to say that the port is taken", |web| {
        condition(web, "Ready")["reason"] == "PortTaken"
    });
    let message = condition(&web, "Ready")["message"].as_str().unwrap_or_default();
    assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
    drop(listener);
    cloud.await_ready("instances", "web");
}

#[test]
fn missing_things_are_named_and_the_instance_goes_on_when_they_appear() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let spec = "vpc: lan\nvolumes: [{volume: data, mountPath: /data}]";
    cloud.apply(&sleeper("web", spec));
    let waiting = cloud
        .await_object("instances", "web", "to wait", |web| condition(web, "Ready")["reason"] == "DependencyMissing");
    let message = condition(&waiting, "Ready")["message"].as_str().unwrap_or_default();
    assert!(message.contains("`lan`") || message.contains("`data`"), "{message}");
    cloud.apply(&documents(&[crate::machine::vpc("lan"), volume("data", "32Mi")]));
    cloud.await_ready("instances", "web");
}

#[test]
fn an_image_that_does_not_exist_is_named_and_a_mended_name_runs() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let broken = sleeper("web", "").replace("busybox:stable", "localhost:1/no-such-image:1");
    cloud.apply(&broken);
    cloud.await_object("instances", "web", "to name the image", |web| {
        let ready = condition(web, "Ready");
        ready["reason"].as_str().is_some_and(|reason| reason.starts_with("Image"))
            && ready["message"].as_str().is_some_and(|message| message.contains("localhost:1/no-such-image:1"))
    });
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");
}

#[test]
fn of_two_overlapping_networks_the_older_wins() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let vpc = |name: &str, cidr: &str| {
        format!("apiVersion: thecloud.dev/v1alpha1\nkind: Vpc\nmetadata:\n  name: {name}\nspec:\n  cidr: {cidr}\n")
    };
    cloud.apply(&vpc("older", "10.61.0.0/20"));
    cloud.await_ready("vpcs", "older");
    cloud.apply(&vpc("younger", "10.61.8.0/24"));
    let younger = cloud.await_object("vpcs", "younger", "to say that it overlaps", |vpc| {
        condition(vpc, "Ready")["reason"] == "CidrOverlap"
    });
    assert!(condition(&younger, "Ready")["message"].as_str().unwrap_or_default().contains("older"));
    let _ = cloud.cloudctl(&["delete", "vpc", "older"]).ok();
    cloud.await_ready("vpcs", "younger");
}
