//! The master key is rotated in a cloud that is killed again and again meanwhile: it goes on, every Secret is readable, and
//! then the new key alone is needed.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use e2e::{Cloud, binary, run};

const NAMESPACES: usize = 20;

/// Namespaces with a Secret each.
fn secrets() -> String {
    let one = |number: usize| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: n{number}\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  \
             name: s\n  namespace: n{number}\nstringData:\n  word: hush\n"
        )
    };
    (0..NAMESPACES).map(one).collect::<Vec<_>>().join("---\n")
}

fn assert_readable(cloud: &Cloud) {
    let listed = cloud.cloudctl(&["get", "secrets", "-A", "-o", "json"]).ok();
    assert_eq!(listed.matches("aHVzaA==").count(), NAMESPACES, "{listed}");
}

#[test]
fn killed_again_and_again_a_rotation_goes_on_and_then_the_new_key_is_all_that_is_needed() {
    let mut cloud = Cloud::builder().fake().start();
    let _ = cloud.apply(&secrets());
    let file = cloud.data_dir().join("secret.key");
    let first = fs::read_to_string(&file).expect("the key file is there");
    for pause in [0, 30, 60, 100, 150, 220] {
        let new = run(binary("cloudd"), ["new-key"], "").ok();
        let mut keys = OpenOptions::new().append(true).open(&file).expect("the key file is ours");
        keys.write_all(new.as_bytes()).expect("a line can be appended");
        let mut command = cloud.client(binary("cloudctl"));
        let rotating = command.args(["admin", "rotate-key"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        std::thread::park_timeout(Duration::from_millis(pause));
        cloud.kill();
        let _ = rotating.expect("cloudctl can be started").wait();
        cloud.launch();
        assert_readable(&cloud);
    }
    let said = cloud.cloudctl(&["admin", "rotate-key"]).ok();
    assert!(said.contains("No row opens with"), "{said}");

    assert_eq!(cloud.stop(), 0);
    let keys = fs::read_to_string(&file).expect("the key file is there");
    let last = keys.lines().last().expect("there are several");
    fs::write(&file, &first).expect("the key file is ours");
    let data_dir = cloud.data_dir();
    let refused =
        run(binary("cloudd"), ["--data-dir", data_dir.to_str().expect("UTF-8"), "--compute-backend=fake"], "");
    let refused = refused.failed();
    assert!(refused.contains("the store is sealed with the key"), "{refused}");
    fs::write(&file, format!("{last}\n")).expect("the key file is ours");
    cloud.launch();
    assert_readable(&cloud);
    let said = cloud.cloudctl(&["admin", "rotate-key", "--status"]).ok();
    assert!(said.contains("no newer one is given"), "{said}");
}
