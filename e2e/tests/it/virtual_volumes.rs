//! Volumes and projected files in virtual machines: the same YAML, the same data, wherever it runs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{condition, eventually, eventually_within, virsh};

use crate::machine::{documents, sleeper, volume, vpc};
use crate::virtual_machine::{BOOT, IMAGE, SKIPPED, boots, cloud, domain, machine, page};

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n";

/// What nobody reads but the machine that mounts it.
const HUSHED: &str = "hushed-1f0c7a52b6";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: hush\nstringData:\n  key: hushed-1f0c7a52b6\n";

/// A virtual machine that mounts and serves the Volume, and says what it could not write to.
fn virtual_reader(name: &str) -> String {
    machine(name)
        .replace(
            "  vpc: lab\n",
            "  vpc: lab\n  volumes:\n  - {mountPath: /data, volume: data}\n  - {mountPath: /settings, configMap: settings}\n  - {mountPath: /hush, secret: hush}\n  \
             - {mountPath: \"/scratch's place\", emptyDir: {sizeLimit: 1Mi}}\n",
        )
        .replace(
            "        - hostname > /www/index.html\n",
            "        - ln -s /data /www/data\n        - ln -s /settings /www/settings\n        - ln -s /hush /www/hush\n        \
             - echo from the machine > /data/machine\n        \
             - touch /settings/mine || echo refused > /data/settings\n        \
             - mount -o remount,rw /settings && touch /settings/mine || echo refused >> /data/settings\n        \
             - df -k \"/scratch's place\" > /data/scratch\n        - sync\n",
        )
}

#[test]
fn a_volume_moves_between_a_container_and_a_virtual_machine_with_its_data() {
    let Some((cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let with_data = "vpc: lab\nvolumes:\n- {mountPath: /data, volume: data}";
    let writer =
        format!("{with_data}\ncommand: [sh, -c, \"echo from the container > /data/container; exec sleep 100000\"]");
    cloud.apply(&documents(&[
        IMAGE.to_owned(),
        vpc("lab"),
        volume("data", "64Mi"),
        CONFIG.to_owned(),
        SECRET.to_owned(),
        sleeper("first", &writer),
    ]));
    cloud.await_ready("instances", "first");

    // One machine writes at a time, whichever kind it is.
    cloud.apply(&virtual_reader("second"));
    let waiting = cloud.await_object("instances", "second", "to wait for the Volume", |second| {
        condition(second, "Ready")["reason"] == "VolumeInUse"
    });
    let message = condition(&waiting, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("Volume `data` is in use by Instance `first`"), "{message}");
    let _ = cloud.cloudctl(&["delete", "inst", "first"]).ok();

    let second = eventually_within(BOOT, "the machine to run", || {
        let second = cloud.object("instances", "second");
        if condition(&second, "Ready")["status"] == "True" { Ok(second) } else { Err(second) }
    });
    assert_eq!(boots(&second), 1);
    let ip = second["status"]["ip"].as_str().expect("an address").to_owned();
    assert_eq!(page(&ip, "data/container"), "from the container\n");
    assert_eq!(page(&ip, "settings/colour"), "blue");
    assert_eq!(page(&ip, "hush/key"), HUSHED);
    let definition = virsh(&["dumpxml", "--security-info", &domain(&second)]).ok();
    assert!(definition.contains("<filesystem"), "{definition}");
    assert!(!definition.contains(HUSHED) && !definition.contains(&STANDARD.encode(HUSHED)), "{definition}");
    assert_eq!(page(&ip, "data/settings"), "refused\nrefused\n", "what is projected is never written to");
    let scratch = page(&ip, "data/scratch");
    assert!(scratch.contains("1024") && scratch.contains("tmpfs"), "{scratch}");
    assert_eq!(cloud.object("volumes", "data")["status"]["attachedTo"][0], "second");

    // What is projected changes while the machine runs.
    cloud.apply(&CONFIG.replace("blue", "red"));
    eventually_within(BOOT, "the machine to see the change", || match page(&ip, "settings/colour").as_str() {
        "red" => Ok(()),
        other => Err(other.to_owned()),
    });

    // At the next boot all of it is there again; a container waits for as long as the machine has the Volume.
    cloud.apply(&sleeper("third", with_data));
    cloud.await_object("instances", "third", "to wait for the Volume", |third| {
        condition(third, "Ready")["message"].as_str().is_some_and(|text| text.contains("in use by Instance `second`"))
    });
    let _ = virsh(&["destroy", &domain(&second)]).ok();
    cloud.await_object("instances", "second", "to count a restart", |second| second["status"]["restartCount"] == 1);
    assert_eq!(boots(&cloud.await_ready("instances", "second")), 2);
    assert_eq!(page(&ip, "data/container"), "from the container\n");

    // And back.
    let _ = cloud.cloudctl(&["delete", "inst", "second"]).ok();
    cloud.await_ready("instances", "third");
    let seen = cloud.docker().call(&["exec", &cloud.container("third"), "cat", "/data/container", "/data/machine"]);
    assert_eq!(seen.stdout, "from the container\nfrom the machine\n");
    let _ = cloud.cloudctl(&["delete", "inst", "third"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "lab"]).ok();
    eventually("nothing to be left", || {
        let left = cloud.leftovers();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}
