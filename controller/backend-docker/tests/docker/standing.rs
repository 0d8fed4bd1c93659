//! Where a test stands when it sends packets: in a machine's network, or in the world outside the host.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::thread;
use std::time::Duration;

use bollard::Docker;
use controller_backend::MachineId;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::daemon::World;
use crate::image;

/// What doesn't come within this time was dropped.
const PATIENCE: Duration = Duration::from_secs(1);

/// The network of one machine.
pub struct Place(File);

impl Place {
    pub async fn of(docker: &Docker, machine: &MachineId) -> Self {
        Self(File::open(format!("/proc/{}/ns/net", process(docker, machine).await)).expect("the machine runs"))
    }

    /// What a thread finds that stands there. Sockets stay there, and so do commands.
    pub fn stand<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let there = || {
            move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("only root may stand there");
            act()
        };
        thread::scope(|scope| scope.spawn(there).join().expect("the thread ends"))
    }

    /// Whether a connection comes about. It is tried again: a busy server may take its time.
    pub fn comes_to_reach(&self, to: impl Into<IpAddr>, port: u16) -> bool {
        let to = to.into();
        (0..5).any(|_| self.reaches(to, port))
    }

    /// The same, tried once: what is refused stays refused.
    pub fn reaches(&self, to: impl Into<IpAddr>, port: u16) -> bool {
        let to = SocketAddr::new(to.into(), port);
        self.stand(|| TcpStream::connect_timeout(&to, PATIENCE).is_ok())
    }

    /// What the machine that is reached there tells of who asks.
    pub fn is_seen_as(&self, to: impl Into<IpAddr>, port: u16) -> String {
        let to = SocketAddr::new(to.into(), port);
        let mut stream = self.stand(|| TcpStream::connect_timeout(&to, PATIENCE).expect("it is reached"));
        stream.set_read_timeout(Some(5 * PATIENCE)).expect("a time limit");
        stream.write_all(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n").expect("it is asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// Whether a datagram to this port comes back.
    pub fn hears_echo(&self, to: impl Into<IpAddr>, port: u16) -> bool {
        let socket = self.stand(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket"));
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        socket.connect((to.into(), port)).expect("an address");
        socket.send(b"word").is_ok() && socket.recv(&mut [0; 8]).is_ok()
    }

    pub fn pings(&self, to: Ipv4Addr) -> bool {
        let ping = || Command::new(image::busybox()).args(["ping", "-c1", "-W1", &to.to_string()]).output();
        self.stand(ping).expect("ping runs").status.success()
    }

    /// Takes connections on this port, and closes them at once.
    pub fn accept(&self, port: u16) {
        let listener = self.stand(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("a port"));
        thread::spawn(move || listener.incoming().for_each(drop));
    }

    /// Sends back what comes to this port.
    pub fn echo(&self, port: u16) {
        let socket = self.stand(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("a port"));
        thread::spawn(move || {
            let mut word = [0; 8];
            while let Ok((length, who)) = socket.recv_from(&mut word) {
                // Who was cut off isn't answered.
                let _ = socket.send_to(&word[..length], who);
            }
        });
    }

    /// A connection to a port of another machine that goes on.
    pub fn talk_to(&self, other: &Place, at: Ipv4Addr, port: u16) -> Talk {
        let listener = other.stand(|| TcpListener::bind((at, port)).expect("a port"));
        let speaks =
            self.stand(|| TcpStream::connect_timeout(&(at, port).into(), 5 * PATIENCE).expect("it is reached"));
        let (hears, _) = listener.accept().expect("a connection");
        hears.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        Talk { speaks, hears }
    }
}

/// Two who are connected.
pub struct Talk {
    speaks: TcpStream,
    hears: TcpStream,
}

impl Talk {
    /// Whether a word of the one is heard by the other.
    pub fn goes_on(&mut self) -> bool {
        self.speaks.write_all(b"word").expect("it is sent");
        match self.hears.read(&mut [0; 8]) {
            Ok(length) => length > 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Somebody in the world, to whom the host is only one address.
pub struct Outside {
    pub place: Place,
    pub address: Ipv4Addr,
    /// The host's address there.
    pub host: Ipv4Addr,
    /// Another address of the same, of those where clouds tell the hosts in them their secrets.
    pub link_local: Ipv4Addr,
}

impl Outside {
    /// A machine without a network of ours, which gets a cable to the host.
    pub async fn new(world: &World) -> Self {
        let fixture = &world.fixture;
        let machine = fixture.start(&fixture.machine("outside", 0x20)).await;
        let process = process(&world.docker, &machine).await;
        // As the test's range is nobody else's, so is what is made from it: a part of what is set aside for tests.
        let [_, second, third, _] = fixture.range.network().octets();
        let own = (u32::from(second % 64) << 8 | u32::from(third)) << 2;
        let numbered = |first: [u8; 4], number| Ipv4Addr::from(u32::from(Ipv4Addr::from(first)) + number);
        let [host, address] = [1, 2].map(|number| numbered([198, 18, 0, 0], own + number));
        let link_local = numbered([169, 254, 0, 0], own + 2);
        let cable = format!("tco{}", &fixture.installation.simple().to_string()[..8]);
        let there = format!("nsenter --net=/proc/{process}/ns/net ip");
        for command in [
            format!("ip link add {cable} type veth peer name world netns {process}"),
            format!("ip addr add {host}/30 dev {cable}"),
            format!("ip link set {cable} up"),
            format!("{there} addr add {address}/30 dev world"),
            format!("{there} addr add {link_local}/32 dev world"),
            format!("{there} link set world up"),
            format!("ip route add {link_local}/32 via {address}"),
        ] {
            let status = Command::new("sh").args(["-c", &command]).status().expect("a shell");
            assert!(status.success(), "{command}");
        }
        Self { place: Place::of(&world.docker, &machine).await, address, host, link_local }
    }
}

async fn process(docker: &Docker, machine: &MachineId) -> i64 {
    let container = docker.inspect_container(&machine.0, None).await.expect("the machine is there");
    container.state.and_then(|state| state.pid).expect("it runs")
}
