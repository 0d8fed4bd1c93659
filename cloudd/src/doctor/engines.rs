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

/// By what Docker confines containers. Nothing where it doesn't answer, which is said already.
pub(super) async fn confinement(args: &AllInOneArgs) -> Vec<Finding> {
    if args.compute.compute_backend == BackendChoice::Fake {
        return Vec::new();
    }
    let found = controller_backend_docker::confinement(&args.compute.docker_socket).await;
    found.map(|options| Vec::from(confined_by(&options))).unwrap_or_default()
}

fn confined_by(options: &[String]) -> [Finding; 2] {
    let has = |name: &str| options.iter().any(|option| option.split(',').any(|part| part == format!("name={name}")));
    let calls = "system call filter";
    let filter = if has("seccomp") {
        Finding::ok(calls, "on in Docker")
    } else {
        let way_out = "run a kernel and a Docker with seccomp: containers may make every system call";
        Finding::warn(calls, "off in Docker", way_out)
    };
    let ids = if has("userns") {
        "on in Docker: root in a container is nobody on the host"
    } else {
        "off in Docker: root in a container has root's id on the host, without most of its rights"
    };
    [filter, Finding::ok("user namespaces", ids)]
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
    fn a_docker_without_a_system_call_filter_is_warned_of() {
        let options = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let usual = confined_by(&options(&["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"]));
        assert_eq!(usual.each_ref().map(|finding| finding.level), [Level::Ok, Level::Ok]);
        assert!(usual[1].found.starts_with("off"));
        let remapped = confined_by(&options(&["name=userns"]));
        assert_eq!(remapped[0].level, Level::Warn);
        assert!(remapped[1].found.starts_with("on"));
    }

    #[test]
    fn an_old_docker_fails_and_an_unusual_version_passes() {
        assert_eq!(docker_version("19.03.1").level, Level::Fail);
        assert_eq!(docker_version("20.10.24+dfsg1").level, Level::Ok);
        assert_eq!(docker_version("29.0.0").level, Level::Ok);
        assert_eq!(docker_version("dev").level, Level::Ok);
    }
}
