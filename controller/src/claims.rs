//! What is promised to an object but perhaps not yet written in anybody's status: addresses, published ports, ranges.
//! Two objects that choose at the same moment must not choose the same. It is memory only: the truth is in the
//! statuses, and a new process begins with those. Also remembers which ports the host refused, for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use controller_backend::Protocol;
use ipnet::Ipv4Net;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// How long a port that the host refused isn't chosen again.
const REFUSAL: SignedDuration = SignedDuration::from_mins(10);

/// A port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostPort {
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
    pub(crate) address: IpAddr,
}

impl HostPort {
    /// Whether the two can't both be listened on.
    pub(crate) fn collides(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.address == other.address || self.address.is_unspecified() || other.address.is_unspecified())
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(formatter, "{address}:{}", self.port),
            IpAddr::V6(address) => write!(formatter, "[{address}]:{}", self.port),
        }
    }
}

/// Something that only one object can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// An address in the network of this uid.
    Address { network: Uuid, address: Ipv4Addr },
    /// A port of the host.
    Port(HostPort),
    /// A range of addresses.
    Range(Ipv4Net),
}

impl Claim {
    fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address { .. }, Self::Address { .. }) => self == other,
            (Self::Port(port), Self::Port(other)) => port.collides(other),
            (Self::Range(range), Self::Range(other)) => range.contains(other) || other.contains(range),
            _ => false,
        }
    }
}

/// Who is promised what.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<Uuid, Vec<Claim>>,
    refused: BTreeMap<HostPort, Timestamp>,
}

impl Claims {
    /// Promises all of it to the owner in place of what it had; `false`, and nothing changes, if somebody else has
    /// any of it.
    pub(crate) fn claim(&self, owner: Uuid, wanted: Vec<Claim>) -> bool {
        let mut state = self.state();
        let taken = state
            .held
            .iter()
            .filter(|(holder, _)| **holder != owner)
            .flat_map(|(_, claims)| claims)
            .any(|held| wanted.iter().any(|claim| claim.collides(held)));
        if !taken {
            state.held.insert(owner, wanted);
        }
        !taken
    }

    /// Lets go of all that the owner has.
    pub(crate) fn release(&self, owner: Uuid) {
        self.state().held.remove(&owner);
    }

    /// What others than this owner have.
    pub(crate) fn of_others(&self, owner: Uuid) -> Vec<Claim> {
        let state = self.state();
        state.held.iter().filter(|(holder, _)| **holder != owner).flat_map(|(_, claims)| claims).copied().collect()
    }

    /// The host refused this port.
    pub(crate) fn refuse(&self, port: HostPort, now: Timestamp) {
        self.state().refused.insert(port, now);
    }

    /// The ports that the host refused lately.
    pub(crate) fn refused(&self, now: Timestamp) -> BTreeSet<HostPort> {
        let mut state = self.state();
        state.refused.retain(|_, since| now.duration_since(*since) < REFUSAL);
        state.refused.keys().copied().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(address: &str, port: u16) -> Claim {
        Claim::Port(HostPort { port, protocol: Protocol::Tcp, address: address.parse().unwrap() })
    }

    #[test]
    fn what_one_has_another_does_not_get_until_it_is_let_go() {
        let claims = Claims::default();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(claims.claim(one, vec![port("127.0.0.1", 80)]));
        assert!(claims.claim(one, vec![port("127.0.0.1", 80)]));
        assert!(!claims.claim(other, vec![port("0.0.0.0", 80)]));
        assert!(claims.claim(other, vec![port("127.0.0.2", 80)]));
        claims.release(one);
        assert!(claims.claim(other, vec![port("0.0.0.0", 80)]));
    }

    #[test]
    fn ranges_collide_when_one_is_inside_the_other() {
        let claims = Claims::default();
        assert!(claims.claim(Uuid::from_u128(1), vec![Claim::Range("10.0.0.0/16".parse().unwrap())]));
        assert!(!claims.claim(Uuid::from_u128(2), vec![Claim::Range("10.0.4.0/24".parse().unwrap())]));
    }

    #[test]
    fn a_refusal_is_forgotten_after_a_while() {
        let claims = Claims::default();
        let Claim::Port(refused) = port("127.0.0.1", 80) else { unreachable!() };
        claims.refuse(refused, Timestamp::UNIX_EPOCH);
        assert!(claims.refused(Timestamp::from_second(599).unwrap()).contains(&refused));
        assert!(claims.refused(Timestamp::from_second(600).unwrap()).is_empty());
    }
}
