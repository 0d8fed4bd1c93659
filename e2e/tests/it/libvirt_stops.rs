//! libvirt goes away and comes back, and Docker, whose bridges the machines are at. Both daemons are the test's own.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use e2e::{Cloud, condition, eventually, eventually_within, run};
use serde_json::Value;

use crate::machine::{documents, vpc};
use crate::network::{ip, reaches, server, until};
use crate::own_docker::Daemon;
use crate::own_host::on_a_host_of_its_own;
use crate::own_libvirt::Libvirtd;
use crate::virtual_machine::{BOOT, IMAGE, SKIPPED, boots, builder, domain, machine, page};
use crate::virtual_network::{HEAD, place, scripted, served, until_served};

/// Lets in whom the group `clients` has, and nobody else.
const GROUPS: &str = "apiVersion: thecloud.dev/v1alpha1\nkind: SecurityGroup\nmetadata:\n  name: web\nspec:\n  vpc: lab\n  \
                      selector: {matchLabels: {role: web}}\n  ingress:\n  - {protocol: TCP, port: 8080, from: {securityGroup: clients}}\n\
                      ---\napiVersion: thecloud.dev/v1alpha1\nkind: SecurityGroup\nmetadata:\n  name: clients\nspec:\n  vpc: lab\n  \
                      selector: {matchLabels: {role: client}}\n";

/// The machine that the group `web` holds.
fn walled() -> String {
    machine("walled").replace("  name: walled\n", "  name: walled\n  labels: {role: web}\n")
}

/// The machine that is published, and visits whom it is told to.
fn asker() -> String {
    let visit = [HEAD, "timeout 3 wget -qO- http://$QUERY_STRING/ || echo nobody"];
    let yaml = scripted("asker", &[("visit", &visit)]);
    yaml.replace("  vpc: lab\n", "  vpc: lab\n  ports:\n  - {port: 8080, publish: {}}\n")
}

/// A service of the host that anybody on the host reaches. Returns its port.
fn serve_on_the_host() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhost\n");
        }
    });
    port
}

fn running(cloud: &Cloud, name: &str) -> Value {
    eventually_within(BOOT, &format!("{name} to be Ready"), || {
        let machine = cloud.object("instances", name);
        if condition(&machine, "Ready")["status"] == "True" { Ok(machine) } else { Err(machine) }
    })
}

fn restarts(instance: &Value) -> i64 {
    instance["status"]["restartCount"].as_i64().unwrap_or_default()
}

/// Everybody who tries to reach somebody.
struct Traffic {
    /// Containers: whom the group lets in, whom it doesn't, and one in another Vpc.
    client: String,
    neighbour: String,
    far: String,
    walled: String,
    asker: String,
    published: String,
    /// Where the machine in the other Vpc serves, and the host.
    stranger: String,
    host: String,
}

impl Traffic {
    fn of(cloud: &Cloud, host_port: u16) -> Self {
        let gateway = cloud.object("vpcs", "lab")["status"]["gateway"].as_str().expect("a gateway").to_owned();
        Self {
            client: cloud.container("client"),
            neighbour: cloud.container("neighbour"),
            far: cloud.container("far"),
            walled: ip(cloud, "walled"),
            asker: ip(cloud, "asker"),
            published: place(&cloud.object("instances", "asker")),
            stranger: format!("{}:80", ip(cloud, "far")),
            host: format!("{gateway}:{host_port}"),
        }
    }

    /// What the asking machine finds there.
    fn visited(&self, whom: &str) -> String {
        let url = format!("http://{}:8080/cgi-bin/visit?{whom}", self.asker);
        run("curl", ["--silent", "--max-time", "15", &url], "").stdout
    }

    fn until_visited(&self, whom: &str, said: &str, when: &str) {
        eventually(&format!("a visit to {whom} {when}"), || {
            let found = self.visited(whom);
            if found == said { Ok(()) } else { Err(found) }
        });
    }

    /// What works without any daemon: machines among each other, and with the world.
    fn holds_for_machines(&self, when: &str) {
        until_served(&self.published, "asker\n");
        self.until_visited("neighbour:80", "hello\n", when);
        self.until_visited("neighbour.default.cloud.internal:80", "hello\n", when);
        assert_eq!(served(&self.host), "host\n", "the host reaches its own service, {when}");
        // At once, because each is waited for: who is in a group of others, in another Vpc, and the host.
        let kept_from = ["walled:8080", &self.stranger, &self.host];
        let found = std::thread::scope(|scope| {
            let visits = kept_from.map(|whom| scope.spawn(move || self.visited(whom)));
            visits.map(|visit| visit.join().expect("a visit ends"))
        });
        assert_eq!(found, ["nobody\n"; 3], "what {kept_from:?} said, {when}");
    }

    /// That, and who asks from a container.
    fn holds(&self, cloud: &Cloud, when: &str) {
        self.holds_for_machines(when);
        until(&format!("who is let in, {when}"), || reaches(cloud, &self.client, &self.walled, "8080"));
        until(&format!("who is let in by name, {when}"), || reaches(cloud, &self.client, "walled", "8080"));
        assert!(!reaches(cloud, &self.neighbour, &self.walled, "8080"), "a container that is in no such group, {when}");
        assert!(!reaches(cloud, &self.far, &self.walled, "8080"), "a container in another Vpc, {when}");
        assert!(!reaches(cloud, &self.far, &self.asker, "8080"), "from another Vpc to no group, {when}");
    }
}

