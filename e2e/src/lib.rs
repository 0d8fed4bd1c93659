//! A whole cloud for one test: the real `cloudd` as a process with a data directory and an installation of its own,
//! driven by the real `cloudctl` and `kubectl` against the real Docker. What a test made is gone when it ends; when
//! it fails, what the cloud looked like is printed first.

mod clients;
mod cloud;
mod docker;
mod libvirt;
mod run;
mod running;
mod wait;

pub use clients::{KubectlVersion, client, kubectls, limited};
pub use cloud::{Cloud, CloudBuilder, Role, Store, binary, condition};
pub use docker::{Docker, docker_is_there};
pub use libvirt::{Libvirt, tiny_vm, virsh};
pub use run::{Output, run, run_command};
pub use running::Running;
pub use wait::{eventually, eventually_within};

/// Ends the test early, loudly, where the machine lacks what it needs.
#[macro_export]
macro_rules! skip_unless {
    ($condition:expr, $($why:tt)*) => {
        if !$condition {
            eprintln!("SKIPPED: {}", format!($($why)*));
            return;
        }
    };
}
