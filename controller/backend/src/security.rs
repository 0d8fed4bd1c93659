//! What a machine may do on its host where that differs from the bounds that hold for every machine.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Most processes and threads of a machine at a time, unless it has a limit of its own.
pub const PROCESS_LIMIT: u32 = 4096;

/// In [`SecurityContext::drop`]: every capability that a machine would have.
pub const ALL: &str = "ALL";

/// How a machine's bounds differ from those of every machine. The default is that they don't.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityContext {
    /// Linux capabilities that it has more, without `CAP_`: `NET_ADMIN`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub add: BTreeSet<String>,
    /// Capabilities that it has less, or [`ALL`]. What it has more comes on top of that.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub drop: BTreeSet<String>,
    /// Devices of the host that it reads and writes, under the same path: `/dev/net/tun`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub devices: BTreeSet<String>,
    /// Most processes and threads at a time.
    #[serde(default = "process_limit", skip_serializing_if = "is_process_limit")]
    pub process_limit: u32,
}

impl Default for SecurityContext {
    fn default() -> Self {
        Self { add: BTreeSet::new(), drop: BTreeSet::new(), devices: BTreeSet::new(), process_limit: process_limit() }
    }
}

fn process_limit() -> u32 {
    PROCESS_LIMIT
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_process_limit(limit: &u32) -> bool {
    *limit == PROCESS_LIMIT
}
