//! Decides what is answered to a message, whatever it holds. Pure.

use std::net::Ipv4Addr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::table::{Found, Table};

/// How long an answer may be kept, in seconds: machines move, and asking again costs next to nothing.
const TTL: u32 = 5;
/// The longest answer that is asked for by UDP: what every path carries.
const MAX_UDP: u16 = 1232;

/// What is done about a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This is sent back.
    Reply(Vec<u8>),
    /// The world is asked; if that fails, this is sent back.
    Forward {
        /// The answer that says that it failed.
        otherwise: Vec<u8>,
    },
    /// Nothing: it isn't a question.
    Silence,
}

pub(super) fn answer(message: &[u8], table: &Table) -> Answer {
    // The third byte's first bit says that it is an answer, to which nobody answers.
    let (Some(id), Some(flags)) = (message.first_chunk(), message.get(2)) else { return Answer::Silence };
    if message.len() < HEADER || flags & 0x80 != 0 {
        return Answer::Silence;
    }
    let refuse = |code| reply(Message::error_msg(u16::from_be_bytes(*id), OpCode::Query, code));
    let Ok(asked) = Message::from_vec(message) else { return refuse(ResponseCode::FormErr) };
    if asked.metadata.message_type != MessageType::Query {
        return Answer::Silence;
    }
    if asked.metadata.op_code != OpCode::Query {
        return refuse(ResponseCode::NotImp);
    }
    let [query] = asked.queries.as_slice() else { return refuse(ResponseCode::FormErr) };
    let respond = |code, authoritative, records: Vec<Record>| {
        let mut response = Message::error_msg(asked.metadata.id, OpCode::Query, code);
        response.metadata.authoritative = authoritative;
        response.metadata.recursion_desired = asked.metadata.recursion_desired;
        response.metadata.recursion_available = table.forwards;
        response.add_query(query.clone());
        response.add_answers(records);
        if asked.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(MAX_UDP);
            response.set_edns(edns);
        }
        response
    };
    match judge(query, table) {
        Verdict::Known(records) => reply(respond(ResponseCode::NoError, true, records)),
        Verdict::Unknown => reply(respond(ResponseCode::NXDomain, true, Vec::new())),
        Verdict::Refused => reply(respond(ResponseCode::Refused, false, Vec::new())),
        Verdict::World => match reply(respond(ResponseCode::ServFail, false, Vec::new())) {
            Answer::Reply(otherwise) => Answer::Forward { otherwise },
            other => other,
        },
    }
}

/// The length of what every message begins with.
pub(super) const HEADER: usize = 12;

enum Verdict {
    /// It exists, but may have nothing of the type that is asked for.
    Known(Vec<Record>),
    Unknown,
    Refused,
    World,
}

fn judge(query: &Query, table: &Table) -> Verdict {
    if query.query_class() != DNSClass::IN {
        return Verdict::Refused;
    }
    let kind = query.query_type();
    if matches!(kind, RecordType::AXFR | RecordType::IXFR) {
        return Verdict::Refused;
    }
    let name = query.name().to_ascii().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    match table.find(name) {
        Found::Machine(address) => {
            let wanted = matches!(kind, RecordType::A | RecordType::ANY);
            Verdict::Known(wanted.then(|| record(query, RData::A(A(address)))).into_iter().collect())
        }
        Found::Domain => Verdict::Known(Vec::new()),
        Found::Nothing => Verdict::Unknown,
        Found::World => match reversed(name) {
            Some(address) if table.range.contains(&address) => match table.name_of(address) {
                Some(name) if matches!(kind, RecordType::PTR | RecordType::ANY) => {
                    let name = Name::from_ascii(format!("{name}."));
                    Verdict::Known(name.ok().map(|name| record(query, RData::PTR(PTR(name)))).into_iter().collect())
                }
                Some(_) => Verdict::Known(Vec::new()),
                None => Verdict::Unknown,
            },
            // The world has no bare names: they would only tell it which machines are looked for.
            None if !name.contains('.') && matches!(kind, RecordType::A | RecordType::AAAA) => Verdict::Unknown,
            _ if table.forwards => Verdict::World,
            _ => Verdict::Refused,
        },
    }
}

fn record(query: &Query, data: RData) -> Record {
    Record::from_rdata(query.name().clone(), TTL, data)
}

/// The address that this name asks back for.
fn reversed(name: &str) -> Option<Ipv4Addr> {
    let digits = name.strip_suffix(".in-addr.arpa")?;
    let address: Ipv4Addr = digits.parse().ok()?;
    let [a, b, c, d] = address.octets();
    Some(Ipv4Addr::new(d, c, b, a))
}

fn reply(response: Message) -> Answer {
    response.to_vec().map_or(Answer::Silence, Answer::Reply)
}
