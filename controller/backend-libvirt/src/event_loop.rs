//! The C library's own event loop, and what it calls: it speaks to libvirt past the safe binding, which has no domain
//! events. What is called back runs on the loop's thread, so it only hands on what it was told.
#![expect(unsafe_code, reason = "the safe binding has neither an event loop nor domain events")]

use std::ffi::{c_char, c_int, c_ulonglong, c_void};
use std::ptr;
use std::sync::OnceLock;

use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;
use virt::error::Error as LibvirtError;
use virt_sys as sys;

use crate::engine::Connection;

/// What the loop tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Something happened to a domain: libvirt's numbers for what, and in which way.
    Lifecycle { domain: Uuid, event: u32, detail: u32 },
    /// A domain let go of a device.
    Unplugged {
        /// Which.
        domain: Uuid,
    },
    /// A guest took memory, or gave some back.
    MemoryTaken {
        /// Of this domain.
        domain: Uuid,
    },
    /// The connection is lost.
    Closed,
}

static STARTED: OnceLock<Result<(), LibvirtError>> = OnceLock::new();

/// Starts the loop, once in the life of the process; before any connection is made.
pub(crate) fn start() -> Result<(), LibvirtError> {
    STARTED
        .get_or_init(|| {
            // SAFETY: called once, before any connection is open, as the library demands.
            if unsafe { sys::virEventRegisterDefaultImpl() } < 0 {
                return Err(LibvirtError::last_error());
            }
            // SAFETY: takes no pointers that are used; errors are read from each call instead of being printed.
            unsafe { sys::virSetErrorFunc(ptr::null_mut(), Some(silent)) };
            let run = || {
                loop {
                    // SAFETY: the default loop was registered, and only this thread runs it.
                    if unsafe { sys::virEventRunDefaultImpl() } < 0 {
                        tracing::warn!("libvirt's event loop failed once; it goes on");
                        std::thread::yield_now();
                    }
                }
            };
            let thread = std::thread::Builder::new().name("libvirt-events".to_owned()).spawn(run);
            thread.map(drop).map_err(|_| LibvirtError::last_error())
        })
        .clone()
}

/// Tells everything that happens to domains, and that the connection was lost, until the connection is closed.
pub(crate) fn watch(connection: &Connection, tell: &UnboundedSender<Told>) -> Result<(), LibvirtError> {
    let sender = || Box::into_raw(Box::new(tell.clone())).cast::<c_void>();
    let for_close = sender();
    // SAFETY: the box stays until `drop_sender` is called with it, which the library does once, when the callback goes.
    let registered = unsafe {
        sys::virConnectRegisterCloseCallback(connection.as_ptr(), Some(on_close), for_close, Some(drop_sender))
    };
    if registered < 0 {
        // SAFETY: it was not registered, so nobody else has the box.
        unsafe { drop_sender(for_close) };
        return Err(LibvirtError::last_error());
    }
    let for_events = sender();
    // SAFETY: for this event id the library calls the callback with the arguments of `virConnectDomainEventCallback`,
    // which is what `on_event` is; its type is erased because each id has another.
    let registered = unsafe {
        let callback: unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, c_int, c_int, *mut c_void) -> c_int =
            on_event;
        let erased = std::mem::transmute::<
            unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, c_int, c_int, *mut c_void) -> c_int,
            unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *mut c_void),
        >(callback);
        sys::virConnectDomainEventRegisterAny(
            connection.as_ptr(),
            ptr::null_mut(),
            sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE as c_int,
            Some(erased),
            for_events,
            Some(drop_sender),
        )
    };
    if registered < 0 {
        // SAFETY: it was not registered, so nobody else has the box.
        unsafe { drop_sender(for_events) };
        return Err(LibvirtError::last_error());
    }
    watch_memory(connection, sender());
    let for_devices = sender();
    // SAFETY: for this event id the library calls the callback with the arguments of
    // `virConnectDomainEventDeviceRemovedCallback`, which is what `on_removal` is.
    let registered = unsafe {
        let callback: unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *const c_char, *mut c_void) =
            on_removal;
        let erased = std::mem::transmute::<
            unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *const c_char, *mut c_void),
            unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *mut c_void),
        >(callback);
        sys::virConnectDomainEventRegisterAny(
            connection.as_ptr(),
            ptr::null_mut(),
            sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED as c_int,
            Some(erased),
            for_devices,
            Some(drop_sender),
        )
    };
    if registered < 0 {
        // SAFETY: it was not registered, so nobody else has the box.
        unsafe { drop_sender(for_devices) };
        return Err(LibvirtError::last_error());
    }
    Ok(())
}

