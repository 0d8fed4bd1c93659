//! Decides what libvirt is asked for when a machine is made. Pure.

use std::fmt::Write as _;
use std::path::PathBuf;

use controller_backend::{MachineSpec, Resources};
use uuid::Uuid;
use virt::domain::{SchedBandwidth, SchedulerInfo};

use crate::devices;
use crate::marks::Marks;
use crate::memory;
use crate::probe::Acceleration;
use crate::remount;
use crate::shares::{self, Mounts};

/// The time over which processor time is counted, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// What a machine stands on, looked up before.
#[derive(Debug, Clone)]
pub(crate) struct Needs {
    pub(crate) id: Uuid,
    pub(crate) acceleration: Acceleration,
    pub(crate) base: PathBuf,
    pub(crate) disk: PathBuf,
    pub(crate) seed: PathBuf,
    pub(crate) console: PathBuf,
    /// The bridge that it joins, and its address there.
    pub(crate) wire: Option<Wire>,
    /// What it gets, as far as this host can give it.
    pub(crate) resources: Resources,
    /// What is mounted inside.
    pub(crate) mounts: Mounts,
    /// The program that serves what must not be written to.
    pub(crate) read_only_server: PathBuf,
    /// What the screen asks for.
    pub(crate) password: String,
}

/// Where a machine is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) bridge: String,
    pub(crate) mac: String,
    /// What its port on the bridge is called, by which the packet filter knows it.
    pub(crate) port: String,
}

/// The whole domain.
pub(crate) fn domain(spec: &MachineSpec, needs: &Needs, marks: &Marks) -> String {
    let kind = match needs.acceleration {
        Acceleration::Kvm => "kvm",
        Acceleration::Software => "qemu",
    };
    let path = |path: &PathBuf| escape(&path.to_string_lossy());
    let mut xml = format!("<domain type='{kind}'><name>{}</name><uuid>{}</uuid>", escape(&spec.name), needs.id);
    let _ = write!(xml, "<metadata>{}</metadata>{}", marks.element(), amounts(needs.resources));
    if !needs.mounts.shares.is_empty() {
        xml.push_str(shares::MEMORY);
    }
    xml.push_str(
        "<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os><features><acpi/><apic/></features>",
    );
    if needs.acceleration == Acceleration::Kvm {
        xml.push_str("<cpu mode='host-passthrough' check='none'/>");
    }
    // What ends stays ended: starting again is the controller's.
    xml.push_str("<clock offset='utc'/><on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash><devices>");
    // The image is shared and stays root's: a broken-out QEMU of one machine can't write what others boot from.
    let _ = write!(
        xml,
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/><source file='{}'/>\
         <backingStore type='file'><format type='qcow2'/><source file='{}'><seclabel model='dac' relabel='no'/></source>\
         <backingStore/></backingStore><target dev='vda' bus='virtio'/>{}</disk>",
        path(&needs.disk),
        path(&needs.base),
        slot(3),
    );
    let _ = write!(
        xml,
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/>\
         <target dev='vdb' bus='virtio'/><readonly/>{}</disk>",
        path(&needs.seed),
        slot(4),
    );
    let volumes = devices::elements(&needs.mounts.devices, &xml);
    xml.push_str(&volumes);
    xml.push_str(&shares::devices(&needs.mounts.shares, &needs.read_only_server));
    if let Some(wire) = &needs.wire {
        xml.push_str(&card(wire));
    }
    let _ = write!(
        xml,
        "<serial type='pty'><log file='{}' append='on'/></serial><graphics type='vnc' port='-1' autoport='yes' \
         listen='127.0.0.1' passwd='{}'/><video><model type='vga'/></video>",
        path(&needs.console),
        escape(&needs.password),
    );
    xml.push_str(
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>\
         <controller type='usb' model='none'/><memballoon model='virtio'/><rng model='virtio'>\
         <backend model='random'>/dev/urandom</backend></rng></devices></domain>",
    );
    // It has devices, as it was just made.
    let _ = memory::put_in(&mut xml, needs.resources);
    xml
}

/// The card by which it is in its network.
pub(crate) fn card(wire: &Wire) -> String {
    format!(
        "<interface type='bridge'><mac address='{}'/><source bridge='{}'/><target dev='{}'/><model type='virtio'/>\
         </interface>",
        escape(&wire.mac),
        escape(&wire.bridge),
        escape(&wire.port),
    )
}

/// The machine's own disks are the first ones, whatever is plugged in and out later: a guest names disks by their places.
fn slot(number: u8) -> String {
    format!("<address type='pci' domain='0x0000' bus='0x00' slot='{number:#04x}' function='0x0'/>")
}

