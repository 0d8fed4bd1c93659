//! What is answered to whom, by message and by socket.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use controller_backend::Zone;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::{Answer, answer};
use super::forward::{Forwarder, in_resolv_conf};
use super::listen::Sockets;
use super::table::Table;

fn zone() -> Zone {
    let names = |name: &str| {
        vec![name.to_owned(), format!("{name}.shop.cloud.internal"), format!("{name}.instance.shop.cloud.internal")]
    };
    Zone {
        gateway: Ipv4Addr::new(10, 0, 1, 1),
        range: "10.0.1.0/24".parse().expect("a range"),
        forwards: true,
        hosts: BTreeMap::from([(Ipv4Addr::new(10, 0, 1, 2), names("web")), (Ipv4Addr::new(10, 0, 1, 3), names("db"))]),
    }
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    message
}

/// What is asked of the world.
const WORLD: (ResponseCode, Vec<String>) = (ResponseCode::ServFail, Vec::new());

fn ask_message(message: &Message, zone: &Zone) -> (ResponseCode, Vec<String>) {
    match answer(&message.to_vec().expect("bytes"), &Table::of(zone)) {
        Answer::Reply(reply) => {
            let reply = Message::from_vec(&reply).expect("a message");
            assert_eq!((reply.metadata.id, reply.queries.len()), (7, message.queries.len()));
            assert_ne!(reply.metadata.response_code, ResponseCode::ServFail);
            (reply.metadata.response_code, reply.answers.iter().map(|record| record.data.to_string()).collect())
        }
        Answer::Forward { .. } => WORLD,
        Answer::Silence => panic!("a question is answered"),
    }
}

fn ask(name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
    ask_message(&question(name, kind), &zone())
}

fn found(data: &str) -> (ResponseCode, Vec<String>) {
    (ResponseCode::NoError, vec![data.to_owned()])
}

const NOTHING: (ResponseCode, Vec<String>) = (ResponseCode::NoError, Vec::new());
const UNKNOWN: (ResponseCode, Vec<String>) = (ResponseCode::NXDomain, Vec::new());
const REFUSED: (ResponseCode, Vec<String>) = (ResponseCode::Refused, Vec::new());

#[test]
fn machine_is_found_by_each_of_its_names_however_they_are_spelled() {
    for name in ["web.", "web.shop.cloud.internal.", "web.instance.shop.cloud.internal.", "WEB.Shop.cloud.INTERNAL."] {
        assert_eq!(ask(name, RecordType::A), found("10.0.1.2"), "{name}");
        assert_eq!(ask(name, RecordType::AAAA), NOTHING, "{name} has no such address");
    }
}

#[test]
fn names_that_are_not_in_the_network_are_unknown_and_never_asked_of_the_world() {
    for name in ["web.other.cloud.internal.", "no.shop.cloud.internal.", "x.web.shop.cloud.internal.", "no."] {
        assert_eq!(ask(name, RecordType::A), UNKNOWN, "{name}");
    }
    for name in ["cloud.internal.", "shop.cloud.internal.", "instance.shop.cloud.internal."] {
        assert_eq!(ask(name, RecordType::A), NOTHING, "there are names under {name}");
    }
}

#[test]
fn names_of_the_world_are_forwarded_unless_the_network_has_no_way_out() {
    let inside = Zone { forwards: false, ..zone() };
    for name in ["example.com.", "mycloud.internal.", "cloud.internal.example."] {
        assert_eq!(ask(name, RecordType::A), WORLD, "{name}");
        assert_eq!(ask_message(&question(name, RecordType::A), &inside), REFUSED, "{name}");
    }
    assert_eq!(ask_message(&question("web.", RecordType::A), &inside), found("10.0.1.2"));
}

#[test]
fn address_of_the_network_is_found_back() {
    assert_eq!(ask("3.1.0.10.in-addr.arpa.", RecordType::PTR), found("db.shop.cloud.internal."));
    assert_eq!(ask("9.1.0.10.in-addr.arpa.", RecordType::PTR), UNKNOWN);
    assert_eq!(ask("9.9.9.9.in-addr.arpa.", RecordType::PTR), WORLD);
}

#[test]
fn what_is_no_plain_question_is_refused_or_not_answered() {
    let mut other_class = question("web.", RecordType::A);
    other_class.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(ask_message(&other_class, &zone()), REFUSED);
    assert_eq!(ask("shop.cloud.internal.", RecordType::AXFR), REFUSED);

    let code = |message: &[u8]| match answer(message, &Table::of(&zone())) {
        Answer::Reply(reply) => Some(Message::from_vec(&reply).expect("a message").metadata.response_code),
        _ => None,
    };
    let mut two = question("web.", RecordType::A);
    two.add_query(two.queries[0].clone());
    assert_eq!(code(&two.to_vec().unwrap()), Some(ResponseCode::FormErr));
    let mut update = question("web.", RecordType::A);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(code(&update.to_vec().unwrap()), Some(ResponseCode::NotImp));
    let bytes = question("web.", RecordType::A).to_vec().unwrap();
    assert_eq!(code(&bytes[..bytes.len() - 3]), Some(ResponseCode::FormErr), "it is cut off");
    assert_eq!(code(&bytes[..11]), None, "it is no message");
    // Two servers that answer each other's answers would never end.
    let mut response = question("web.", RecordType::A);
    response.metadata.message_type = MessageType::Response;
    assert_eq!(code(&response.to_vec().unwrap()), None);
}