/// Tells what guests take of memory. An older library has no such event, nor machines that it could be about.
fn watch_memory(connection: &Connection, sender: *mut c_void) {
    // SAFETY: for this event id the library calls the callback with the arguments of
    // `virConnectDomainEventMemoryDeviceSizeChangeCallback`, which is what `on_memory` is.
    let registered = unsafe {
        let callback: unsafe extern "C" fn(
            sys::virConnectPtr,
            sys::virDomainPtr,
            *const c_char,
            c_ulonglong,
            *mut c_void,
        ) = on_memory;
        let erased = std::mem::transmute::<
            unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *const c_char, c_ulonglong, *mut c_void),
            unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *mut c_void),
        >(callback);
        sys::virConnectDomainEventRegisterAny(
            connection.as_ptr(),
            ptr::null_mut(),
            sys::VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE as c_int,
            Some(erased),
            sender,
            Some(drop_sender),
        )
    };
    if registered < 0 {
        // SAFETY: it was not registered, so nobody else has the box.
        unsafe { drop_sender(sender) };
    }
}

unsafe extern "C" fn silent(_data: *mut c_void, _error: sys::virErrorPtr) {}

unsafe extern "C" fn on_close(_connection: sys::virConnectPtr, _reason: c_int, opaque: *mut c_void) {
    // SAFETY: `opaque` is the sender that was boxed at the registration.
    let tell = unsafe { &*opaque.cast::<UnboundedSender<Told>>() };
    let _ = tell.send(Told::Closed);
}

unsafe extern "C" fn on_event(
    _connection: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    event: c_int,
    detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: `opaque` is the sender that was boxed at the registration.
    let tell = unsafe { &*opaque.cast::<UnboundedSender<Told>>() };
    // SAFETY: the domain lives during the callback.
    if let Some(domain) = unsafe { uuid(domain) } {
        let number = |value: c_int| u32::try_from(value).unwrap_or(u32::MAX);
        let _ = tell.send(Told::Lifecycle { domain, event: number(event), detail: number(detail) });
    }
    0
}

unsafe extern "C" fn on_removal(
    _connection: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _device: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: `opaque` is the sender that was boxed at the registration.
    let tell = unsafe { &*opaque.cast::<UnboundedSender<Told>>() };
    // SAFETY: the domain lives during the callback.
    if let Some(domain) = unsafe { uuid(domain) } {
        let _ = tell.send(Told::Unplugged { domain });
    }
}

unsafe extern "C" fn on_memory(
    _connection: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _device: *const c_char,
    _kib: c_ulonglong,
    opaque: *mut c_void,
) {
    // SAFETY: `opaque` is the sender that was boxed at the registration.
    let tell = unsafe { &*opaque.cast::<UnboundedSender<Told>>() };
    // SAFETY: the domain lives during the callback.
    if let Some(domain) = unsafe { uuid(domain) } {
        let _ = tell.send(Told::MemoryTaken { domain });
    }
}

unsafe fn uuid(domain: sys::virDomainPtr) -> Option<Uuid> {
    let mut uuid = [0_u8; sys::VIR_UUID_BUFLEN as usize];
    // SAFETY: the caller says that the domain lives, and the buffer has the length that the library writes.
    let told = unsafe { sys::virDomainGetUUID(domain, uuid.as_mut_ptr()) };
    (told == 0).then(|| Uuid::from_bytes(uuid))
}

unsafe extern "C" fn drop_sender(opaque: *mut c_void) {
    // SAFETY: `opaque` is the sender that was boxed at the registration, and this is the last use of it.
    drop(unsafe { Box::from_raw(opaque.cast::<UnboundedSender<Told>>()) });
}
