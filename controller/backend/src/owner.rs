//! Decides how a real thing is marked and named after the object that it belongs to. Pure: it never looks at what
//! exists.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::DOMAIN;

/// Longest name that we give anything: the limit of a DNS label, which is also a host name's.
const NAME_LIMIT: usize = 63;

/// The marks on everything that is made: which installation's, and which object's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The installation, a UUID made once per store. What bears another one is never touched.
    pub installation: Uuid,
    /// The object's kind, such as `Instance`.
    pub kind: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The object's uid: identity, where names are only for people.
    pub uid: Uuid,
}

impl Owner {
    /// The first eight digits of the uid, as they appear in names.
    pub fn short_uid(&self) -> String {
        short(self.uid)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// The name of a machine, network or volume handle: `tc-<uid, first 8>-<namespace>-<name>`, cut to 63.
pub fn machine_name(owner: &Owner) -> String {
    let mut name = format!("tc-{}-{}-{}", owner.short_uid(), owner.namespace, owner.name);
    // Namespaces and names are DNS labels: ASCII, so that a cut at any byte is a cut between characters.
    if name.is_ascii() {
        name.truncate(NAME_LIMIT);
    } else {
        name = name.chars().take(NAME_LIMIT).collect();
    }
    // A name must not end with a dash where it is used as a host name.
    name.truncate(name.trim_end_matches(['-', '.']).len());
    name
}

/// The bridge of a network: `tc-<8 of uid>`, which fits the 15 characters of a network device.
pub fn bridge_name(owner: &Owner) -> String {
    format!("tc-{}", owner.short_uid())
}

/// The names by which others in the same network reach a machine, the bare one first.
pub fn dns_names(owner: &Owner) -> Vec<String> {
    let Owner { namespace, name, .. } = owner;
    let kind = owner.kind.to_ascii_lowercase();
    vec![name.clone(), format!("{name}.{namespace}.{DOMAIN}"), format!("{name}.{kind}.{namespace}.{DOMAIN}")]
}

fn short(uid: Uuid) -> String {
    let mut digits = uid.simple().to_string();
    digits.truncate(8);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(namespace: &str, name: &str) -> Owner {
        Owner {
            installation: Uuid::nil(),
            kind: "Instance".to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        }
    }

    #[test]
    fn names_carry_uid_namespace_and_name() {
        assert_eq!(machine_name(&owner("default", "web")), "tc-01234567-default-web");
        assert_eq!(bridge_name(&owner("default", "web")), "tc-01234567");
        assert_eq!(
            dns_names(&owner("shop", "web")),
            ["web", "web.shop.cloud.internal", "web.instance.shop.cloud.internal"]
        );
    }

    #[test]
    fn long_names_are_cut_to_a_label_that_does_not_end_with_a_dash() {
        let cut = machine_name(&owner(&"n".repeat(63), "web"));
        assert_eq!(cut.len(), 63);
        // 3 + 8 + 1 + 50 = 62 characters, then the dash that would end the name.
        let cut = machine_name(&owner(&"n".repeat(50), "web"));
        assert_eq!(cut, format!("tc-01234567-{}", "n".repeat(50)));
    }
}