#[test]
fn whoever_extends_the_question_is_told_what_is_understood() {
    let mut extended = question("web.", RecordType::A);
    extended.set_edns(Edns::new());
    let Answer::Reply(reply) = answer(&extended.to_vec().unwrap(), &Table::of(&zone())) else { panic!("no reply") };
    assert!(Message::from_vec(&reply).unwrap().edns.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_bring_the_server_down(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        answer(&bytes, &Table::of(&zone()));
    }

    #[test]
    fn no_damaged_question_brings_the_server_down(
        damage in prop::collection::vec((0usize..60, any::<u8>()), 0..6), length in 0usize..60,
    ) {
        let mut bytes = question("web.instance.shop.cloud.internal.", RecordType::A).to_vec().unwrap();
        for (place, byte) in damage {
            if let Some(place) = bytes.get_mut(place) { *place = byte; }
        }
        bytes.truncate(length);
        if let Answer::Reply(reply) = answer(&bytes, &Table::of(&zone())) {
            prop_assert_eq!(&reply[..2], &bytes[..2], "whatever is answered has the question's number");
        }
    }
}

#[test]
fn resolvers_are_those_that_the_host_asks() {
    let text =
        "# nameserver 9.9.9.9\nsearch x\nnameserver 127.0.0.53 # here\n  nameserver  2001:db8::1\nnameserver no\n";
    let expected: [SocketAddr; 2] = ["127.0.0.53:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
    assert_eq!(in_resolv_conf(text), expected);
    assert_eq!(in_resolv_conf(""), ["127.0.0.1:53".parse().unwrap()]);
}

/// A resolver that says of every name that there is none.
async fn world() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let question = Message::from_vec(&buffer[..length]).expect("a question");
            let mut other = Message::error_msg(question.metadata.id ^ 1, OpCode::Query, ResponseCode::NoError);
            let _ = socket.send_to(&other.to_vec().expect("bytes"), from).await;
            other.metadata.id ^= 1;
            other.metadata.response_code = ResponseCode::NXDomain;
            let _ = socket.send_to(&other.to_vec().expect("bytes"), from).await;
        }
    });
    address
}

async fn serve(zone: &Zone, resolvers: Vec<SocketAddr>) -> (SocketAddr, JoinSet<()>, watch::Sender<Arc<Table>>) {
    let sockets = Sockets::bind("127.0.0.1:0".parse().expect("an address")).await.expect("sockets");
    let address = sockets.address();
    let (sender, latest) = watch::channel(Arc::new(Table::of(zone)));
    let mut tasks = JoinSet::new();
    sockets.serve(&mut tasks, &latest, &Forwarder::new(Some(resolvers)));
    (address, tasks, sender)
}

fn here() -> Zone {
    Zone { range: "127.0.0.0/8".parse().expect("a range"), ..zone() }
}

async fn ask_by_udp(server: SocketAddr, message: &Message) -> Option<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.send_to(&message.to_vec().expect("bytes"), server).await.expect("it is sent");
    let mut buffer = [0; 512];
    let received = tokio::time::timeout(std::time::Duration::from_secs(3), socket.recv(&mut buffer)).await.ok()?;
    Some(Message::from_vec(&buffer[..received.expect("bytes")]).expect("a message"))
}

async fn ask_by_tcp(stream: &mut TcpStream, message: &Message) -> Option<Message> {
    let bytes = message.to_vec().expect("bytes");
    stream.write_u16(u16::try_from(bytes.len()).expect("short")).await.ok()?;
    stream.write_all(&bytes).await.ok()?;
    let mut reply = vec![0; usize::from(stream.read_u16().await.ok()?)];
    stream.read_exact(&mut reply).await.ok()?;
    Some(Message::from_vec(&reply).expect("a message"))
}

#[tokio::test]
async fn questions_are_answered_by_udp_and_tcp_and_passed_on_to_the_world() {
    let (server, _tasks, table) = serve(&here(), vec![world().await]).await;
    let web = question("web.", RecordType::A);
    assert_eq!(ask_by_udp(server, &web).await.expect("an answer").answers.len(), 1);
    let far = ask_by_udp(server, &question("example.com.", RecordType::A)).await.expect("an answer");
    assert_eq!(far.metadata.response_code, ResponseCode::NXDomain, "only the answer to this question is taken");
    let mut stream = TcpStream::connect(server).await.expect("a connection");
    for _ in 0..2 {
        assert_eq!(ask_by_tcp(&mut stream, &web).await.expect("an answer").answers.len(), 1);
    }
    table.send_replace(Arc::new(Table::of(&Zone { hosts: BTreeMap::new(), ..here() })));
    assert_eq!(ask_by_tcp(&mut stream, &web).await.expect("an answer").answers.len(), 0, "the names are the latest");
}

#[tokio::test]
async fn silent_world_is_a_failure_that_is_told() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let (server, _tasks, _table) = serve(&here(), vec![silent.local_addr().expect("its address")]).await;
    let answer = ask_by_udp(server, &question("example.com.", RecordType::A)).await.expect("an answer");
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn whoever_asks_from_outside_is_not_answered() {
    let (server, _tasks, _table) = serve(&zone(), Vec::new()).await;
    assert!(ask_by_udp(server, &question("web.", RecordType::A)).await.is_none());
    let mut stream = TcpStream::connect(server).await.expect("a connection");
    assert!(ask_by_tcp(&mut stream, &question("web.", RecordType::A)).await.is_none());
}

#[tokio::test]
async fn too_many_connections_are_closed_and_the_rest_still_served() {
    let (server, _tasks, _table) = serve(&here(), Vec::new()).await;
    let web = question("web.", RecordType::A);
    let mut streams = Vec::new();
    for _ in 0..33 {
        streams.push(TcpStream::connect(server).await.expect("a connection"));
    }
    let mut last = streams.pop().expect("the one too many");
    assert!(ask_by_tcp(&mut last, &web).await.is_none());
    assert!(ask_by_tcp(&mut streams[0], &web).await.is_some());
    assert!(ask_by_udp(server, &web).await.is_some());
}
