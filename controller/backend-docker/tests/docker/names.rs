//! Names inside containers: Docker's own resolver before the network's name server, both behind the packet filter.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use controller_backend::conformance::Fixture;
use controller_backend::{Error, MachineId, NetworkSpec, Owner, Zone, Zones, dns_names};
use tokio::net::UdpSocket;

use crate::daemon;
use crate::firewall::{enforce, open_rules, part, serve};
use crate::machines::shell;

/// What the world says of each of its names.
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// A resolver that knows one address for every name.
async fn world() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let message = buffer.get(..length).unwrap_or_default();
            // The question ends with its type and class, after the empty label.
            let Some(end) = message.iter().skip(12).position(|byte| *byte == 0).map(|place| 12 + place + 5) else {
                continue;
            };
            let mut answer = message[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend(&message[12..end]);
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
            answer.extend(FAR.octets());
            let _ = socket.send_to(&answer, from).await;
        }
    });
    address
}

/// The address that a container finds for a name, if any, by its own resolver or at `server`.
async fn lookup(fixture: &Fixture, from: &MachineId, name: &str, server: &str) -> Option<Ipv4Addr> {
    let (_, text) = shell(fixture, from, &format!("nslookup -type=a {name} {server}")).await;
    let (_, answer) = text.split_once("Name:")?;
    answer.split_once("Address: ")?.1.split_whitespace().next()?.parse().ok()
}

fn zone(network: &NetworkSpec, hosts: &[(Ipv4Addr, Owner)]) -> Zone {
    Zone {
        gateway: network.gateway,
        range: network.cidr,
        forwards: !network.internal,
        hosts: hosts.iter().map(|(address, owner)| (*address, dns_names(owner))).collect(),
    }
}

#[tokio::test]
async fn machines_are_found_by_name_inside_their_network_and_the_world_where_there_is_a_way_out() {
    daemon::run(async |fixture| {
        let left = part(fixture, 0x10, "left");
        let right = NetworkSpec { internal: true, ..part(fixture, 0x11, "right") };
        let (client, client_at) = serve(fixture, &left, "client", 2, 10).await;
        let (_, server_at) = serve(fixture, &left, "server", 3, 11).await;
        let (inside, inside_at) = serve(fixture, &right, "inside", 4, 10).await;
        let (_, hidden_at) = serve(fixture, &right, "hidden", 5, 11).await;
        // No container: only the name server knows them.
        let (guest_at, cellar_at) =
            (left.cidr.hosts().nth(20).expect("an address"), right.cidr.hosts().nth(20).expect("an address"));
        enforce(fixture, &open_rules(&[(&left, &[client_at, server_at]), (&right, &[inside_at, hidden_at])])).await;

        let owner = |name: &str, number| fixture.owner("Instance", name, number);
        let zones = Zones {
            networks: BTreeMap::from([
                (left.owner.uid, zone(&left, &[(server_at, owner("server", 3)), (guest_at, owner("guest", 6))])),
                (right.owner.uid, zone(&right, &[(hidden_at, owner("hidden", 5)), (cellar_at, owner("cellar", 7))])),
            ]),
        };
        let names = controller_backend_host::names_with_resolvers(vec![world().await]);
        names.serve(&zones).await.expect("the names are served");

        for name in ["server", "server.conformance.cloud.internal", "server.instance.conformance.cloud.internal"] {
            assert_eq!(lookup(fixture, &client, name, "").await, Some(server_at), "{name}");
            assert_eq!(lookup(fixture, &client, name, &left.gateway.to_string()).await, Some(server_at), "{name}");
            assert_eq!(lookup(fixture, &inside, name, "").await, None, "{name} is in another network");
        }
        for name in ["guest", "guest.conformance.cloud.internal"] {
            assert_eq!(lookup(fixture, &client, name, "").await, Some(guest_at), "{name}");
        }
        assert_eq!(lookup(fixture, &client, "hidden.conformance.cloud.internal", "").await, None, "another network's");
        assert_eq!(lookup(fixture, &client, "example.com", "").await, Some(FAR), "the world");

        assert_eq!(lookup(fixture, &inside, "hidden.conformance.cloud.internal", "").await, Some(hidden_at));
        assert_eq!(lookup(fixture, &inside, "cellar.conformance.cloud.internal", "").await, Some(cellar_at));
        assert_eq!(lookup(fixture, &inside, "example.com", "").await, None, "there is no way out");
        assert_eq!(lookup(fixture, &inside, "example.com", &left.gateway.to_string()).await, None, "nor by another's");
        assert_eq!(
            lookup(fixture, &client, "hidden", &right.gateway.to_string()).await,
            None,
            "nobody else's is asked"
        );

        // What is served is what was said last; a network that isn't there yet holds up no other.
        let mut zones = zones;
        zones.networks.remove(&right.owner.uid);
        let moved = zone(&left, &[(guest_at, owner("renamed", 6))]);
        zones.networks.insert(left.owner.uid, moved);
        let nowhere = NetworkSpec { gateway: Ipv4Addr::new(192, 0, 2, 1), ..part(fixture, 0x12, "none") };
        zones.networks.insert(nowhere.owner.uid, zone(&nowhere, &[]));
        let outcome = names.serve(&zones).await;
        assert!(
            matches!(&outcome, Err(Error::Unavailable { what, .. }) if what.contains("192.0.2.1:53")),
            "{outcome:?}"
        );
        assert_eq!(lookup(fixture, &client, "renamed", "").await, Some(guest_at));
        assert_eq!(lookup(fixture, &client, "guest", "").await, None);
        assert_eq!(lookup(fixture, &inside, "cellar", "").await, None, "a network that went is served no more");
    })
    .await;
}
