//! `cloudd doctor`: what it says of this host, and of one that lacks something.

use e2e::{docker_is_there, skip_unless};

#[test]
fn doctor_says_a_line_a_check_and_ends_with_what_fails() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data").display().to_string();
    let doctor = |socket: &str| {
        let arguments = ["doctor", "--data-dir", &data, "--listen", "127.0.0.1:0", "--docker-socket", socket];
        e2e::run(e2e::binary("cloudd"), arguments, "")
    };
    let here = doctor("/var/run/docker.sock");
    let levels: Vec<_> = here.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(levels.len() >= 10 && levels.iter().all(|level| ["ok", "warn", "fail"].contains(level)), "{here}");
    assert_eq!(here.code == 1, levels.contains(&"fail"), "{here}");
    assert!(here.stdout.starts_with("ok    docker"), "{here}");
    // Built with libvirt, it says under what machines run, and why.
    if here.stdout.contains("libvirt  ") {
        let line = here.stdout.lines().find(|line| line.contains("domain type")).expect("a line says it");
        assert!(line.contains("  kvm, because ") || line.contains("  qemu, because "), "{line}");
    }

    let missing = doctor("/nonexistent/docker.sock");
    assert_eq!(missing.code, 1, "{missing}");
    let line = missing.stdout.lines().next().unwrap();
    assert!(line.starts_with("fail  docker") && line.contains("/nonexistent/docker.sock"), "{missing}");
    assert!(line.contains("--docker-socket"), "the way out: {missing}");
    assert!(!home.path().join("data").exists(), "it changes nothing");
}
