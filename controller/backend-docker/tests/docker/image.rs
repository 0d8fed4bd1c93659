//! The image that the tests run: Debian's static busybox and nothing else, made here, so that no registry is needed.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use bollard::Docker;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;

const NAME: &str = "thecloud.dev/busybox";
const TAG: &str = "1";

/// The image's reference, after making it if it is not on the host.
pub async fn ensure(docker: &Docker) -> String {
    let reference = format!("{NAME}:{TAG}");
    if docker.inspect_image(&reference).await.is_ok() {
        return reference;
    }
    // Tests run in processes of their own; one makes the image, the others wait for it.
    let lock = File::create(std::env::temp_dir().join("thecloud-test-image.lock")).expect("a lock file");
    lock.lock().expect("the lock");
    if docker.inspect_image(&reference).await.is_err() {
        make(docker).await;
    }
    reference
}

async fn make(docker: &Docker) {
    let scratch = tempfile::tempdir().expect("a directory");
    let root = scratch.path().join("root");
    for dir in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir_all(root.join(dir)).expect("a directory");
    }
    fs::copy(busybox(), root.join("bin/busybox")).expect("a copy of busybox");
    let applets = Command::new(root.join("bin/busybox")).arg("--list").output().expect("busybox runs");
    for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|name| *name != "busybox") {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("a link");
    }
    let archive = scratch.path().join("root.tar");
    let status = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&root).arg(".").status().expect("tar runs");
    assert!(status.success(), "tar ended with {status}");

    let options = CreateImageOptionsBuilder::default().from_src("-").repo(NAME).tag(TAG).build();
    let body = bollard::body_full(fs::read(&archive).expect("the archive").into());
    let mut progress = docker.create_image(Some(options), Some(body), None);
    while let Some(step) = progress.next().await {
        step.expect("the image is imported");
    }
}

/// A busybox that runs anywhere.
pub fn busybox() -> &'static Path {
    let path = Path::new("/bin/busybox");
    let is_static = || path.exists() && Command::new("ldd").arg(path).output().is_ok_and(|ldd| !ldd.status.success());
    if !is_static() {
        let installed = Command::new("apt-get").args(["install", "-y", "busybox-static"]).output();
        let installed = installed.expect("apt-get runs; install `busybox-static` by hand where there is none");
        assert!(installed.status.success(), "apt-get: {}", String::from_utf8_lossy(&installed.stderr));
    }
    assert!(is_static(), "`{}` is the one of `busybox-static`", path.display());
    path
}
