//! Ports of a machine, as a user of kube-rs reaches them: by the client's own port forwarding, for a kind of ours.

use e2e::{Cloud, docker_is_there, skip_unless};
use kube::api::Portforward;
use kube::{Api, CustomResource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client_of;

/// As much of the kind as this user needs to know.
#[derive(CustomResource, Serialize, Deserialize, JsonSchema, Debug, Clone)]
#[kube(group = "thecloud.dev", version = "v1alpha1", kind = "Instance", namespaced)]
struct InstanceSpec {
    image: String,
}

impl Portforward for Instance {}

const PAGE: &str = "\
apiVersion: thecloud.dev/v1alpha1
kind: Instance
metadata: {name: page}
spec:
  image: busybox:stable
  command: [sh, -c, 'echo a page > /tmp/index.html; exec httpd -f -p 8080 -h /tmp']
  healthCheck: {tcp: {port: 8080}, periodSeconds: 1}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_reached_through_the_clients_own_port_forwarding() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = tokio::task::spawn_blocking(|| {
        let cloud = Cloud::start();
        cloud.apply(PAGE);
        let _ = cloud.cloudctl(&["wait", "--for=condition=Available", "inst/page"]).ok();
        cloud
    });
    let cloud = cloud.await.unwrap();
    let instances: Api<Instance> = Api::namespaced(client_of(&cloud).await, "default");
    let mut forwarder = instances.portforward("page", &[8080, 9]).await.expect("the connection is switched");
    let closed = forwarder.take_error(9).unwrap().await.expect("nobody listens on port 9");
    assert!(closed.contains("port 9 can't be reached"), "{closed}");
    let mut page = forwarder.take_stream(8080).unwrap();
    page.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    page.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("a page\n"), "{answer}");
    tokio::task::spawn_blocking(move || drop(cloud)).await.unwrap();
}
