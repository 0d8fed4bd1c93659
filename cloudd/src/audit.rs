//! Opens the audit log as the command line says.

use std::fs;
use std::sync::Arc;

use anyhow::Context as _;
use apiserver::{Audit, AuditOptions, Policy, SystemClock};

use crate::args::{AuditArgs, StateArgs};

/// Opens the log once for the life of the process: the parts that start anew go on with it.
///
/// # Errors
/// The policy is none, or the directory can't be written.
pub(crate) fn open(
    kept: &mut Option<Arc<Audit>>,
    state: &StateArgs,
    args: &AuditArgs,
) -> anyhow::Result<Option<Arc<Audit>>> {
    if args.audit_policy.as_deref() == Some("off") {
        return Ok(None);
    }
    if kept.is_none() {
        let policy = match args.audit_policy.as_deref() {
            None => Policy::default(),
            Some(path) => {
                let text = fs::read_to_string(path).with_context(|| format!("the audit policy {path}"))?;
                Policy::parse(&text).with_context(|| format!("the audit policy {path}"))?
            }
        };
        let options = AuditOptions {
            folder: args.audit_dir.clone().unwrap_or_else(|| state.data_dir.join("audit")),
            policy,
            file_bytes: args.audit_file_size,
            files: args.audit_files,
            clock: Arc::new(SystemClock),
        };
        *kept = Some(Arc::new(Audit::open(options)?));
    }
    Ok(kept.clone())
}
