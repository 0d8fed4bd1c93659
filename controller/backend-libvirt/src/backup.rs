//! Copies of the disk of a machine that runs, of one moment, made by QEMU itself: libvirt's backup jobs, which the safe
//! binding lacks.
#![expect(unsafe_code, reason = "the safe binding has no backup jobs")]

use std::ffi::{CString, c_int};
use std::path::Path;
use std::ptr;

use virt::domain::Domain;
use virt::error::Error as LibvirtError;
use virt_sys as sys;

use crate::domain_xml::escape;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Going {
    pub(crate) total: u64,
    pub(crate) done: u64,
}

/// Begins to copy what the root disk holds now into a new file that stands alone. The machine goes on, and what it writes
/// from now on isn't in it.
pub(crate) fn begin(domain: &Domain, to: &Path) -> Result<(), LibvirtError> {
    let text = CString::new(definition(to)).unwrap_or_default();
    // SAFETY: the domain and the text live during the call, and there is no checkpoint.
    let begun = unsafe { sys::virDomainBackupBegin(domain.as_ptr(), text.as_ptr(), ptr::null(), 0) };
    if begun < 0 { Err(LibvirtError::last_error()) } else { Ok(()) }
}

/// How far the machine's job is; `None` if none goes on.
pub(crate) fn going(domain: &Domain) -> Result<Option<Going>, LibvirtError> {
    let job = match domain.get_job_info() {
        Ok(job) => job,
        // It is just being begun or ended.
        Err(error) if error.message().contains("backup job data missing") => {
            return Ok(Some(Going { total: 0, done: 0 }));
        }
        Err(error) => return Err(error),
    };
    let ended = [sys::VIR_DOMAIN_JOB_NONE, sys::VIR_DOMAIN_JOB_COMPLETED, sys::VIR_DOMAIN_JOB_FAILED];
    let goes_on = u32::try_from(job.r#type).is_ok_and(|kind| !ended.contains(&kind));
    let going = Going { total: job.disk_total.unwrap_or_default(), done: job.disk_processed.unwrap_or_default() };
    Ok(goes_on.then_some(going))
}

/// Whether the machine's last job came to its end. libvirt tells it once.
pub(crate) fn completed(domain: &Domain) -> Result<bool, LibvirtError> {
    let (mut kind, mut count): (c_int, c_int) = (0, 0);
    let mut parameters: sys::virTypedParameterPtr = ptr::null_mut();
    // SAFETY: all that is pointed to lives during the call; the library allocates the parameters.
    let told = unsafe {
        sys::virDomainGetJobStats(
            domain.as_ptr(),
            &raw mut kind,
            &raw mut parameters,
            &raw mut count,
            sys::VIR_DOMAIN_JOB_STATS_COMPLETED,
        )
    };
    if told < 0 {
        return Err(LibvirtError::last_error());
    }
    // SAFETY: they are the library's, and this is their only use.
    unsafe { sys::virTypedParamsFree(parameters, count) };
    Ok(u32::try_from(kind).is_ok_and(|kind| kind == sys::VIR_DOMAIN_JOB_COMPLETED))
}

/// Ends the machine's job; what it has copied is worth nothing.
pub(crate) fn abort(domain: &Domain) -> Result<(), LibvirtError> {
    // SAFETY: the domain lives during the call.
    if unsafe { sys::virDomainAbortJob(domain.as_ptr()) } < 0 { Err(LibvirtError::last_error()) } else { Ok(()) }
}

/// Only of the root disk: others are Volumes, or tell of the first boot.
fn definition(to: &Path) -> String {
    format!(
        "<domainbackup mode='push'><disks><disk name='vda' backup='yes' type='file'><target file='{}'/>\
         <driver type='qcow2'/></disk></disks></domainbackup>",
        escape(&to.to_string_lossy())
    )
}
