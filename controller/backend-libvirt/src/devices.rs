//! Decides how volumes that are devices show inside a machine: each is a disk of its own, which the machine finds by its
//! serial, whatever letter it got. Which disk of a definition is which volume, its alias says. Pure, but for the size of a
//! device.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain_xml::escape;
use crate::remount;

/// What libvirt keeps as it is given, in a definition and in a machine that runs.
const ALIAS: &str = "ua-volume-";
/// What a virtio disk holds of its serial.
const SERIAL_LENGTH: usize = 20;

/// A device of the host, as a machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// The volume, by its owner's uid.
    pub(crate) volume: Uuid,
    /// The device on the host.
    pub(crate) path: PathBuf,
    /// What the machine knows it by.
    pub(crate) serial: String,
    /// Whether writing is refused.
    pub(crate) read_only: bool,
}

/// The serial of what is mounted at this path: `data` of `/dev/data`. One that isn't as plain or as short ends with a digest,
/// so that no two paths have the same.
pub(crate) fn serial(path: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let name = path.strip_prefix("/dev/").unwrap_or_default();
    if !name.is_empty() && name.len() <= SERIAL_LENGTH && name.chars().all(is_plain) {
        return name.to_owned();
    }
    let digest = Sha256::digest(path);
    let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let words = path.strip_prefix("/dev/").unwrap_or(path).trim_matches('/');
    let words = words.chars().map(|letter| if is_plain(letter) { letter } else { '-' });
    let readable: String = words.take(SERIAL_LENGTH - digest.len() - 1).collect();
    format!("{readable}-{digest}")
}

/// The disk, under this name among the machine's disks. The host caches nothing that a container would not see.
pub(crate) fn element(device: &Device, target: &str) -> String {
    let mut xml = format!(
        "<disk type='block' device='disk'><driver name='qemu' type='raw' cache='none' discard='unmap'/><source dev='{}'/>\
         <target dev='{}' bus='virtio'/><serial>{}</serial><alias name='{ALIAS}{}'/>",
        escape(&device.path.to_string_lossy()),
        escape(target),
        escape(&device.serial),
        device.volume,
    );
    if device.read_only {
        // Several machines may read it.
        xml.push_str("<readonly/><shareable/>");
    }
    xml.push_str("</disk>");
    xml
}

/// All of them, under names that nothing in this definition has.
pub(crate) fn elements(devices: &[Device], definition: &str) -> String {
    let mut xml = String::new();
    for device in devices {
        let target = free_target(&format!("{definition}{xml}"));
        let _ = write!(xml, "{}", element(device, &target));
    }
    xml
}

/// A name for one disk more, up to `vdzz`.
pub(crate) fn free_target(definition: &str) -> String {
    let letters = || ('a'..='z').map(String::from);
    let doubled = letters().flat_map(|first| letters().map(move |second| format!("{first}{second}")));
    let mut names = letters().chain(doubled).map(|name| format!("vd{name}"));
    let is_free = |name: &String| !definition.contains(&format!("<target dev='{name}' "));
    // There is no room for so many in any machine.
    names.find(is_free).unwrap_or_else(|| "vdzz".to_owned())
}

/// The disk of a volume in a definition.
pub(crate) fn find(xml: &str, volume: Uuid) -> Option<&str> {
    remount::elements(xml, "disk").into_iter().map(|range| &xml[range]).find(|disk| self::volume(disk) == Some(volume))
}

/// The text of an element of a disk.
pub(crate) fn text<'a>(disk: &'a str, element: &str) -> Option<&'a str> {
    let (_, rest) = disk.split_once(&format!("<{element}>"))?;
    rest.split('<').next()
}

/// The disk's name among the machine's.
pub(crate) fn target(disk: &str) -> Option<String> {
    attribute(disk, "<target dev='")
}

/// The device behind a disk.
pub(crate) fn source(disk: &str) -> Option<PathBuf> {
    attribute(disk, "<source dev='").map(PathBuf::from)
}

fn attribute(disk: &str, begin: &str) -> Option<String> {
    let (_, rest) = disk.split_once(begin)?;
    rest.split('\'').next().map(str::to_owned)
}

/// The size of a device of the host.
pub(crate) fn size_bytes(device: &Path) -> Option<u64> {
    let sectors = std::fs::read_to_string(Path::new("/sys/class/block").join(device.file_name()?).join("size"));
    Some(sectors.ok()?.trim().parse::<u64>().ok()? * 512)
}

/// Which volume this disk is, if it is one.
pub(crate) fn volume(disk: &str) -> Option<Uuid> {
    let (_, rest) = disk.split_once(&format!("<alias name='{ALIAS}"))?;
    rest.split('\'').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(path: &str) -> Device {
        Device {
            volume: Uuid::from_u128(path.len() as u128),
            path: "/dev/loop7".into(),
            serial: serial(path),
            read_only: false,
        }
    }

    #[test]
    fn a_serial_is_the_path_where_it_fits_and_never_that_of_another_path() {
        assert_eq!(serial("/dev/data"), "data");
        assert_eq!(serial("/dev/a_name-of_20_letters"), "a_name-of_20_letters");
        let others = ["/data", "/dev/disk/data", "/dev/a_name-of_21_letters_", "/dev/a_name-of_21_letters.", "/dev/"];
        let serials: std::collections::BTreeSet<String> = others.iter().map(|path| serial(path)).collect();
        assert_eq!(serials.len(), others.len(), "{serials:?}");
        for serial in serials {
            assert!(serial.len() <= 20 && serial.is_ascii() && !serial.contains('/'), "{serial}");
        }
        assert!(serial("/dev/disk/data").starts_with("disk-data-"));
    }

    #[test]
    fn each_disk_has_a_name_of_its_own() {
        let own = "<target dev='vda' bus='virtio'/><target dev='vdb' bus='virtio'/><target dev='vdd' bus='virtio'/>";
        let xml = elements(&[device("/dev/a"), device("/dev/bc")], own);
        assert!(xml.contains("<target dev='vdc' ") && xml.contains("<target dev='vde' "), "{xml}");
        assert!(!xml.contains("readonly"), "{xml}");
        let many: String = ('a'..='z').map(|letter| format!("<target dev='vd{letter}' bus='virtio'/>")).collect();
        assert_eq!(free_target(&many), "vdaa");
    }

    #[test]
    fn what_must_not_be_written_is_read_only() {
        let device = device("/dev/data");
        let xml = element(&Device { read_only: true, ..device.clone() }, "vdc");
        assert_eq!((volume(&xml), volume("<disk><alias name='virtio-disk0'/></disk>")), (Some(device.volume), None));
        assert!(xml.contains("<readonly/>") && xml.contains("<serial>data</serial>"), "{xml}");
    }
}
