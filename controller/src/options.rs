//! What the controllers are told by the binary that runs them.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use controller_backend::Backend;
use crds::compute::instance::BackendName;
use ipnet::Ipv4Net;
use uuid::Uuid;

use crate::runtime::{Clock, Metrics, SystemClock};

/// The ports that the server picks from: below the ones that the kernel hands out by itself.
pub const DEFAULT_PUBLISH_RANGE: RangeInclusive<u16> = 20000..=29999;

/// What nobody has in the world: a Vpc with other addresses would take what the host sends there, and everybody on it.
pub const PRIVATE_RANGES: [Ipv4Net; 4] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
];

/// What the controllers are told.
#[derive(Clone)]
pub struct Options {
    /// The installation whose things are made and touched; of the store.
    pub installation: Uuid,
    /// What they drive: containers, and the networks, volumes and files of the host.
    pub backend: Backend,
    /// What runs virtual machines, on the same host's networks; `None` where nothing does.
    pub virtual_machines: Option<Backend>,
    /// What runs an Instance that doesn't say.
    pub backend_name: BackendName,
    /// The InstanceType of an Instance that names none.
    pub default_instance_type: String,
    /// The host's address that ports are published on unless the port says so.
    pub publish_address: IpAddr,
    /// The ports that the server picks from.
    pub publish_range: RangeInclusive<u16>,
    /// Where the ranges of Vpcs may be.
    pub vpc_ranges: Vec<Ipv4Net>,
    /// The name of this process in the Lease, see [`crate::this_process`].
    pub identity: String,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// What is counted; the binary registers it.
    pub metrics: Metrics,
    /// How many machines are made or started at a time. More only wait for each other inside the engine.
    pub starts_at_a_time: usize,
    /// Whether what has no object may be removed now. Not while a restore of the store is to be confirmed.
    pub may_sweep: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Options {
    /// The options with every default.
    #[must_use]
    pub fn new(installation: Uuid, backend: Backend) -> Self {
        Self {
            installation,
            backend,
            virtual_machines: None,
            backend_name: BackendName::Docker,
            default_instance_type: crds::compute::instance_type::DEFAULT.to_owned(),
            publish_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            publish_range: DEFAULT_PUBLISH_RANGE,
            vpc_ranges: PRIVATE_RANGES.into(),
            identity: crate::this_process(),
            clock: Arc::new(SystemClock),
            metrics: Metrics::default(),
            starts_at_a_time: 8,
            may_sweep: Arc::new(|| true),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Options")
            .field("installation", &self.installation)
            .field("backend_name", &self.backend_name)
            .field("default_instance_type", &self.default_instance_type)
            .field("publish_address", &self.publish_address)
            .field("publish_range", &self.publish_range)
            .field("vpc_ranges", &self.vpc_ranges)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
