//! Decides what a machine is told at its first boot, in the form of cloud-init's NoCloud: who it is, who may log in, which
//! address it has, whom it asks for names, what it mounts, and what the user adds. Pure.

use std::net::Ipv4Addr;

use controller_backend::{DOMAIN, MachineSpec};
use ipnet::Ipv4Net;
use uuid::Uuid;

use crate::iso;
use crate::shares::{self, Mounts};

/// By which cloud-init knows the disk.
const LABEL: &str = "cidata";
/// What the host adds to what the user says.
const VENDOR: &str = "vendor-data";

/// A machine's place in its network, as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: Ipv4Addr,
    pub(crate) range: Ipv4Net,
    /// Over which answers go to whoever reaches what the machine publishes, also where nothing else gets out.
    pub(crate) gateway: Ipv4Addr,
}

/// The disk that the machine reads it from.
pub(crate) fn disk(spec: &MachineSpec, id: Uuid, mac: &str, place: Option<Place>, mounts: &Mounts) -> Vec<u8> {
    let boot = spec.first_boot.clone().unwrap_or_default();
    let network = boot.network_config.unwrap_or_else(|| network(mac, place, &spec.owner.namespace));
    let meta = meta(spec, id, &boot.ssh_authorized_keys);
    // The first line is what says that it is meant for cloud-init.
    let user = boot.user_data.unwrap_or_else(|| "#cloud-config\n".to_owned());
    let vendor = vendor(mounts);
    iso::image(
        LABEL,
        &[
            ("meta-data", meta.as_bytes()),
            ("network-config", network.as_bytes()),
            ("user-data", user.as_bytes()),
            // What the host adds to what the user says, which it can't get in the way of.
            (VENDOR, vendor.as_bytes()),
        ],
    )
}

/// The same disk for a machine that mounts something else; `None` if it isn't one of ours.
pub(crate) fn with_mounts(disk: &[u8], mounts: &Mounts) -> Option<Vec<u8>> {
    let vendor = vendor(mounts);
    let mut files = iso::files(disk)?;
    files.iter_mut().find(|(name, _)| name == VENDOR)?.1 = vendor.into_bytes();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    Some(iso::image(LABEL, &files))
}

fn vendor(mounts: &Mounts) -> String {
    shares::script(mounts).unwrap_or_else(|| "#cloud-config\n".to_owned())
}

fn meta(spec: &MachineSpec, id: Uuid, keys: &[String]) -> String {
    let mut text = format!("instance-id: {id}\nlocal-hostname: {}\n", spec.hostname);
    if !keys.is_empty() {
        text.push_str("public-keys:\n");
        for key in keys {
            text.push_str(&format!("  - {}\n", quoted(key)));
        }
    }
    text
}

fn network(mac: &str, place: Option<Place>, namespace: &str) -> String {
    let Some(Place { address, range, gateway }) = place else { return "version: 2\n".to_owned() };
    let mut text = format!(
        "version: 2\nethernets:\n  primary:\n    match:\n      macaddress: \"{mac}\"\n    dhcp4: false\n    \
         addresses:\n      - {address}/{}\n",
        range.prefix_len()
    );
    text.push_str(&format!("    nameservers:\n      search: [{namespace}.{DOMAIN}]\n      addresses: [{gateway}]\n"));
    text.push_str(&format!("    routes:\n      - to: 0.0.0.0/0\n        via: {gateway}\n"));
    text
}

/// Text as a YAML scalar that means nothing else.
fn quoted(text: &str) -> String {
    let plain: String = text.chars().filter(|letter| !letter.is_control()).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use controller_backend::mac_of;

    use super::*;

    #[test]
    fn the_machine_is_told_its_address_whom_to_ask_for_names_and_the_way_out() {
        let place = Place {
            address: Ipv4Addr::new(10, 1, 2, 3),
            range: "10.1.0.0/20".parse().unwrap(),
            gateway: Ipv4Addr::new(10, 1, 0, 1),
        };
        let text = network(&mac_of(place.address), Some(place), "shop");
        assert!(text.contains("\"02:42:0a:01:02:03\"") && text.contains("- 10.1.2.3/20"), "{text}");
        assert!(text.contains("via: 10.1.0.1"), "{text}");
        assert!(text.contains("search: [shop.cloud.internal]\n      addresses: [10.1.0.1]\n"), "{text}");
    }

    #[test]
    fn a_key_adds_no_line_to_what_the_machine_is_told() {
        assert_eq!(quoted("ssh-ed25519 AAAA me\nruncmd: \"x\""), "\"ssh-ed25519 AAAA meruncmd: \\\"x\\\"\"");
    }
}
