//! Whether what runs machines answers, and how virtual machines would run.

#[cfg(feature = "libvirt")]
use controller_backend_libvirt::Acceleration;

use super::Finding;
use crate::args::{AllInOneArgs, BackendChoice};

const DOCKER: &str = "docker";
const LIBVIRT: &str = "libvirt";

/// The oldest Docker that the tests have run with.
const OLDEST_DOCKER: u32 = 20;

pub(super) async fn docker(args: &AllInOneArgs) -> Finding {
    if args.compute.compute_backend == BackendChoice::Fake {
        return Finding::ok(DOCKER, "not needed by the fake backend");
    }
    match controller_backend_docker::version(&args.compute.docker_socket).await {
        Ok(version) => docker_version(&version),
        Err(error) => Finding::fail(
            DOCKER,
            chain(&error),
            "install and start Docker, run cloudd as root or in the group `docker`, or name the socket by --docker-socket",
        ),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said = format!("{said}: {cause}");
        source = cause.source();
    }
    said
}

fn docker_version(version: &str) -> Finding {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major < OLDEST_DOCKER => {
            Finding::fail(DOCKER, format!("version {version}"), format!("install {OLDEST_DOCKER}.10 or newer"))
        }
        _ => Finding::ok(DOCKER, format!("version {version}")),
    }
}

/// Whether libvirt answers, and whether machines run on the processor.
#[cfg(feature = "libvirt")]
pub(super) async fn virtual_machines(args: &AllInOneArgs) -> Vec<Finding> {
    if args.compute.compute_backend == BackendChoice::Fake {
        return vec![Finding::ok(LIBVIRT, "not needed by the fake backend")];
    }
    let uri = &args.compute.libvirt_uri;
    let reached = match controller_backend_libvirt::version(uri).await {
        Ok(version) => Finding::ok(LIBVIRT, format!("version {version} at {uri}")),
        Err(error) => {
            let way_out = "install and start libvirt (Debian: libvirt-daemon-system), or name it by --libvirt-uri";
            unless_wanted(args, chain(&error), way_out)
        }
    };
    let found = controller_backend_libvirt::find_acceleration().await;
    let (what, why) = ("domain type", &found.why);
    let runs = match found.acceleration {
        Acceleration::Kvm => Finding::ok(what, format!("kvm, because {why}")),
        Acceleration::Software => Finding::warn(
            what,
            format!("qemu, because {why}"),
            "virtual machines run in software, some ten times slower; turn on virtualisation in the firmware, or nesting on the host",
        ),
    };
    vec![reached, runs]
}

/// This cloudd can't.
#[cfg(not(feature = "libvirt"))]
#[expect(clippy::unused_async, reason = "the one that asks libvirt waits for it")]
pub(super) async fn virtual_machines(args: &AllInOneArgs) -> Vec<Finding> {
    let found = "this cloudd was built without it: containers only";
    if args.compute.compute_backend != BackendChoice::Libvirt {
        return vec![Finding::ok(LIBVIRT, found)];
    }
    vec![unless_wanted(args, found.to_owned(), "build it with `--features libvirt`, where libvirt-dev is installed")]
}

/// A warning, and a failure where Instances that don't say are virtual machines.
fn unless_wanted(args: &AllInOneArgs, found: String, way_out: &str) -> Finding {
    if args.compute.compute_backend == BackendChoice::Libvirt {
        Finding::fail(LIBVIRT, found, way_out)
    } else {
        Finding::warn(LIBVIRT, format!("{found} (containers work without it)"), way_out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn an_old_docker_fails_and_an_unusual_version_passes() {
        assert_eq!(docker_version("19.03.1").level, Level::Fail);
        assert_eq!(docker_version("20.10.24+dfsg1").level, Level::Ok);
        assert_eq!(docker_version("29.0.0").level, Level::Ok);
        assert_eq!(docker_version("dev").level, Level::Ok);
    }
}
