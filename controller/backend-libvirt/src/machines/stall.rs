//! Decides why a domain that is paused stands still: whether for an error of writing, and of which disk. QEMU pauses a guest
//! whose disk has no room behind it, and writes the same again when it is resumed.
#![expect(unsafe_code, reason = "the safe binding doesn't tell of errors of disks")]

use std::ffi::CStr;
use std::ptr;

use controller_backend::{Stall, StallCause};
use virt::domain::Domain;
use virt::error::Error as LibvirtError;
use virt_sys as sys;

use crate::devices;
use crate::remount::elements;

/// Whether a domain in this state, for this reason, was paused because of an error of writing.
pub(super) fn is_stalled(state: sys::virDomainState, reason: i32) -> bool {
    state == sys::VIR_DOMAIN_PAUSED && u32::try_from(reason) == Ok(sys::VIR_DOMAIN_PAUSED_IOERROR)
}

/// Why a domain that was paused for that stands still; `xml` is the definition of what runs.
pub(super) fn find(domain: &Domain, xml: &str) -> Result<Stall, LibvirtError> {
    Ok(among(&disk_errors(domain)?, xml))
}

/// A full disk comes first: with room there, the other may be mended too.
fn among(errors: &[(String, u32)], xml: &str) -> Stall {
    let full = errors.iter().find(|(_, error)| *error == sys::VIR_DOMAIN_DISK_ERROR_NO_SPACE);
    let cause = if full.is_some() { StallCause::NoRoom } else { StallCause::WriteFailed };
    let target = full.or(errors.first()).map(|(target, _)| target.as_str());
    let mut disks = elements(xml, "disk").into_iter().map(|range| &xml[range]);
    let disk = disks.find(|disk| target.is_some() && devices::target(disk).as_deref() == target);
    Stall { cause, volume: disk.and_then(devices::volume) }
}

/// The disks that have failed, by their names among the machine's, with how.
fn disk_errors(domain: &Domain) -> Result<Vec<(String, u32)>, LibvirtError> {
    // SAFETY: without a place for any, their greatest number is told.
    let most = unsafe { sys::virDomainGetDiskErrors(domain.as_ptr(), ptr::null_mut(), 0, 0) };
    let most = u32::try_from(most).map_err(|_| LibvirtError::last_error())?;
    let none = sys::virDomainDiskError { disk: ptr::null_mut(), error: 0 };
    let mut errors = vec![none; most as usize];
    // SAFETY: there is a place for so many, which lives during the call.
    let found = unsafe { sys::virDomainGetDiskErrors(domain.as_ptr(), errors.as_mut_ptr(), most, 0) };
    let found = usize::try_from(found).map_err(|_| LibvirtError::last_error())?;
    errors.truncate(found);
    let told = errors.iter().map(|error| {
        // SAFETY: the library has put a string there, and leaves it to whoever asked.
        let name = unsafe { CStr::from_ptr(error.disk) }.to_string_lossy().into_owned();
        // SAFETY: it was allocated by the library's `malloc`, and this is its last use.
        unsafe { libc::free(error.disk.cast()) };
        (name, u32::try_from(error.error).unwrap_or_default())
    });
    Ok(told.collect())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_disk_without_room_is_told_by_its_volume() {
        let volume = Uuid::from_u128(7);
        let xml = format!(
            "<disk type='file'><target dev='vda' bus='virtio'/></disk><disk type='block'><target dev='vdc' bus='virtio'/>\
             <alias name='ua-volume-{volume}'/></disk>"
        );
        let failed = |target: &str| (target.to_owned(), sys::VIR_DOMAIN_DISK_ERROR_UNSPEC);
        let full = |target: &str| (target.to_owned(), sys::VIR_DOMAIN_DISK_ERROR_NO_SPACE);
        let of = |cause, volume| Stall { cause, volume };
        assert_eq!(among(&[full("vda")], &xml), of(StallCause::NoRoom, None));
        assert_eq!(among(&[failed("vda"), full("vdc")], &xml), of(StallCause::NoRoom, Some(volume)));
        assert_eq!(among(&[failed("vdc")], &xml), of(StallCause::WriteFailed, Some(volume)));
        assert_eq!(among(&[], &xml), of(StallCause::WriteFailed, None));
    }
}
