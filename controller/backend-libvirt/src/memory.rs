//! Decides how a machine's memory grows while it runs: beside the memory that it starts with it has a device, of which its
//! guest is offered as much as the machine shall have more (virtio-mem). The guest takes it when it likes, and the device
//! knows how much it took. Here is what stands in a definition, what is read from one, and what the guest is told at each
//! boot. Pure.

use std::ops::Range;

use controller_backend::{MachineMemory, Resources};

use crate::remount::elements;

/// libvirt and QEMU have such devices since these, as they number their versions.
pub(crate) const LIBVIRT_VERSION: u32 = 7_009_000;
pub(crate) const QEMU_VERSION: u32 = 5_001_000;

const KIB: u64 = 1024;
/// QEMU's memory comes in whole ones.
const MIB: u64 = 1 << 20;
/// What is offered is a multiple of this, which every Linux that knows such devices can take: older ones take no less.
const PIECE: u64 = 4 * MIB;
/// Linux takes memory from a range of addresses that is a multiple of this; of a longer one it never takes the end.
const BLOCK: u64 = 128 * MIB;

/// The memory of a machine that has room for more, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Growth {
    /// What it started with, or will.
    base: u64,
    /// How large the device is.
    room: u64,
    /// What of that the guest is offered.
    offered: u64,
    /// What of that it has taken.
    taken: u64,
}

impl Growth {
    /// What a machine gets that is started with these amounts; `None` if it has no room.
    fn new(resources: Resources) -> Option<Self> {
        let base = resources.memory_bytes.next_multiple_of(MIB);
        let room = resources.most_memory().saturating_sub(base).next_multiple_of(BLOCK);
        (room > 0).then_some(Self { base, room, offered: 0, taken: 0 })
    }

    /// What a definition says.
    pub(crate) fn read(xml: &str) -> Option<Self> {
        let device = &xml[device(xml)?];
        let kib = |name| {
            let element = &device[elements(device, name).into_iter().next()?];
            element.split_once('>')?.1.split('<').next()?.trim().parse::<u64>().ok()
        };
        let cell = &xml[xml.find("<cell ")?..];
        let base = cell.split_once(" memory='")?.1.split_once('\'')?.0.parse::<u64>().ok()?;
        Some(Self {
            base: base * KIB,
            room: kib("size")? * KIB,
            offered: kib("requested")? * KIB,
            // Only of one that runs.
            taken: kib("current").unwrap_or_default() * KIB,
        })
    }

    /// What of the device is offered for the machine to have so much in all.
    fn offer(self, memory_bytes: u64) -> u64 {
        memory_bytes.saturating_sub(self.base).next_multiple_of(PIECE).min(self.room)
    }

    /// How much the machine shall have, which is as much as is noted if that has been offered.
    pub(crate) fn memory_bytes(self, noted: u64) -> u64 {
        if self.offer(noted) == self.offered { noted } else { self.base + self.offered }
    }

    /// How far it goes.
    pub(crate) fn memory(self) -> MachineMemory {
        MachineMemory { taken_bytes: self.base + self.taken, most_bytes: self.base + self.room }
    }
}

/// The first elements of a definition: what it starts with, and as far as it goes.
pub(crate) fn amounts(resources: Resources) -> String {
    let Some(Growth { base, room, .. }) = Growth::new(resources) else {
        return format!("<memory unit='KiB'>{}</memory>", resources.memory_bytes.div_ceil(KIB));
    };
    let (base, all) = (base / KIB, (base + room) / KIB);
    // A balloon would take back what is above the last of these.
    format!(
        "<maxMemory slots='1' unit='KiB'>{all}</maxMemory><memory unit='KiB'>{all}</memory>\
         <currentMemory unit='KiB'>{base}</currentMemory>"
    )
}

/// What stands in the processor's element, as the device has to be somewhere: all processors, and all memory but the device.
fn numa(resources: Resources) -> Option<String> {
    let (base, last) = (Growth::new(resources)?.base / KIB, resources.most_processors() - 1);
    Some(format!("<numa><cell id='0' cpus='0-{last}' memory='{base}' unit='KiB'/></numa>"))
}

/// The device.
fn element(resources: Resources) -> Option<String> {
    let room = Growth::new(resources)?.room / KIB;
    Some(format!(
        "<memory model='virtio-mem'><target><size unit='KiB'>{room}</size><node>0</node><block unit='KiB'>{}</block>\
         <requested unit='KiB'>0</requested></target></memory>",
        PIECE / KIB
    ))
}

/// Takes all that was said of memory out of a definition.
pub(crate) fn take_out(xml: &mut String) {
    for name in ["maxMemory", "currentMemory", "memory", "numa"] {
        for range in elements(xml, name).into_iter().rev() {
            xml.replace_range(range, "");
        }
    }
    // A processor of which nothing is left to be said.
    if let Some(range) = elements(xml, "cpu").into_iter().find(|range| {
        xml[range.clone()].strip_prefix("<cpu>").is_some_and(|rest| rest.trim_start().starts_with("</cpu>"))
    }) {
        xml.replace_range(range, "");
    }
}

