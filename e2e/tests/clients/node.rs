//! The Node.js client with its informer.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use e2e::{Cloud, client, run, run_command, skip_unless};

use crate::widget::definition;

#[test]
fn the_node_client_and_its_informer_follow_what_happens() {
    let modules = client("node");
    skip_unless!(modules.is_some(), "the Node.js client could not be fetched; ./justw test tries to");
    skip_unless!(run("sh", ["-c", "command -v node"], "").code == 0, "there is no Node.js");
    let cloud = Cloud::builder().fake().start();
    // A program finds its packages beside itself.
    let folder = tempfile::tempdir().expect("a temporary directory");
    symlink(modules.expect("just seen").join("node_modules"), folder.path().join("node_modules")).expect("a link");
    for file in ["package.json", "informer.js"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/node").join(file);
        fs::copy(source, folder.path().join(file)).expect("the program can be copied");
    }
    let mut command = cloud.client("node");
    let output = run_command(command.arg(folder.path().join("informer.js")), &definition("node.example.com"));
    assert!(output.code == 0 && output.stdout.ends_with("all is well\n"), "{output}");
}
