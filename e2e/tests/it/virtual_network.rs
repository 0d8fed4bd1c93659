//! Virtual machines in their network: published where anybody looks for them, found by name, kept to their groups.

use std::net::TcpListener;

use e2e::{Cloud, condition, eventually, eventually_within, run, virsh};
use serde_json::{Value, json};

use crate::machine::{documents, vpc};
use crate::virtual_machine::{BOOT, IMAGE, SKIPPED, boots, cloud, domain, machine};

/// The virtual machine with a port that is published as this says.
fn published(name: &str, publish: &str) -> String {
    machine(name).replace("  vpc: lab\n", &format!("  vpc: lab\n  ports:\n  - {{port: 8080, publish: {publish}}}\n"))
}

/// What is served at this address of the host.
fn served(place: &str) -> String {
    run("curl", ["--silent", "--max-time", "3", &format!("http://{place}/")], "").stdout
}

fn until_served(place: &str, page: &str) {
    eventually(&format!("{place} to serve {page:?}"), || {
        let found = served(place);
        if found == page { Ok(()) } else { Err(found) }
    });
}

/// Where the Instance's port is published.
fn place(instance: &Value) -> String {
    instance["status"]["published"].as_str().expect("it is published").to_owned()
}

/// The host's own address towards the world.
fn host_address() -> String {
    let route = run("ip", ["-json", "route", "get", "192.0.2.1"], "").ok();
    let route: Value = serde_json::from_str(&route).expect("the way out");
    route[0]["prefsrc"].as_str().expect("an address").to_owned()
}

fn patch(cloud: &Cloud, name: &str, spec: &Value) {
    let patch = json!({"spec": spec}).to_string();
    let _ = cloud.cloudctl(&["patch", "inst", name, "--type=merge", "-p", &patch]).ok();
}

#[test]
fn a_virtual_machine_is_published_like_a_container() {
    let Some((mut cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    cloud.apply(&documents(&[IMAGE.to_owned(), vpc("lab"), published("vm", "{}")]));
    let vm = eventually_within(BOOT, "the machine to run", || {
        let vm = cloud.object("instances", "vm");
        if condition(&vm, "Ready")["status"] == "True" { Ok(vm) } else { Err(vm) }
    });
    assert_eq!(boots(&vm), 1);
    let inside = place(&vm);
    assert!(inside.starts_with("127.0.0.1:"), "{inside}");
    until_served(&inside, "vm\n");

    // To the world as well, without another machine; what somebody else has on the host stays theirs.
    let world = host_address();
    let taken = TcpListener::bind((world.as_str(), 0)).expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let ports = json!([{"port": 8080, "publish": {"port": port, "address": world}}]);
    patch(&cloud, "vm", &json!({"ports": ports}));
    let waiting = cloud.await_object("instances", "vm", "to say that its port is taken", |vm| {
        condition(vm, "Ready")["reason"] == "PortTaken"
    });
    let message = condition(&waiting, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(message, format!("TCP port {world}:{port} is taken by another process on the host."));
    assert_eq!(waiting["status"]["phase"], "Running");
    until_served(&inside, "vm\n");
    drop(taken);
    patch(&cloud, "vm", &json!({"ports": null}));
    patch(&cloud, "vm", &json!({"ports": ports}));
    let vm = cloud.await_object("instances", "vm", "to be published to the world", |vm| {
        vm["status"]["published"] == format!("{world}:{port}") && condition(vm, "Ready")["status"] == "True"
    });
    until_served(&place(&vm), "vm\n");
    assert_eq!(domain(&vm), domain(&waiting), "it is still the same machine");
    assert_eq!(served(&inside), "", "where it was");
    // As others on the network see it: from a network of the host's own that no cloud knows.
    let outside = Outside::new();
    eventually("the machine to be reached from outside", || outside.served(&place(&vm), "vm\n"));
    assert!(TcpListener::bind((world.as_str(), port)).is_err(), "nobody else gets the port");

    // It is reached while nothing of ours runs, and after that.
    cloud.kill();
    until_served(&place(&vm), "vm\n");
    cloud.launch();
    let vm = cloud.await_ready("instances", "vm");
    until_served(&place(&vm), "vm\n");
    eventually("the port to be kept again", || match TcpListener::bind((world.as_str(), port)) {
        Ok(_) => Err("it is free"),
        Err(_) => Ok(()),
    });

    // Groups apply to the world.
    cloud.apply(
        "apiVersion: thecloud.dev/v1alpha1\nkind: SecurityGroup\nmetadata:\n  name: closed\nspec:\n  vpc: lab\n  \
         selector: {}\n  ingress:\n  - {protocol: TCP, port: 22}\n",
    );
    cloud.await_ready("securitygroups", "closed");
    eventually("the group to keep the world out", || outside.served(&place(&vm), ""));
    let _ = cloud.cloudctl(&["delete", "sg", "closed"]).ok();
    eventually("the world to be let in again", || outside.served(&place(&vm), "vm\n"));

    // Nobody answers where nothing runs.
    patch(&cloud, "vm", &json!({"powerState": "Stopped"}));
    cloud.await_object("instances", "vm", "to be stopped", |vm| condition(vm, "Ready")["reason"] == "Stopped");
    eventually("the port to be free", || TcpListener::bind((world.as_str(), port)));

    let at = place(&vm);
    let _ = cloud.cloudctl(&["delete", "inst", "vm"]).ok();
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "lab"]).ok();
    assert_eq!(served(&at), "");
    eventually("nothing to be left", || {
        let left = cloud.leftovers();
        if left.is_empty() { Ok(()) } else { Err((left, virsh(&["list", "--all"]).stdout)) }
    });
}

/// A network of its own behind the host, as somebody in the world is. It goes when it is dropped.
struct Outside {
    namespace: String,
    link: String,
}

impl Outside {
    fn new() -> Self {
        let number = std::process::id();
        let (namespace, link) = (format!("tc-e2e-{number}"), format!("tce{number}"));
        let outside = Self { namespace: namespace.clone(), link: link.clone() };
        let peer = format!("{link}p");
        // A range for documentation, which nobody has.
        for command in [
            format!("ip netns add {namespace}"),
            format!("ip link add {link} type veth peer name {peer} netns {namespace}"),
            format!("ip addr add 198.51.100.1/30 dev {link}"),
            format!("ip link set {link} up"),
            format!("ip -n {namespace} addr add 198.51.100.2/30 dev {peer}"),
            format!("ip -n {namespace} link set {peer} up"),
            format!("ip -n {namespace} route add default via 198.51.100.1"),
        ] {
            let _ = run("sh", ["-c", &command], "").ok();
        }
        outside
    }

    /// Whether this page is served to it there; what is, if it isn't that one.
    fn served(&self, place: &str, page: &str) -> Result<(), String> {
        let url = format!("http://{place}/");
        let namespace = self.namespace.as_str();
        let found = run("ip", ["netns", "exec", namespace, "curl", "--silent", "--max-time", "2", &url], "").stdout;
        if found == page { Ok(()) } else { Err(found) }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        run("ip", ["link", "delete", &self.link], "");
        run("ip", ["netns", "delete", &self.namespace], "");
    }
}