#[test]
fn machines_and_their_walls_outlive_libvirt_and_docker() {
    let Some((builder, _images)) = builder() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let test = "libvirt_stops::machines_and_their_walls_outlive_libvirt_and_docker";
    on_a_host_of_its_own(test, |namespace| {
        let mut docker = Daemon::start_in(namespace, "{\"live-restore\": true}");
        let mut libvirt = Libvirtd::start();
        let mut cloud = builder.docker(docker.docker()).libvirt(libvirt.libvirt()).start();
        cloud.apply(&documents(&[
            IMAGE.to_owned(),
            vpc("lab"),
            vpc("other"),
            GROUPS.to_owned(),
            walled(),
            asker(),
            machine("spare-0"),
            server("client", "lab", "client"),
            server("neighbour", "lab", "neighbour"),
            server("far", "other", "client"),
        ]));
        for name in ["client", "neighbour", "far", "spare-0"] {
            running(&cloud, name);
        }
        let before = ["asker", "walled"].map(|name| running(&cloud, name));
        assert_eq!(boots(&before[0]), 1);
        let traffic = Traffic::of(&cloud, serve_on_the_host());
        traffic.holds(&cloud, "at first");
        let processes = before.each_ref().map(|instance| libvirt.processes(&domain(instance)));
        assert!(processes.iter().all(|found| found.len() == 1), "{processes:?}");
        let undisturbed = |cloud: &Cloud, libvirt: &Libvirtd, when: &str| {
            for ((name, old), process) in ["asker", "walled"].iter().zip(&before).zip(&processes) {
                let new = running(cloud, name);
                assert_eq!((domain(&new), restarts(&new)), (domain(old), 0), "{name}, {when}");
                assert_eq!(libvirt.processes(&domain(&new)), *process, "{name}, {when}");
            }
        };

        for (round, end) in [Libvirtd::stop as fn(&mut Libvirtd), Libvirtd::kill].into_iter().enumerate() {
            libvirt_is_away(&cloud, &mut libvirt, end, round, &traffic);
            undisturbed(&cloud, &libvirt, "after libvirt was away");
        }
        for (end, when) in [(Daemon::stop as fn(&mut Daemon), "after a restart"), (Daemon::kill, "after a kill")] {
            end(&mut docker);
            traffic.holds_for_machines("while Docker is away");
            docker.launch();
            traffic.holds(&cloud, when);
            undisturbed(&cloud, &libvirt, when);
        }

        // libvirt's events are heard again: long before anybody looks by themselves.
        let pulled = Instant::now();
        let _ = libvirt.libvirt().virsh(&["destroy", &domain(&before[1])]).ok();
        cloud.await_object("instances", "walled", "to count a restart", |walled| restarts(walled) == 1);
        assert!(pulled.elapsed() < Duration::from_secs(30), "it took {:?}", pulled.elapsed());

        // It was the wall that kept the guest from the host.
        cloud.kill();
        let table = format!("thecloud_{}", &cloud.installation().replace('-', "")[..8]);
        let _ = run("nft", ["delete", "table", "inet", &table], "").ok();
        traffic.until_visited(&traffic.host, "host\n", "without a wall");
        cloud.launch();
        traffic.until_visited(&traffic.host, "nobody\n", "with the wall again");

        let _ = cloud.cloudctl(&["delete", "inst", "--all"]).ok();
        let _ = cloud.cloudctl(&["delete", "sg", "--all"]).ok();
        let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
        let _ = cloud.cloudctl(&["delete", "vpc", "--all"]).ok();
        eventually("nothing to be left", || {
            let left = cloud.leftovers();
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
    });
}

/// libvirt ends and is started again. In between, what needs it says so and waits; afterwards it comes about.
fn libvirt_is_away(cloud: &Cloud, libvirt: &mut Libvirtd, end: fn(&mut Libvirtd), round: usize, traffic: &Traffic) {
    let (doomed, late) = (format!("spare-{round}"), format!("spare-{}", round + 1));
    let gone = domain(&cloud.object("instances", &doomed));
    end(libvirt);
    let _ = cloud.cloudctl(&["delete", "inst", &doomed, "--wait=false"]).ok();
    cloud.apply(&machine(&late));
    for name in [&doomed, &late] {
        let waiting = cloud.await_object("instances", name, "to say that libvirt is away", |instance| {
            condition(instance, "Ready")["reason"] == "BackendUnavailable"
        });
        let message = condition(&waiting, "Ready")["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains("ibvirt at `qemu+unix:///system?socket="), "{message}");
        assert!(message.ends_with("start it on its host."), "{message}");
    }
    traffic.holds(cloud, "while libvirt is away");
    assert_eq!(libvirt.processes(&gone).len(), 1, "who is deleted waits");

    let back = Instant::now();
    libvirt.launch();
    running(cloud, &late);
    eventually("the deleted machine to go", || {
        let left = (cloud.object("instances", &doomed), libvirt.processes(&gone));
        if left.0.is_null() && left.1.is_empty() { Ok(()) } else { Err(left) }
    });
    eprintln!("libvirt back to all done: {:?}", back.elapsed());
    eventually("what is typed at the console to be done", || {
        let seen = cloud.cloudctl_for(4, &["console", "asker"], "\necho typed-$((40 + 2))\n");
        if seen.stdout.contains("typed-42") { Ok(()) } else { Err(seen) }
    });
    traffic.holds(cloud, "after libvirt was away");
    assert_eq!(page(&traffic.asker, ""), "asker\n");
}
