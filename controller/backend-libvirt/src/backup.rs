//! Copies of the disk of a machine that runs, of one moment, made by QEMU itself: libvirt's backup jobs, which the safe
//! binding lacks.
#![expect(unsafe_code, reason = "the safe binding has no backup jobs")]

use std::ffi::{CString, c_int};
use std::path::Path;
use std::ptr;

use controller_backend::{Error, Still};
use virt::domain::Domain;
use virt::error::{Error as LibvirtError, ErrorNumber};
use virt_sys as sys;

use crate::domain_xml::escape;
use crate::engine::CallError;
use crate::frozen;

/// So long a guest's agent may take over what it was asked: a guest that is to be frozen writes what it holds back first. One
/// that says nothing at all is given up by libvirt after five seconds.
const AGENT_SECONDS: c_int = 30;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Going {
    pub(crate) total: u64,
    pub(crate) done: u64,
}

/// Begins to copy what the root disk holds now into a new file that stands alone. The machine goes on, and what it writes
/// from now on isn't in it. Tells whether the guest's file systems were frozen for that moment, by the guest's own agent;
/// while it may be, it is held.
pub(crate) fn begin(domain: &Domain, to: &Path, hold: impl FnOnce() -> Still) -> Result<bool, LibvirtError> {
    let text = CString::new(definition(to)).unwrap_or_default();
    let listens = has_agent(&domain.get_xml_desc(0)?) && answers(domain);
    let _held = listens.then(hold);
    if listens {
        // Should this process be killed, the next one has it thawed.
        frozen::note(domain)?;
    }
    let frozen = listens && freeze(domain);
    // SAFETY: the domain and the text live during the call, and there is no checkpoint.
    let begun = unsafe { sys::virDomainBackupBegin(domain.as_ptr(), text.as_ptr(), ptr::null(), 0) };
    let begun = if begun < 0 { Err(LibvirtError::last_error()) } else { Ok(frozen) };
    if listens {
        // Also one that froze too late. One that is still about to freeze is thawed later: the note stays.
        match thaw(domain) {
            Err(error) if frozen || is_silence(&error) => {
                tracing::warn!(error = %error, "a guest's file systems may still be frozen: its agent did not answer");
            }
            _ => frozen::forget(domain)?,
        }
    }
    begun
}

/// Has a guest go on that another process has left frozen.
pub(crate) fn thaw_noted(domain: &Domain) -> Result<(), CallError> {
    let xml = if domain.is_active()? { domain.get_xml_desc(0)? } else { return Ok(()) };
    if !frozen::is_noted(&xml) {
        return Ok(());
    }
    if !has_agent(&xml) {
        let message = "the guest's agent is gone, and its file systems may be frozen: `cloudctl restart` has it go on";
        return Err(CallError::Told(Error::failed("thaw the guest", message)));
    }
    thaw(domain)?;
    Ok(frozen::forget(domain)?)
}

/// Whether somebody in the guest answers for it.
fn has_agent(xml: &str) -> bool {
    xml.contains("name='org.qemu.guest_agent.0' state='connected'")
}

/// Whether the guest's agent, which may be anybody's, says anything: one that doesn't is asked for nothing.
fn answers(domain: &Domain) -> bool {
    allow_time(domain).is_ok() && domain.get_time(0).map_or_else(|error| !is_silence(&error), |_| true)
}

fn is_silence(error: &LibvirtError) -> bool {
    error.code() == ErrorNumber::AgentUnresponsive
}

fn allow_time(domain: &Domain) -> Result<(), LibvirtError> {
    // SAFETY: the domain lives during the call.
    let set = unsafe { sys::virDomainAgentSetResponseTimeout(domain.as_ptr(), AGENT_SECONDS, 0) };
    if set < 0 { Err(LibvirtError::last_error()) } else { Ok(()) }
}

/// Asks the guest to write what it holds back and nothing more; whether it does.
fn freeze(domain: &Domain) -> bool {
    // SAFETY: the domain lives during the call; no file system is named, which means all of them.
    unsafe { sys::virDomainFSFreeze(domain.as_ptr(), ptr::null_mut(), 0, 0) >= 0 }
}

fn thaw(domain: &Domain) -> Result<(), LibvirtError> {
    allow_time(domain)?;
    // SAFETY: as above.
    let thawed = unsafe { sys::virDomainFSThaw(domain.as_ptr(), ptr::null_mut(), 0, 0) };
    if thawed < 0 { Err(LibvirtError::last_error()) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_answers_only_once_it_is_connected() {
        let channel = |state| format!("<target type='virtio' name='org.qemu.guest_agent.0'{state}/>");
        assert!(has_agent(&channel(" state='connected'")));
        assert!(!has_agent(&channel(" state='disconnected'")) && !has_agent(&channel("")));
    }
}
