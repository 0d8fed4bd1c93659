//! Virtual machines in their network: published where anybody looks for them, found by name, kept to their groups.

use std::net::TcpListener;

use e2e::{Cloud, condition, eventually, eventually_within, run, virsh};
use serde_json::{Value, json};

use crate::machine::{documents, sleeper, vpc};
use crate::virtual_machine::{BOOT, IMAGE, SKIPPED, boots, cloud, domain, machine, page};

/// The virtual machine with a port that is published as this says.
pub(crate) fn published(name: &str, publish: &str) -> String {
    machine(name).replace("  vpc: lab\n", &format!("  vpc: lab\n  ports:\n  - {{port: 8080, publish: {publish}}}\n"))
}

/// What is served at this address of the host.
pub(crate) fn served(place: &str) -> String {
    run("curl", ["--silent", "--max-time", "3", &format!("http://{place}/")], "").stdout
}

pub(crate) fn until_served(place: &str, page: &str) {
    eventually(&format!("{place} to serve {page:?}"), || {
        let found = served(place);
        if found == page { Ok(()) } else { Err(found) }
    });
}

/// Where the Instance's port is published.
pub(crate) fn place(instance: &Value) -> String {
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
    // A way in is opened by publishing, also where there is none out.
    let inside = vpc("lab").replace("spec: {}", "spec: {internal: true}");
    cloud.apply(&documents(&[IMAGE.to_owned(), inside, published("vm", "{}")]));
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
    // A wish that has to wait takes nothing away.
    let internal = |internal: bool| {
        let patch = json!({"spec": {"internal": internal}}).to_string();
        let _ = cloud.cloudctl(&["patch", "vpc", "lab", "--type=merge", "-p", &patch]).ok();
    };
    internal(false);
    cloud.await_object("vpcs", "lab", "to wait until nobody is in it", |lab| {
        condition(lab, "Ready")["reason"] == "InUse"
    });
    eventually("the machine to be reached all the same", || outside.served(&place(&vm), "vm\n"));
    internal(true);
    cloud.await_ready("vpcs", "lab");
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

/// A container that serves its name.
pub(crate) const SERVES: &str = "vpc: lab\ncommand: [sh, -c, \"mkdir -p /tmp/www; hostname > /tmp/www/index.html; exec httpd -f -p \
                      8080 -h /tmp/www\"]";

/// The virtual machine with programs that it runs for whoever asks for `cgi-bin/NAME?WORD`.
pub(crate) fn scripted(name: &str, programs: &[(&str, &[&str])]) -> String {
    let write = |(program, lines): &(&str, &[&str])| {
        let lines: Vec<String> = lines.iter().map(|line| format!("'{line}'")).collect();
        let path = format!("/www/cgi-bin/{program}");
        format!("        - printf '%s\\n' '#!/bin/sh' {} > {path}\n        - chmod 755 {path}\n", lines.join(" "))
    };
    let programs: String = programs.iter().map(write).collect();
    let folders = "        - mkdir -p /www\n";
    machine(name).replace(folders, &format!("{folders}        - mkdir -p /www/cgi-bin\n{programs}"))
}

/// How a program begins what it says.
pub(crate) const HEAD: &str = "echo Content-type: text/plain; echo";

/// The virtual machine, which claims to be others when it is asked to.
fn rogue(name: &str) -> String {
    let done = format!("{HEAD}; echo done");
    let claim = [
        "(ip addr add $QUERY_STRING/32 dev eth0; arping -U -c 2 -w 3 -I eth0 -s $QUERY_STRING $QUERY_STRING",
        "ip addr del $QUERY_STRING/32 dev eth0) > /dev/null 2>&1",
        &done,
    ];
    let turn_into = [
        "old=$(cat /sys/class/net/eth0/address)",
        "(ip link set eth0 down; ip link set eth0 address ${QUERY_STRING%,*}; ip link set eth0 up",
        "ip addr add ${QUERY_STRING#*,}/32 dev eth0",
        "arping -U -c 2 -w 3 -I eth0 -s ${QUERY_STRING#*,} ${QUERY_STRING#*,}",
        "ip addr del ${QUERY_STRING#*,}/32 dev eth0; ip link set eth0 down; ip link set eth0 address $old; ip link set eth0 up) > /dev/null 2>&1",
        &done,
    ];
    scripted(name, &[("claim", &claim), ("become", &turn_into)])
}

/// The hardware address that a container believes this address to have.
fn believed(cloud: &Cloud, container: &str, address: &str) -> String {
    let seen = cloud.docker().call(&["exec", container, "sh", "-c", &format!("grep '^{address} ' /proc/net/arp")]);
    seen.stdout.split_whitespace().nth(3).unwrap_or_default().to_owned()
}

/// The ports of the bridge where this hardware address was seen.
fn seen_at(hardware: &str) -> Vec<String> {
    let table = run("bridge", ["-json", "fdb", "show"], "").ok();
    let table: Value = serde_json::from_str(&table).expect("the bridge's memory");
    let entries = table.as_array().into_iter().flatten().filter(|entry| entry["mac"] == hardware);
    entries.filter_map(|entry| entry["ifname"].as_str().map(str::to_owned)).collect()
}

#[test]
fn nobody_is_taken_for_another() {
    let Some((mut cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    cloud.apply(&documents(&[
        IMAGE.to_owned(),
        vpc("lab"),
        rogue("rogue"),
        sleeper("victim", SERVES),
        sleeper("witness", "vpc: lab"),
    ]));
    let rogue = eventually_within(BOOT, "the machine to run", || {
        let rogue = cloud.object("instances", "rogue");
        if condition(&rogue, "Ready")["status"] == "True" { Ok(rogue) } else { Err(rogue) }
    });
    boots(&rogue);
    let (own, witness) = (rogue["status"]["ip"].as_str().expect("an address").to_owned(), cloud.container("witness"));
    let victim = cloud.await_ready("instances", "victim")["status"]["ip"].as_str().expect("an address").to_owned();
    let mac = |address: &str| {
        let octets = address.split('.').map(|octet| format!("{:02x}", octet.parse::<u8>().expect("an octet")));
        format!("02:42:{}", octets.collect::<Vec<_>>().join(":"))
    };
    let ask = |script: &str, query: &str| page(&own, &format!("cgi-bin/{script}?{query}"));
    let meet = |cloud: &Cloud, name: &str| {
        eventually(&format!("{name} to be met"), || {
            let url = format!("http://{name}:8080/");
            let met = cloud.docker().call(&["exec", &witness, "timeout", "3", "wget", "-qO-", &url]);
            if met.stdout == format!("{name}\n") { Ok(()) } else { Err(met) }
        });
    };
    // A container finds both kinds by name.
    meet(&cloud, "rogue");
    meet(&cloud, "victim");
    assert_eq!(believed(&cloud, &witness, &victim), mac(&victim));

    // What the machine claims is believed, where nothing pins it to its port.
    let table = format!("thecloud_{}", &cloud.installation().replace('-', "")[..8]);
    let _ = run("nft", ["delete", "table", "bridge", &table], "").ok();
    eventually("an unpinned machine to be believed", || {
        let _ = ask("claim", &victim);
        let found = believed(&cloud, &witness, &victim);
        if found == mac(&own) { Ok(()) } else { Err(found) }
    });

    eventually("the bridge to take an unpinned machine for the victim", || {
        let _ = ask("become", &format!("{},{victim}", mac(&victim)));
        let places = seen_at(&mac(&victim));
        if places.iter().any(|place| place.starts_with("tcv")) { Ok(()) } else { Err(places) }
    });

    // It is put back, and then nobody believes it any more: neither with its own hardware address nor with the other's.
    cloud.kill();
    cloud.launch();
    eventually("the pins to be back", || {
        let listed = run("nft", ["list", "table", "bridge", &table], "");
        if listed.code == 0 { Ok(()) } else { Err(listed.stderr) }
    });
    eventually("the witness to know better", || {
        let _ = cloud.docker().call(&["exec", &witness, "timeout", "3", "wget", "-qO-", "http://victim:8080/"]);
        let found = believed(&cloud, &witness, &victim);
        if found == mac(&victim) { Ok(()) } else { Err(found) }
    });
    assert_eq!(ask("claim", &victim), "done\n");
    assert_eq!(believed(&cloud, &witness, &victim), mac(&victim));
    eventually("the victim to be where it is", || {
        meet(&cloud, "victim");
        let places = seen_at(&mac(&victim));
        if places.iter().any(|place| place.starts_with("tcv")) { Err(places) } else { Ok(()) }
    });
    let places = seen_at(&mac(&victim));
    let _ = ask("become", &format!("{},{victim}", mac(&victim)));
    eventually("the machine to be itself again", || {
        let answer = page(&own, "");
        if answer == "rogue\n" { Ok(()) } else { Err(answer) }
    });
    assert_eq!(seen_at(&mac(&victim)), places, "the bridge has not learned that the machine is the victim");
    meet(&cloud, "victim");
    let _ = cloud.cloudctl(&["delete", "inst", "rogue", "victim", "witness"]).ok();
}

#[test]
fn a_guest_finds_containers_and_guests_by_name_and_is_kept_to_its_groups() {
    let Some((cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    // Not wget's own time limit, with which this busybox fails.
    let visit = [HEAD, "timeout 5 wget -qO- http://$QUERY_STRING:8080/ || echo nobody"];
    let all = [
        IMAGE.to_owned(),
        vpc("lab"),
        vpc("other"),
        scripted("asker", &[("visit", &visit)]),
        machine("guest"),
        sleeper("box", SERVES),
        sleeper("stranger", &SERVES.replace("lab", "other")),
    ];
    cloud.apply(&documents(&all));
    let running = |name: &str| {
        eventually_within(BOOT, "the machine to run", || {
            let machine = cloud.object("instances", name);
            if condition(&machine, "Ready")["status"] == "True" { Ok(machine) } else { Err(machine) }
        })
    };
    let (asker, guest) = (running("asker"), running("guest"));
    running("box");
    let stranger = running("stranger")["status"]["ip"].as_str().expect("an address").to_owned();
    boots(&asker);
    boots(&guest);
    let own = asker["status"]["ip"].as_str().expect("an address");
    let visited = |whom: &str| {
        let url = format!("http://{own}:8080/cgi-bin/visit?{whom}");
        run("curl", ["--silent", "--max-time", "15", &url], "").stdout
    };
    let meets = |whom: &str, who: &str| {
        eventually(&format!("{whom} to be met"), || {
            let met = visited(whom);
            if met == format!("{who}\n") { Ok(()) } else { Err(met) }
        });
    };
    for name in ["box", "guest"] {
        meets(name, name);
        meets(&format!("{name}.default.cloud.internal"), name);
    }
    assert_eq!(visited("stranger"), "nobody\n", "the name of another Vpc");
    assert_eq!(visited(&stranger), "nobody\n", "an address in another Vpc");

    // From guest to guest through a bridge of the host, which the packet filter sees as well.
    cloud.apply(
        "apiVersion: thecloud.dev/v1alpha1\nkind: SecurityGroup\nmetadata:\n  name: closed\nspec:\n  vpc: lab\n  \
         selector: {matchLabels: {role: closed}}\n  ingress:\n  - {protocol: TCP, port: 22}\n",
    );
    cloud.await_ready("securitygroups", "closed");
    let _ = cloud.cloudctl(&["label", "inst", "guest", "role=closed"]).ok();
    meets("guest", "nobody");
    meets("box", "box");
    let _ = cloud.cloudctl(&["delete", "sg", "closed"]).ok();
    meets("guest", "guest");
    let _ = cloud.cloudctl(&["delete", "inst", "asker", "guest", "box", "stranger"]).ok();
}