/// Memory, processors and room for more, and how much of their time.
fn amounts(resources: Resources) -> String {
    let (processors, most) = (resources.processors(), resources.most_processors());
    let mut xml = format!("{}<vcpu current='{processors}'>{most}</vcpu><vcpus>", memory::amounts(resources));
    for number in 0..most {
        let yes = |is: bool| if is { "yes" } else { "no" };
        // The first one can't go; without this the others that are there from the start couldn't either.
        let (enabled, hotpluggable) = (yes(number < processors), yes(number > 0));
        let _ = write!(xml, "<vcpu id='{number}' enabled='{enabled}' hotpluggable='{hotpluggable}'/>");
    }
    xml.push_str("</vcpus>");
    if let Some(quota) = quota(resources, processors) {
        let _ = write!(
            xml,
            "<cputune><global_period>{CPU_PERIOD}</global_period><global_quota>{quota}</global_quota></cputune>"
        );
    }
    xml
}

/// The processor time in each period, where that isn't all of whole processors, which are a limit by themselves.
fn quota(resources: Resources, processors: u64) -> Option<u64> {
    let is_part = resources.cpu_millis != processors * 1000;
    is_part.then(|| (resources.cpu_millis * CPU_PERIOD / 1000).max(1000))
}

/// As many processors as a machine of this definition can get while it runs.
pub(crate) fn most_processors(xml: &str) -> Option<u64> {
    let vcpu = &xml[remount::elements(xml, "vcpu").into_iter().next()?];
    let (_, text) = vcpu.split_once('>')?;
    text.split('<').next()?.trim().parse().ok()
}

/// The same, for a machine that runs and has so many processors: a guest may have kept more than it shall have.
pub(crate) fn processor_time(resources: Resources, processors: u64) -> SchedulerInfo {
    let quota = quota(resources, processors).and_then(|quota| i64::try_from(quota).ok());
    // No limit.
    let global_bw = SchedBandwidth { period: Some(CPU_PERIOD), quota: quota.or(Some(-1)) };
    SchedulerInfo { global_bw, ..SchedulerInfo::default() }
}

/// The same definition with other amounts.
pub(crate) fn with_amounts(xml: &str, resources: Resources) -> Option<String> {
    let mut xml = xml.to_owned();
    memory::take_out(&mut xml);
    for element in ["cputune", "vcpus", "vcpu"] {
        xml = without(&xml, element);
    }
    let place = xml.find("<os>").or_else(|| xml.find("<os "))?;
    xml.insert_str(place, &amounts(resources));
    memory::put_in(&mut xml, resources)?;
    Some(xml)
}

/// The text without the first element of this name.
fn without(xml: &str, element: &str) -> String {
    let end = format!("</{element}>");
    let start = [format!("<{element}>"), format!("<{element} ")].iter().filter_map(|tag| xml.find(tag)).min();
    match (start, xml.find(&end)) {
        (Some(start), Some(close)) if close > start => format!("{}{}", &xml[..start], &xml[close + end.len()..]),
        _ => xml.to_owned(),
    }
}

/// The text, safe inside an element or an attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            letter if letter.is_control() && letter != '\n' && letter != '\t' => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cpu_millis: u64, memory_bytes: u64) -> Resources {
        Resources { cpu_millis, memory_bytes, max_memory_bytes: None }
    }

    #[test]
    fn a_part_of_a_processor_is_one_with_less_time() {
        let text = amounts(with(1500, 128 << 20));
        assert!(
            text.contains("<vcpu current='2'>8</vcpu>") && text.contains("<global_quota>150000</global_quota>"),
            "{text}"
        );
        assert!(text.contains("<memory unit='KiB'>131072</memory>"), "{text}");
        assert!(!amounts(with(2000, 1 << 30)).contains("cputune"));
    }

    #[test]
    fn amounts_are_replaced_where_they_stand() {
        let before = "<domain><name>a</name><memory unit='KiB'>1</memory><currentMemory unit='KiB'>1</currentMemory>\
                      <vcpu placement='static' current='1'>2</vcpu><vcpus><vcpu id='0' enabled='yes'/></vcpus><cputune><global_quota>1</global_quota></cputune><os><type/></os>\
                      </domain>";
        let resources = with(3000, 1 << 20);
        let after = with_amounts(before, resources).unwrap();
        let amounts = amounts(resources);
        assert_eq!(after, format!("<domain><name>a</name>{amounts}<os><type/></os></domain>"));
        assert_eq!((most_processors(before), most_processors(&after)), (Some(2), Some(12)));
        assert!(after.contains("<vcpu id='2' enabled='yes' hotpluggable='yes'/>"), "{after}");
        assert!(after.contains("<vcpu id='11' enabled='no' hotpluggable='yes'/></vcpus>"), "{after}");
    }

    #[test]
    fn what_a_user_named_is_text_and_never_an_element() {
        assert_eq!(escape("a'><disk/>\"&\u{1}"), "a&apos;&gt;&lt;disk/&gt;&quot;&amp;\u{fffd}");
    }
}