/// Puts the device in, and what it needs, beside the amounts that stand there already. `None` if it isn't a definition.
pub(crate) fn put_in(xml: &mut String, resources: Resources) -> Option<()> {
    let (Some(numa), Some(element)) = (numa(resources), element(resources)) else { return Some(()) };
    let place = xml.find("</devices>")?;
    xml.insert_str(place, &element);
    if let Some(range) = elements(xml, "cpu").into_iter().next() {
        xml.insert_str(range.end - "</cpu>".len(), &numa);
    } else if let Some(start) = xml.find("<cpu ") {
        // Without anything inside.
        let end = start + xml[start..].find("/>")?;
        xml.replace_range(end..end + "/>".len(), &format!(">{numa}</cpu>"));
    } else {
        let place = xml.find("<devices>")?;
        xml.insert_str(place, &format!("<cpu>{numa}</cpu>"));
    }
    Some(())
}

/// The device of a machine that runs, offered as these amounts say; `None` if it has none, or is offered that.
pub(crate) fn offering(xml: &str, resources: Resources) -> Option<String> {
    let (growth, mut device) = (Growth::read(xml)?, xml[device(xml)?].to_owned());
    let offer = growth.offer(resources.memory_bytes);
    if offer == growth.offered {
        return None;
    }
    let range = elements(&device, "requested").into_iter().next()?;
    device.replace_range(range, &format!("<requested unit='KiB'>{}</requested>", offer / KIB));
    Some(device)
}

/// Where the device is in a definition.
fn device(xml: &str) -> Option<Range<usize>> {
    elements(xml, "memory").into_iter().find(|range| xml[range.clone()].starts_with("<memory model='virtio-mem'"))
}

/// What a guest does at each boot to have what it takes: Linux leaves it unused unless it is told otherwise. What the image
/// decided stays. After a reboot some was there before anybody could tell.
pub(crate) const SCRIPT: &str = "\
blocks=/sys/devices/system/memory
if grep -qsx offline $blocks/auto_online_blocks; then echo online > $blocks/auto_online_blocks; fi
modprobe -q virtio_mem 2> /dev/null || true
for block in $blocks/memory*/state; do
    if grep -qsx offline \"$block\"; then echo online > \"$block\" || true; fi
done
";
/// What is in any such script.
pub(crate) const IN_SCRIPT: &str = "auto_online_blocks";

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(memory_mib: u64, max_mib: Option<u64>) -> Resources {
        let max_memory_bytes = max_mib.map(|mib| mib * MIB);
        Resources { cpu_millis: 1000, memory_bytes: memory_mib * MIB, max_memory_bytes }
    }

    /// What libvirt makes of it while it runs.
    fn running(resources: Resources, offered: u64, taken: u64) -> String {
        let device = element(resources).unwrap();
        let device = device.replace(
            "<requested unit='KiB'>0</requested>",
            &format!("<requested unit='KiB'>{offered}</requested>\n<current unit='KiB'>{taken}</current>"),
        );
        format!(
            "<domain>{}<cpu>{}</cpu><devices>{device}</devices></domain>",
            amounts(resources),
            numa(resources).unwrap()
        )
    }

    #[test]
    fn room_is_what_linux_can_take() {
        let room = |memory, max| Growth::new(resources(memory, max)).map(|growth| growth.room / MIB);
        assert_eq!(room(512, Some(2048)), Some(1536));
        assert_eq!(room(512, Some(600)), Some(128));
        assert_eq!(room(512, Some(512)), None);
        assert_eq!(room(512, None), None);
    }

    #[test]
    fn what_a_guest_was_offered_and_took_is_read_from_a_definition() {
        let xml = running(resources(512, Some(1024)), 128 << 10, 64 << 10);
        let growth = Growth::read(&xml).unwrap();
        assert_eq!(growth.memory(), MachineMemory { taken_bytes: 576 * MIB, most_bytes: 1024 * MIB });
        assert_eq!(growth.memory_bytes(640 * MIB - 7), 640 * MIB - 7, "which was rounded up");
        assert_eq!(growth.memory_bytes(512 * MIB), 640 * MIB, "an offer that was never noted");
        assert_eq!(Growth::read("<domain><memory unit='KiB'>1</memory></domain>"), None);
    }

    #[test]
    fn another_offer_is_the_same_device_with_another_number() {
        let room = resources(512, Some(1024));
        let xml = running(room, 0, 0);
        assert_eq!(offering(&xml, room), None);
        let offer = offering(&xml, resources(513, Some(1024))).unwrap();
        assert!(offer.contains("<requested unit='KiB'>4096</requested>\n<current"), "{offer}");
        let most = offering(&xml, resources(9999, Some(1024))).unwrap();
        assert!(most.contains("<requested unit='KiB'>524288</requested>"), "never more than there is: {most}");
    }

    #[test]
    fn room_comes_into_any_definition_and_goes_out_of_it_again() {
        let room = resources(512, Some(1024));
        for cpu in ["", "<cpu mode='host-passthrough' check='none'/>", "<cpu mode='custom'><model>qemu64</model></cpu>"]
        {
            let bare = format!("<domain><os/>{cpu}<devices><rng/></devices></domain>");
            let mut xml = bare.clone();
            put_in(&mut xml, room).unwrap();
            assert_eq!(Growth::read(&xml), Growth::new(room), "{xml}");
            assert_eq!(xml.matches("<numa>").count(), 1, "{xml}");
            take_out(&mut xml);
            assert_eq!(xml, bare.replace("check='none'/>", "check='none'></cpu>"));
        }
    }
}
