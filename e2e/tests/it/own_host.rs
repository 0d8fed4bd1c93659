//! A test run again in a network and with mounts of its own, so that what it does to a host it does to nobody else's.

use std::process::Command;

use e2e::run;

/// Names the network in which a test is run a second time.
const INSIDE: &str = "CLOUD_E2E_NETWORK_NAMESPACE";

/// A network that is connected to nothing.
pub(crate) fn make_namespace(name: &str) {
    let _ = run("ip", ["netns", "add", name], "").ok();
    let _ = run("ip", ["-n", name, "link", "set", "lo", "up"], "").ok();
}

/// Runs this test again with a network and mounts of its own. There it calls `inside` with the network's name. A mount
/// made there is seen by what is started there, and gone with the last of it.
///
/// # Panics
/// It failed inside.
pub(crate) fn on_a_host_of_its_own(test: &str, inside: impl FnOnce(String)) {
    if let Ok(namespace) = std::env::var(INSIDE) {
        return inside(namespace);
    }
    let namespace = format!("tc-host-{}", std::process::id());
    make_namespace(&namespace);
    let own = std::env::current_exe().unwrap();
    let mut again = Command::new("nsenter");
    again.arg(format!("--net=/run/netns/{namespace}"));
    again.args(["unshare", "--mount", "--propagation", "private"]);
    again.args(["sh", "-c", "mount --make-rshared / && exec \"$0\" \"$@\""]);
    again.arg(own).args(["--exact", test, "--nocapture"]);
    let ended = again.env(INSIDE, &namespace).status().unwrap();
    let _ = run("ip", ["netns", "delete", &namespace], "");
    assert!(ended.success(), "inside of {namespace}");
}
