//! What passes between containers, the host and the world, by traffic: the packet filter over Docker's own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use controller_backend::conformance::Fixture;
use controller_backend::{
    Allowed, AllowedPeer, Group, GuardedNetwork, MachineId, Member, NetworkAttachment, NetworkSpec, PortSpec, Protocol,
    Publish, PublishedPort, Rules, Traffic, bridge_name, dns_names,
};
use ipnet::Ipv4Net;
use uuid::Uuid;

use crate::daemon;
use crate::machines::shell;
use crate::standing::{Outside, Place};

/// Serves HTTP on port 80, and tells who asks.
const SERVE: &str = r#"
    mkdir -p /tmp/page/cgi-bin
    printf '#!/bin/sh\necho; echo "you are $REMOTE_ADDR"\n' > /tmp/page/cgi-bin/who
    chmod +x /tmp/page/cgi-bin/who
    exec httpd -f -p 80 -h /tmp/page
"#;

/// Half of the test's range, as a network of its own.
pub fn part(fixture: &Fixture, number: u32, name: &str) -> NetworkSpec {
    let owner = fixture.owner("Vpc", name, number);
    let part = fixture.range.subnets(26).expect("it has quarters").nth(number as usize % 4).expect("one of four");
    let gateway = part.hosts().next().expect("an address");
    NetworkSpec { bridge: bridge_name(&owner), owner, cidr: part, gateway, internal: false }
}

/// A machine of a network that serves HTTP.
pub async fn serve(
    fixture: &Fixture,
    network: &NetworkSpec,
    name: &str,
    number: u32,
    host: usize,
) -> (MachineId, Ipv4Addr) {
    serve_at(fixture, network, name, number, host, &[]).await
}

async fn serve_at(
    fixture: &Fixture,
    network: &NetworkSpec,
    name: &str,
    number: u32,
    host: usize,
    published: &[PublishedPort],
) -> (MachineId, Ipv4Addr) {
    fixture.backend.networks.ensure(network).await.expect("the network is made");
    let mut spec = fixture.script(name, number, SERVE);
    let address = network.cidr.hosts().nth(host).expect("an address");
    spec.network =
        Some(NetworkAttachment { network: network.owner.uid, address, mac: None, aliases: dns_names(&spec.owner) });
    let port = |of: &PublishedPort| PortSpec { port: of.port, protocol: of.protocol, publish: Some(of.publish) };
    spec.ports = published.iter().map(port).collect();
    (fixture.start(&spec).await, address)
}

/// These networks with these machines, in no groups.
pub fn open_rules(networks: &[(&NetworkSpec, &[Ipv4Addr])]) -> Rules {
    let guarded = |spec: &NetworkSpec, members: &[Ipv4Addr]| GuardedNetwork {
        bridge: spec.bridge.clone(),
        gateway: spec.gateway,
        internal: spec.internal,
        members: members.iter().map(|address| (*address, Member::default())).collect(),
    };
    let networks: BTreeMap<Uuid, GuardedNetwork> =
        networks.iter().map(|(spec, members)| (spec.owner.uid, guarded(spec, members))).collect();
    Rules { networks, ..Rules::default() }
}

pub async fn enforce(fixture: &Fixture, rules: &Rules) {
    let firewall = &fixture.backend.firewall;
    firewall.apply(rules).await.expect("the rules are taken");
    assert!(firewall.holds(rules).await.expect("the rules are read"), "what was put in force is in force");
}

/// Whether a connection to this port comes about.
async fn reaches(fixture: &Fixture, from: &MachineId, to: impl Into<IpAddr>, port: u16) -> bool {
    let (code, _) = shell(fixture, from, &format!("nc -w 1 {} {port} < /dev/null > /dev/null", to.into())).await;
    code == 0
}

