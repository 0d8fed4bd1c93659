//! The note that a guest was asked to freeze its file systems, which its machine bears until it was asked to thaw them: a
//! process that is killed in between can't do so, and the next one finds the note. It ends with the run of the machine, as
//! what is frozen does.

use virt::domain::Domain;
use virt::error::Error as LibvirtError;
use virt_sys as sys;

/// The namespace of the note in a machine's metadata.
const URI: &str = "https://thecloud.dev/libvirt/frozen/1";
const KEY: &str = "cloud-frozen";
const KIND: i32 = sys::VIR_DOMAIN_METADATA_ELEMENT as i32;

/// Notes it, before the guest is asked.
pub(crate) fn note(domain: &Domain) -> Result<(), LibvirtError> {
    domain.set_metadata(KIND, Some("<frozen/>"), Some(KEY), Some(URI), sys::VIR_DOMAIN_AFFECT_LIVE).map(drop)
}

/// Takes the note away.
pub(crate) fn forget(domain: &Domain) -> Result<(), LibvirtError> {
    domain.set_metadata(KIND, None, None, Some(URI), sys::VIR_DOMAIN_AFFECT_LIVE).map(drop)
}

/// Whether the definition of a machine that runs has the note.
pub(crate) fn is_noted(xml: &str) -> bool {
    xml.contains(&format!("xmlns:{KEY}=\"{URI}\""))
}
