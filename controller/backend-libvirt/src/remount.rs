//! Decides how a definition changes when its machine mounts something else: what was mounted goes, what is mounted comes,
//! and everything else stays as libvirt wrote it. Pure.

use std::ops::Range;
use std::path::Path;

use crate::devices;
use crate::marks::{self, Marks};
use crate::shares::{self, Mounts};

/// The same definition with other mounts, and marks that tell of them. `None` if it isn't one of ours.
pub(crate) fn with_mounts(xml: &str, mounts: &Mounts, read_only: &Path, marks: &Marks) -> Option<String> {
    let mut xml = xml.to_owned();
    for name in ["filesystem", "memoryBacking"] {
        for range in elements(&xml, name).into_iter().rev() {
            xml.replace_range(range, "");
        }
    }
    for range in elements(&xml, "disk").into_iter().rev() {
        if devices::volume(&xml[range.clone()]).is_some() {
            xml.replace_range(range, "");
        }
    }
    let place = xml.find("</devices>")?;
    let added = format!("{}{}", shares::devices(&mounts.shares, read_only), devices::elements(&mounts.devices, &xml));
    xml.insert_str(place, &added);
    if !mounts.shares.is_empty() {
        let place = elements(&xml, "vcpu").first()?.start;
        xml.insert_str(place, shares::MEMORY);
    }
    with_marks(&xml, marks)
}

/// The same definition with other marks.
pub(crate) fn with_marks(xml: &str, marks: &Marks) -> Option<String> {
    let mut xml = xml.to_owned();
    let known = elements(&xml, marks::ELEMENT).into_iter().next()?;
    xml.replace_range(known, &marks.element());
    Some(xml)
}

/// Where the elements of this name are, which have no others of the same name inside.
pub(crate) fn elements(xml: &str, name: &str) -> Vec<Range<usize>> {
    let (begin, end) = (format!("<{name}"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = xml[from..].find(&begin).map(|at| from + at) {
        let rest = &xml[start + begin.len()..];
        from = start + begin.len();
        if !rest.starts_with([' ', '>', '\n']) {
            continue;
        }
        let Some(length) = rest.find(&end) else { break };
        from += length + end.len();
        found.push(start..from);
    }
    found
}

#[cfg(test)]
mod tests {
    use controller_backend::{Mount, MountSource};
    use uuid::Uuid;

    use super::*;
    use crate::devices::Device;
    use crate::shares::Share;

    #[test]
    fn mounts_are_exchanged_and_nothing_else_is() {
        let before = marks::sample();
        let bare = format!(
            "<domain type='qemu'>\n  <metadata>\n    {}\n  </metadata>\n  <memory unit='KiB'>1</memory>\n  \
             <vcpu placement='static'>1</vcpu>\n  <devices>\n    <disk type='file'><target dev='vda' bus='virtio'/>\
             </disk>\n    <rng model='virtio'/>\n  </devices>\n</domain>",
            before.element()
        );
        let volume = Uuid::from_u128(7);
        let mount = Mount { path: "/dev/data".to_owned(), read_only: false, source: MountSource::Volume(volume) };
        let device =
            Device { volume, path: "/dev/loop0".into(), serial: devices::serial(&mount.path), read_only: false };
        let share = Share { tag: shares::tag(1), directory: "/srv/x".into(), path: "/x".to_owned(), read_only: false };
        let mounts = Mounts { shares: vec![share], memory: Vec::new(), devices: vec![device] };
        let after = Marks { mounts: Some(vec![mount]), ..marks::sample() };
        let program = Path::new("/srv/read-only");
        let full = with_mounts(&bare, &mounts, program, &after).unwrap();
        assert!(full.contains(&after.element()) && !full.contains(&before.element()), "{full}");
        assert!(full.contains("<access mode='shared'/>") && full.contains("<target dir='cloud1'/>"), "{full}");
        assert!(full.contains("<source dev='/dev/loop0'/><target dev='vdb' "), "{full}");
        // Again with other devices: nothing is there twice.
        assert_eq!(with_mounts(&full, &mounts, program, &after).unwrap(), full);
        assert_eq!(with_mounts(&full, &Mounts::default(), program, &before).unwrap(), bare);
        assert_eq!(with_mounts("<domain/>", &mounts, program, &after), None);
    }

    #[test]
    fn elements_are_found_by_their_whole_name() {
        let xml = "<a><disks>no</disks><disk>1</disk><disk x='y'>2</disk></a>";
        let found: Vec<&str> = elements(xml, "disk").into_iter().map(|range| &xml[range]).collect();
        assert_eq!(found, ["<disk>1</disk>", "<disk x='y'>2</disk>"]);
    }
}