/// The same, with patience: a busy server may take its time to answer.
async fn comes_to_reach(fixture: &Fixture, from: &MachineId, to: impl Into<IpAddr>, port: u16) -> bool {
    let to = to.into();
    for _ in 0..10 {
        if reaches(fixture, from, to, port).await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

/// Waits until the machine serves, without any rule in the way.
async fn until_served(fixture: &Fixture, from: &MachineId, to: Ipv4Addr) {
    for _ in 0..50 {
        if reaches(fixture, from, to, 80).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{to} never served");
}

fn add_to_group(rules: &mut Rules, network: &NetworkSpec, member: Ipv4Addr, uid: Uuid, group: &Group) {
    rules.groups.entry(uid).or_insert_with(|| group.clone()).members.insert(member);
    let network = rules.networks.get_mut(&network.owner.uid).expect("a network of these rules");
    network.members.entry(member).or_default().groups.insert(uid);
}

fn publish(rules: &mut Rules, network: &NetworkSpec, member: Ipv4Addr, ports: &[PublishedPort]) {
    let network = rules.networks.get_mut(&network.owner.uid).expect("a network of these rules");
    network.members.entry(member).or_default().published.extend(ports);
}

fn published(protocol: Protocol, port: u16, address: impl Into<IpAddr>, at: u16) -> PublishedPort {
    PublishedPort { port, protocol, publish: Publish { address: address.into(), port: at } }
}

fn tcp(port: u16, peer: AllowedPeer) -> Allowed {
    Allowed { traffic: Traffic::Tcp(port, port), peer }
}

#[tokio::test]
async fn networks_and_the_host_are_kept_apart_until_two_are_peers() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let (left, right) = (part(fixture, 0x10, "left"), part(fixture, 0x11, "right"));
        let (one, one_at) = serve(fixture, &left, "one", 2, 10).await;
        let (two, two_at) = serve(fixture, &left, "two", 3, 11).await;
        let (other, other_at) = serve(fixture, &right, "other", 4, 10).await;
        let far = part(fixture, 0x12, "far");
        let (stranger, stranger_at) = serve(fixture, &far, "stranger", 5, 10).await;
        until_served(fixture, &one, two_at).await;
        let host = TcpListener::bind("0.0.0.0:0").expect("a port of the host");
        let port = host.local_addr().expect("its address").port();
        // Each connection is closed at once: the client waits for that.
        std::thread::spawn(move || host.incoming().for_each(drop));
        assert!(comes_to_reach(fixture, &one, left.gateway, port).await, "without rules the host is reached");

        let mut rules = open_rules(&[(&left, &[one_at, two_at]), (&right, &[other_at]), (&far, &[stranger_at])]);
        enforce(fixture, &rules).await;
        assert!(comes_to_reach(fixture, &one, two_at, 80).await, "inside a network everything passes");
        assert!(!reaches(fixture, &one, other_at, 80).await, "another network isn't reached");
        assert!(!reaches(fixture, &one, left.gateway, port).await, "the host isn't reached");
        assert!(!reaches(fixture, &one, right.gateway, port).await, "nor by its address in another network");
        assert!(tokio::net::TcpStream::connect((one_at, 80)).await.is_ok(), "the host reaches machines");

        rules.peers.insert((left.owner.uid, right.owner.uid));
        enforce(fixture, &rules).await;
        assert!(comes_to_reach(fixture, &one, other_at, 80).await, "peers reach each other");
        assert!(comes_to_reach(fixture, &other, two_at, 80).await, "both ways");
        let ask = format!("printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | nc -w 1 {other_at} 80");
        let (_, answer) = shell(fixture, &one, &ask).await;
        assert!(answer.contains(&format!("{one_at}]")), "a peer is seen under its own address: {answer}");
        for (from, to) in [(&one, stranger_at), (&other, stranger_at), (&stranger, one_at), (&stranger, other_at)] {
            assert!(!reaches(fixture, from, to, 80).await, "a third network stays closed: {to}");
        }

        // What Docker was told is seen to be gone, and told again.
        let mark = format!("0x7c{}", &fixture.installation.simple().to_string()[..6]);
        let rule = ["-w", "-D", "DOCKER-USER", "-m", "mark", "--mark", &mark, "-j", "ACCEPT"];
        assert!(Command::new("iptables").args(rule).status().expect("iptables runs").success());
        assert!(!reaches(fixture, &one, other_at, 80).await, "Docker keeps its networks apart");
        assert!(!fixture.backend.firewall.holds(&rules).await.expect("the rules are read"));
        enforce(fixture, &rules).await;
        assert!(comes_to_reach(fixture, &one, other_at, 80).await, "the rule is back");

        // A connection that goes on is cut the moment that they are peers no more.
        let [here, there] = [Place::of(&world.docker, &one).await, Place::of(&world.docker, &other).await];
        let mut talk = here.talk_to(&there, other_at, 9000);
        assert!(talk.goes_on());
        rules.peers.clear();
        enforce(fixture, &rules).await;
        assert!(!talk.goes_on(), "nothing more is heard");
        assert!(!reaches(fixture, &one, other_at, 80).await, "what was a peer isn't reached any more");

        // Whoever has an address that was not given to it is not heard.
        let rules = open_rules(&[(&left, &[one_at]), (&right, &[other_at])]);
        enforce(fixture, &rules).await;
        assert!(!reaches(fixture, &one, two_at, 80).await);
        assert!(!reaches(fixture, &two, one_at, 80).await);
    })
    .await;
}

