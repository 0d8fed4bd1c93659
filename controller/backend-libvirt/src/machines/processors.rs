//! Changes how many processors a machine has while it runs, and how much of their time.

use controller_backend::Resources;
use virt::domain::Domain;
use virt_sys as sys;

use crate::domain_xml;
use crate::engine::CallError;

/// More are there at once, for the guest to use. Of fewer the guest lets go in some seconds, if it does: what it keeps gets
/// no more time.
pub(super) fn change(domain: &Domain, resources: Resources) -> Result<(), CallError> {
    let count = || domain.get_vcpus_flags(sys::VIR_DOMAIN_VCPU_LIVE).map(u64::from);
    let (before, wanted) = (count()?, resources.processors());
    let limit = |processors: u64| {
        let time = domain_xml::processor_time(resources, processors);
        domain.set_scheduler_parameters_flags(&time, sys::VIR_DOMAIN_AFFECT_LIVE)
    };
    if wanted < before {
        // The guest takes what time it likes to answer.
        limit(before)?;
    }
    if wanted != before {
        let number = u32::try_from(wanted).unwrap_or(u32::MAX);
        let changed = domain.set_vcpus_flags(number, sys::VIR_DOMAIN_VCPU_LIVE);
        if let Err(error) = changed {
            if wanted > before {
                return Err(error.into());
            }
            tracing::debug!(error = %error, "a guest keeps processors that it gets no time for");
        }
    }
    limit(count()?)?;
    Ok(())
}
