//! The names of one network, in the form in which they are looked up.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use controller_backend::{DOMAIN, Zone};
use ipnet::Ipv4Net;

/// All names are in lower case, without the dot at the end.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) range: Ipv4Net,
    pub(super) forwards: bool,
    addresses: HashMap<String, Ipv4Addr>,
    names: HashMap<Ipv4Addr, String>,
    /// The domains above the names: they exist, but have no address.
    domains: HashSet<String>,
}

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A machine.
    Machine(Ipv4Addr),
    /// A domain with names under it.
    Domain,
    /// Nothing, and nobody else knows better.
    Nothing,
    /// Not ours.
    World,
}

impl Table {
    pub(super) fn of(zone: &Zone) -> Self {
        let mut table = Self {
            range: zone.range,
            forwards: zone.forwards,
            addresses: HashMap::new(),
            names: HashMap::new(),
            domains: HashSet::from([DOMAIN.to_owned()]),
        };
        for (address, names) in &zone.hosts {
            for name in names {
                let name = name.to_ascii_lowercase();
                let above = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
                table.domains.extend(above.filter(|domain| is_ours(domain)).map(str::to_owned));
                if is_ours(&name) {
                    table.names.entry(*address).or_insert_with(|| name.clone());
                }
                table.addresses.insert(name, *address);
            }
        }
        table
    }

    /// What this name is; in lower case, without the dot at the end.
    pub(super) fn find(&self, name: &str) -> Found {
        match self.addresses.get(name) {
            Some(address) => Found::Machine(*address),
            None if self.domains.contains(name) => Found::Domain,
            None if is_ours(name) => Found::Nothing,
            None => Found::World,
        }
    }

    /// The full name of the machine with this address.
    pub(super) fn name_of(&self, address: Ipv4Addr) -> Option<&str> {
        self.names.get(&address).map(String::as_str)
    }
}

/// Whether nobody but us has something to say about this name.
fn is_ours(name: &str) -> bool {
    name.strip_suffix(DOMAIN).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