#[tokio::test]
async fn machines_of_a_group_are_reached_as_its_rules_allow_and_no_longer() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let network = part(fixture, 0x10, "main");
        let (server, server_at) = serve(fixture, &network, "server", 2, 10).await;
        let (client, client_at) = serve(fixture, &network, "client", 3, 11).await;
        let (admin, admin_at) = serve(fixture, &network, "admin", 4, 12).await;
        until_served(fixture, &client, server_at).await;
        let listen = "for port in 22 9000; do (while true; do nc -l -p $port >> /tmp/got; done) & done";
        shell(fixture, &server, listen).await;

        let (web, admins) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let ingress = vec![
            tcp(80, AllowedPeer::Anyone),
            tcp(22, AllowedPeer::Group(admins)),
            tcp(9000, AllowedPeer::Range(Ipv4Net::new(client_at, 32).expect("one address"))),
        ];
        let group = Group { ingress, ..Group::default() };
        let plain = open_rules(&[(&network, &[server_at, client_at, admin_at])]);
        let mut rules = plain.clone();
        add_to_group(&mut rules, &network, server_at, web, &group);
        rules.groups.entry(admins).or_default().members.insert(admin_at);
        enforce(fixture, &rules).await;
        assert!(comes_to_reach(fixture, &client, server_at, 80).await, "what is open to all");
        assert!(!reaches(fixture, &client, server_at, 22).await, "what is open to a group only");
        assert!(comes_to_reach(fixture, &admin, server_at, 22).await, "that group");
        assert!(!reaches(fixture, &admin, server_at, 9000).await, "what is open to an address only");
        assert!(
            comes_to_reach(fixture, &server, client_at, 80).await,
            "what the member begins itself, with its answers"
        );

        // A connection that goes on is cut the moment that no rule allows it any more.
        let talk = format!("(while true; do echo word; sleep 0.1; done) | nc {server_at} 9000 > /dev/null 2>&1 &");
        shell(fixture, &client, &talk).await;
        let heard = async || shell(fixture, &server, "wc -c < /tmp/got").await.1.trim().parse::<u64>().unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(heard().await > 0, "the server hears the client");
        let mut rules = plain.clone();
        let group = Group { ingress: vec![tcp(80, AllowedPeer::Anyone)], ..Group::default() };
        add_to_group(&mut rules, &network, server_at, web, &group);
        enforce(fixture, &rules).await;
        let then = heard().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(heard().await, then, "nothing more is heard");

        // Each rule speaks of one protocol, and of its ports.
        let [client_place, server_place] =
            [Place::of(&world.docker, &client).await, Place::of(&world.docker, &server).await];
        server_place.echo(5000);
        server_place.echo(5001);
        assert!(!client_place.hears_echo(server_at, 5000) && !client_place.pings(server_at), "only TCP is allowed");
        let mut rules = plain.clone();
        let [udp, icmp] =
            [Traffic::Udp(5000, 5000), Traffic::Icmp].map(|traffic| Allowed { traffic, peer: AllowedPeer::Anyone });
        let group = Group { ingress: vec![udp, icmp], ..Group::default() };
        add_to_group(&mut rules, &network, server_at, web, &group);
        enforce(fixture, &rules).await;
        assert!(client_place.hears_echo(server_at, 5000), "UDP to the port that is allowed");
        assert!(!client_place.hears_echo(server_at, 5001), "UDP to another port");
        assert!(client_place.pings(server_at), "ICMP");
        assert!(!client_place.reaches(server_at, 80), "TCP is allowed no more");

        // What a member may reach is bounded once a group says anything about it.
        let mut rules = plain.clone();
        let group = Group {
            ingress: vec![tcp(80, AllowedPeer::Anyone)],
            egress: vec![tcp(80, AllowedPeer::Range(Ipv4Net::new(client_at, 32).expect("one address")))],
            ..Group::default()
        };
        add_to_group(&mut rules, &network, server_at, web, &group);
        enforce(fixture, &rules).await;
        assert!(comes_to_reach(fixture, &server, client_at, 80).await);
        assert!(!reaches(fixture, &server, admin_at, 80).await);
        assert!(comes_to_reach(fixture, &admin, server_at, 80).await, "answers pass whatever the member may reach");
    })
    .await;
}

