//! Keeps ports of the host by sockets that are bound and listen to nothing: the kernel gives them to nobody else, and a
//! connection that no rule of the packet filter takes elsewhere is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use controller_backend::{Conflict, Error, HostPorts, Protocol, Publish};
use tokio::net::TcpSocket;
use uuid::Uuid;

type Held = BTreeMap<(Protocol, Publish), Socket>;

/// What keeps a port, until it is dropped.
#[derive(Debug)]
enum Socket {
    Tcp { _socket: TcpSocket },
    Udp { _socket: UdpSocket },
}

#[derive(Debug, Default)]
pub(crate) struct BoundPorts(Mutex<BTreeMap<Uuid, Held>>);

impl HostPorts for BoundPorts {
    fn hold(&self, owner: Uuid, ports: &BTreeSet<(Protocol, Publish)>) -> Result<(), Error> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = all.remove(&owner).unwrap_or_default();
        let bound: Result<Held, Error> = ports
            .iter()
            .filter(|port| !held.contains_key(port))
            .map(|(protocol, publish)| Ok(((*protocol, *publish), bind(*protocol, *publish)?)))
            .collect();
        let outcome = bound.map(|bound| {
            held.retain(|port, _| ports.contains(port));
            held.extend(bound);
        });
        if !held.is_empty() {
            all.insert(owner, held);
        }
        outcome
    }

    fn held(&self, owner: Uuid) -> BTreeSet<(Protocol, Publish)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&owner).map(|held| held.keys().copied().collect()).unwrap_or_default()
    }
}

fn bind(protocol: Protocol, publish: Publish) -> Result<Socket, Error> {
    let IpAddr::V4(address) = publish.address else {
        let message = format!(
            "a virtual machine's port can't be published on `{}`: only on IPv4 addresses, as its network is",
            publish.address
        );
        return Err(Error::invalid(message));
    };
    let place = SocketAddr::from((address, publish.port));
    let bound = match protocol {
        Protocol::Tcp => bind_tcp(place).map(|socket| Socket::Tcp { _socket: socket }),
        Protocol::Udp => UdpSocket::bind(place).map(|socket| Socket::Udp { _socket: socket }),
    };
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            let conflict = Conflict::PortTaken { address: publish.address, port: publish.port, protocol };
            Error::Conflict { conflict, source: Some(error.into()) }
        }
        io::ErrorKind::AddrNotAvailable => {
            Error::Invalid { message: format!("{address} is not an address of this host"), source: Some(error.into()) }
        }
        _ => Error::failed(format!("keep {protocol} port {place}"), error),
    })
}

/// Bound as nobody else may be at the same time. Connections that have ended linger and would be in the way for a
/// minute: whoever may listen all the same shares the port with nothing but those.
fn bind_tcp(place: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    match socket.bind(place) {
        Ok(()) => return Ok(socket),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        Err(error) => return Err(error),
    }
    drop(TcpListener::bind(place)?);
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(place)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn at(address: Ipv4Addr, port: u16) -> Publish {
        Publish { address: address.into(), port }
    }

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    fn set(protocol: Protocol, publish: Publish) -> BTreeSet<(Protocol, Publish)> {
        BTreeSet::from([(protocol, publish)])
    }

    #[test]
    fn what_is_kept_is_taken_for_everybody_else_until_it_is_let_go() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let ports = BoundPorts::default();
            let publish = at(Ipv4Addr::LOCALHOST, free_port());
            let wanted = set(protocol, publish);
            ports.hold(ONE, &wanted).unwrap();
            ports.hold(ONE, &wanted).unwrap();
            assert_eq!(ports.held(ONE), wanted);
            let taken = Conflict::PortTaken { address: publish.address, port: publish.port, protocol };
            let everywhere = set(protocol, at(Ipv4Addr::UNSPECIFIED, publish.port));
            let error = ports.hold(OTHER, &wanted).unwrap_err();
            assert_eq!(error.as_conflict(), Some(&taken));
            // Another process, another installation: all the same.
            assert!(BoundPorts::default().hold(OTHER, &everywhere).unwrap_err().as_conflict().is_some());
            ports.hold(ONE, &BTreeSet::new()).unwrap();
            ports.hold(OTHER, &wanted).unwrap();
        }
    }

    #[test]
    fn who_is_refused_keeps_what_it_had() {
        let ports = BoundPorts::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let kept = set(Protocol::Tcp, at(Ipv4Addr::LOCALHOST, free_port()));
        ports.hold(ONE, &kept).unwrap();
        let mut more = kept.clone();
        more.insert((Protocol::Tcp, at(Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port())));
        assert!(ports.hold(ONE, &more).is_err());
        assert_eq!(ports.held(ONE), kept);
    }

    #[test]
    fn port_is_free_again_at_once_where_connections_have_just_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(place).unwrap();
        // The side that closes first is the one whose port lingers.
        drop(listener.accept().unwrap());
        client.read_to_end(&mut Vec::new()).unwrap();
        drop((client, listener));
        BoundPorts::default().hold(ONE, &set(Protocol::Tcp, at(Ipv4Addr::LOCALHOST, place.port()))).unwrap();
    }

    #[test]
    fn addresses_that_nothing_can_be_published_on_are_named() {
        let ports = BoundPorts::default();
        let error = ports.hold(ONE, &set(Protocol::Tcp, at(Ipv4Addr::new(192, 0, 2, 1), 8080))).unwrap_err();
        assert_eq!(error.to_string(), "192.0.2.1 is not an address of this host");
        let six = Publish { address: "::1".parse().unwrap(), port: 8080 };
        assert!(ports.hold(ONE, &set(Protocol::Tcp, six)).unwrap_err().to_string().contains("`::1`"));
    }
}
