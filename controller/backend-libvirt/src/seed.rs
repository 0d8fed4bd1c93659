//! Decides what a machine is told at its first boot, in the form of cloud-init's NoCloud: who it is, who may log in, which
//! address it has, whom it asks for names, what it mounts, and what the user adds. Pure.

use std::net::Ipv4Addr;

use controller_backend::{DOMAIN, MachineSpec};
use ipnet::Ipv4Net;
use uuid::Uuid;

use crate::iso;
use crate::memory;
use crate::shares::{self, Mounts};

/// By which cloud-init knows the disk.
const LABEL: &str = "cidata";
/// What the host adds to what the user says.
const VENDOR: &str = "vendor-data";
/// How a script begins that cloud-init runs at every boot.
const SCRIPT: &str = "#cloud-boothook\n#!/bin/sh\n";

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
    let vendor = vendor(mounts, spec.resources.max_memory_bytes.is_some());
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
    with_vendor(disk, |told| vendor(mounts, told.contains(memory::IN_SCRIPT)))
}

/// The same disk for a machine whose memory can grow by now; `None` if it isn't one of ours.
pub(crate) fn with_growth(disk: &[u8]) -> Option<Vec<u8>> {
    with_vendor(disk, |told| {
        if told.contains(memory::IN_SCRIPT) {
            told.to_owned()
        } else {
            let commands = told.strip_prefix(SCRIPT).unwrap_or_default();
            format!("{SCRIPT}{}{commands}", memory::SCRIPT)
        }
    })
}

fn with_vendor(disk: &[u8], next: impl FnOnce(&str) -> String) -> Option<Vec<u8>> {
    let mut files = iso::files(disk)?;
    let vendor = &mut files.iter_mut().find(|(name, _)| name == VENDOR)?.1;
    *vendor = next(&String::from_utf8_lossy(vendor)).into_bytes();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    Some(iso::image(LABEL, &files))
}

/// What is done at every boot, before anything that the user says.
fn vendor(mounts: &Mounts, grows: bool) -> String {
    let commands = format!("{}{}", if grows { memory::SCRIPT } else { "" }, shares::commands(mounts));
    if commands.is_empty() { "#cloud-config\n".to_owned() } else { format!("{SCRIPT}{commands}") }
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
    use crate::shares::Memory;

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
    fn the_machine_is_told_at_each_boot_to_use_memory_that_comes_where_any_can() {
        let mounts = Mounts { memory: vec![Memory { path: "/x".to_owned(), size_bytes: 1 }], ..Mounts::default() };
        assert_eq!(vendor(&Mounts::default(), false), "#cloud-config\n");
        let disk = |grows| iso::image(LABEL, &[(VENDOR, vendor(&Mounts::default(), grows).as_bytes())]);
        let told = |disk: &[u8]| String::from_utf8(iso::files(disk).unwrap().remove(0).1).unwrap();
        assert!(told(&disk(true)).starts_with("#cloud-boothook\n#!/bin/sh\nblocks="), "{}", told(&disk(true)));
        let later = with_growth(&disk(false)).unwrap();
        assert_eq!(told(&later), told(&disk(true)));
        assert_eq!(told(&with_growth(&later).unwrap()), told(&later), "once is enough");
        let mounting = with_mounts(&later, &mounts).unwrap();
        assert_eq!(told(&mounting), vendor(&mounts, true), "what it mounts changes nothing about that");
        assert_eq!(told(&with_growth(&with_mounts(&disk(false), &mounts).unwrap()).unwrap()), told(&mounting));
    }

    #[test]
    fn a_key_adds_no_line_to_what_the_machine_is_told() {
        assert_eq!(quoted("ssh-ed25519 AAAA me\nruncmd: \"x\""), "\"ssh-ed25519 AAAA meruncmd: \\\"x\\\"\"");
    }
}