#[tokio::test]
async fn published_port_is_reached_from_other_networks_unless_a_group_refuses() {
    daemon::run(async |fixture| {
        let (left, right) = (part(fixture, 0x10, "left"), part(fixture, 0x11, "right"));
        let (client, client_at) = serve(fixture, &left, "client", 2, 10).await;
        // The gateway's address stands for any address of the host that isn't loopback.
        let port = published(Protocol::Tcp, 80, left.gateway, fixture.port);
        let (_, server_at) = serve_at(fixture, &right, "server", 3, 10, &[port]).await;
        let mut plain = open_rules(&[(&left, &[client_at]), (&right, &[server_at])]);
        publish(&mut plain, &right, server_at, &[port]);
        enforce(fixture, &plain).await;
        until_open(fixture, &client, left.gateway).await;
        assert!(!reaches(fixture, &client, server_at, 80).await, "its own address isn't");

        let mut rules = plain.clone();
        add_to_group(&mut rules, &right, server_at, Uuid::from_u128(1), &Group::default());
        enforce(fixture, &rules).await;
        assert!(!reaches(fixture, &client, left.gateway, fixture.port).await, "a group lets nothing in by itself");

        // Whatever a machine says that it publishes, it gets nothing that others send elsewhere: not to an address that
        // isn't the host's, nor to who answers for names.
        let elsewhere = Ipv4Addr::new(192, 0, 2, 1);
        for (address, at) in [(elsewhere, fixture.port), (left.gateway, 53), (Ipv4Addr::UNSPECIFIED, 53)] {
            let mut rules = open_rules(&[(&left, &[client_at]), (&right, &[server_at])]);
            publish(&mut rules, &right, server_at, &[published(Protocol::Tcp, 80, address, at)]);
            enforce(fixture, &rules).await;
            let to = if address.is_unspecified() { left.gateway } else { address };
            assert!(!reaches(fixture, &client, to, at).await, "{address}:{at}");
        }
    })
    .await;
}

#[tokio::test]
async fn internal_network_has_no_way_out_but_answers_where_it_publishes() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let outside = Outside::new(world).await;
        outside.place.accept(53);
        outside.place.accept(80);
        let inside = NetworkSpec { internal: true, ..part(fixture, 0x10, "inside") };
        let near = part(fixture, 0x11, "near");
        let web = published(Protocol::Tcp, 80, outside.host, fixture.port);
        let udp = published(Protocol::Udp, 5000, outside.host, fixture.port);
        let (server, server_at) = serve_at(fixture, &inside, "server", 2, 10, &[web, udp]).await;
        let (_, neighbour_at) = serve(fixture, &inside, "neighbour", 3, 11).await;
        let elsewhere = published(Protocol::Tcp, 80, outside.host, daemon::free_port());
        let (client, client_at) = serve_at(fixture, &near, "client", 4, 10, &[elsewhere]).await;
        let [server, client] = [Place::of(&world.docker, &server).await, Place::of(&world.docker, &client).await];
        server.echo(5000);
        let host = TcpListener::bind("0.0.0.0:0").expect("a port of the host");
        let port = host.local_addr().expect("its address").port();
        std::thread::spawn(move || host.incoming().for_each(drop));

        // It is the filter that keeps it in, and nothing else.
        let mut rules = open_rules(&[(&inside, &[server_at, neighbour_at]), (&near, &[client_at])]);
        publish(&mut rules, &inside, server_at, &[web, udp]);
        publish(&mut rules, &near, client_at, &[elsewhere]);
        let mut open = rules.clone();
        open.networks.get_mut(&inside.owner.uid).expect("the network").internal = false;
        enforce(fixture, &open).await;
        assert!(server.comes_to_reach(outside.address, 80), "the world");
        assert!(server.comes_to_reach(outside.host, elsewhere.publish.port), "what another network publishes");
        assert!(server.comes_to_reach(outside.link_local, 53), "who may be asked for names");
        assert!(!server.reaches(outside.link_local, 80), "where a cloud tells the host its secrets");

        enforce(fixture, &rules).await;
        assert!(server.comes_to_reach(neighbour_at, 80), "its machines reach each other");
        for (to, port, what) in [
            (outside.address, 80, "the world"),
            (outside.link_local, 53, "who is asked for names"),
            (outside.host, elsewhere.publish.port, "what another network publishes"),
            (client_at, 80, "another network"),
            (inside.gateway, port, "the host"),
            (outside.host, port, "the host in the world"),
        ] {
            assert!(!server.reaches(to, port), "{what}");
        }
        let own = fixture.port;
        assert!(outside.place.comes_to_reach(outside.host, own), "the world reaches what is published");
        let seen = outside.place.is_seen_as(outside.host, own);
        assert!(seen.contains(&format!("{}]", outside.address)), "it is seen who asks: {seen}");
        assert!(outside.place.hears_echo(outside.host, own), "by UDP, too");
        assert!(client.comes_to_reach(outside.host, own), "and so does a machine of another network");
        assert!(TcpStream::connect((outside.host, own)).is_ok(), "and the host");
    })
    .await;
}

async fn until_open(fixture: &Fixture, from: &MachineId, to: Ipv4Addr) {
    for _ in 0..30 {
        if reaches(fixture, from, to, fixture.port).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{to}:{} was never reached", fixture.port);
}
