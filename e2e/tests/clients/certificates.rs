//! The operator makes a client certificate, and whoever has it comes in with any client.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use e2e::{Cloud, Output, binary, run_command};

#[test]
fn a_certificate_is_made_on_the_host_and_lets_its_owner_in() {
    let (cloud, home) = (Cloud::builder().fake().start(), tempfile::tempdir().unwrap());
    let file = home.path().join("ann.kubeconfig");
    let make = |words: &str| -> Output {
        let mut command = Command::new(binary("cloudd"));
        command.args(words.split(' ')).arg("--output").arg(&file).arg("--data-dir").arg(cloud.data_dir());
        run_command(&mut command, "")
    };
    let said = make("new-certificate ann --group painters --group cleaners --days 2").ok();
    assert!(said.contains(&format!("lets in ann at https://{}", cloud.address())), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut whoami = Command::new(binary("cloudctl"));
    let who = run_command(whoami.arg("--kubeconfig").arg(&file).arg("whoami"), "").ok();
    assert!(who.contains("ann") && who.contains("painters, cleaners, system:authenticated"), "{who}");

    let again = make("new-certificate bob").failed();
    assert!(again.contains("ann.kubeconfig") && again.contains("exists"), "{again}");
    fs::remove_file(&file).unwrap();
    let refused = make("new-certificate ann --group system:masters").failed();
    assert!(refused.contains("`system:masters` can't be in a client certificate"), "{refused}");
    assert!(!file.exists());
}
