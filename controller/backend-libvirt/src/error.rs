//! The only place where libvirt's errors become the ports'.

use controller_backend::Error;
use virt::error::{Error as LibvirtError, ErrorNumber};

/// `what` is the thing that the call is about, `action` completes "failed to ...".
pub(crate) fn translate(what: &str, action: &str, error: LibvirtError) -> Error {
    match error.code() {
        ErrorNumber::NoDomain => Error::not_found(what),
        ErrorNumber::NoConnect | ErrorNumber::InvalidConn | ErrorNumber::Rpc => Error::unavailable("libvirt", error),
        _ => Error::failed(action, error),
    }
}
