//! What passes between containers, the host and the world, by traffic: the packet filter over Docker's own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
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

/// Serves HTTP on port 80, and tells who asks.
const SERVE: &str = r#"
    mkdir -p /tmp/page/cgi-bin
    printf '#!/bin/sh\necho; echo "you are $REMOTE_ADDR"\n' > /tmp/page/cgi-bin/who
    chmod +x /tmp/page/cgi-bin/who
    exec httpd -f -p 80 -h /tmp/page
"#;

/// Half of the test's range, as a network of its own.
pub fn half(fixture: &Fixture, number: u32, name: &str) -> NetworkSpec {
    let owner = fixture.owner("Vpc", name, number);
    let half = fixture.range.subnets(25).expect("it has halves").nth(number as usize % 2).expect("one of two");
    let gateway = half.hosts().next().expect("an address");
    NetworkSpec { bridge: bridge_name(&owner), owner, cidr: half, gateway, internal: false }
}

/// A machine of a network that serves HTTP.
pub async fn serve(
    fixture: &Fixture,
    network: &NetworkSpec,
    name: &str,
    number: u32,
    host: usize,
) -> (MachineId, Ipv4Addr) {
    serve_at(fixture, network, name, number, host, None).await
}

async fn serve_at(
    fixture: &Fixture,
    network: &NetworkSpec,
    name: &str,
    number: u32,
    host: usize,
    publish: Option<Publish>,
) -> (MachineId, Ipv4Addr) {
    fixture.backend.networks.ensure(network).await.expect("the network is made");
    let mut spec = fixture.script(name, number, SERVE);
    let address = network.cidr.hosts().nth(host).expect("an address");
    spec.network =
        Some(NetworkAttachment { network: network.owner.uid, address, mac: None, aliases: dns_names(&spec.owner) });
    if publish.is_some() {
        spec.ports = vec![PortSpec { port: 80, protocol: Protocol::Tcp, publish }];
    }
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

fn tcp(port: u16, peer: AllowedPeer) -> Allowed {
    Allowed { traffic: Traffic::Tcp(port, port), peer }
}

#[tokio::test]
async fn networks_and_the_host_are_kept_apart_until_two_are_peers() {
    daemon::run(async |fixture| {
        let (left, right) = (half(fixture, 0x10, "left"), half(fixture, 0x11, "right"));
        let (one, one_at) = serve(fixture, &left, "one", 2, 10).await;
        let (two, two_at) = serve(fixture, &left, "two", 3, 11).await;
        let (other, other_at) = serve(fixture, &right, "other", 4, 10).await;
        until_served(fixture, &one, two_at).await;
        let host = TcpListener::bind("0.0.0.0:0").expect("a port of the host");
        let port = host.local_addr().expect("its address").port();
        // Each connection is closed at once: the client waits for that.
        std::thread::spawn(move || host.incoming().for_each(drop));
        assert!(comes_to_reach(fixture, &one, left.gateway, port).await, "without rules the host is reached");

        let mut rules = open_rules(&[(&left, &[one_at, two_at]), (&right, &[other_at])]);
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
        rules.peers.clear();
        enforce(fixture, &rules).await;
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
    daemon::run(async |fixture| {
        let network = half(fixture, 0x10, "main");
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
        let (left, right) = (half(fixture, 0x10, "left"), half(fixture, 0x11, "right"));
        let (client, client_at) = serve(fixture, &left, "client", 2, 10).await;
        // The gateway's address stands for any address of the host that isn't loopback.
        let publish = Publish { address: left.gateway.into(), port: fixture.port };
        let (_, server_at) = serve_at(fixture, &right, "server", 3, 10, Some(publish)).await;
        let mut plain = open_rules(&[(&left, &[client_at]), (&right, &[server_at])]);
        let server = plain.networks.get_mut(&right.owner.uid).and_then(|network| network.members.get_mut(&server_at));
        let port = PublishedPort { port: 80, protocol: Protocol::Tcp, publish };
        server.expect("it is in the rules").published.insert(port);
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
            let server =
                rules.networks.get_mut(&right.owner.uid).and_then(|network| network.members.get_mut(&server_at));
            let publish = Publish { address: address.into(), port: at };
            server.expect("it is in the rules").published.insert(PublishedPort {
                port: 80,
                protocol: Protocol::Tcp,
                publish,
            });
            enforce(fixture, &rules).await;
            let to = if address.is_unspecified() { left.gateway } else { address };
            assert!(!reaches(fixture, &client, to, at).await, "{address}:{at}");
        }
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
