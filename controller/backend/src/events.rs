//! The port that wakes controllers: what happens to things that bear our marks, the moment it happens. An event is a
//! hint to look; it is never the truth itself.

use futures::stream::BoxStream;

use crate::Owner;

/// Tells what happens to the installation's things.
pub trait Events: Send + Sync {
    /// Events from now on, for ever: a lost connection is made again inside.
    ///
    /// # Guarantees
    /// - Begins with `Resync` once the connection stands, and gives another after each time that it was lost.
    /// - Whatever happens after a `Resync` was given is told, or another `Resync` follows.
    fn watch(&self) -> EventStream;
}

/// Events as they come. It never ends by itself.
pub type EventStream = BoxStream<'static, Event>;

/// A reason to look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something happened to a thing of this owner.
    Changed {
        /// The marks that the thing bears.
        owner: Owner,
        /// What happened.
        happening: Happening,
    },
    /// An image came to the host, or got another name: who waits for one may look again.
    ImageArrived,
    /// Events may have been missed: look at everything.
    Resync,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Happening {
    /// A machine was made.
    Created,
    /// A machine started.
    Started,
    /// A machine ended, by itself or not.
    Died,
    /// The kernel killed something in a machine for want of memory.
    OutOfMemory,
    /// A machine was frozen.
    Paused,
    /// A machine was thawed.
    Unpaused,
    /// A machine or network is gone.
    Removed,
    /// Something left or joined a network.
    Rewired,
    /// A machine got another name.
    Renamed,
    /// A machine let go of a device.
    Unplugged,
    /// A guest took memory that its machine was given while it runs, or has none of that any more, as after a reboot.
    MemoryTaken,
}
