//! Secrets that change while virtual machines run that mount them.

use e2e::{condition, eventually, eventually_within};
use serde_json::Value;

use crate::machine::{documents, vpc};
use crate::virtual_machine::{BOOT, IMAGE, SKIPPED, boots, cloud, domain, machine, page};

/// A virtual machine that serves the Secret's files as they are now, and what they held at each of its boots.
fn user(name: &str, policy: &str) -> String {
    machine(name)
        .replace(
            "  vpc: lab\n",
            &format!("  vpc: lab\n  secretUpdatePolicy: {policy}\n  volumes:\n  - {{mountPath: /db, secret: db}}\n"),
        )
        .replace("'echo boot >> /www/boots'", "'echo boot >> /www/boots' '(cat /db/key; echo) >> /www/begun'")
        .replace("- mkdir -p /www\n", "- mkdir -p /www\n        - ln -s /db /www/db\n")
}

#[test]
fn a_changed_secret_restarts_the_virtual_machine_that_wants_it_once_and_the_other_sees_the_file() {
    let Some((cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let put = |value: &str| cloud.cloudctl_with(&["secret", "put", "db", "key"], value).ok();
    let _ = put("first");
    cloud.apply(&documents(&[IMAGE.to_owned(), vpc("lab"), user("eager", "Restart"), user("calm", "Ignore")]));
    let [eager, calm] = ["eager", "calm"].map(|name| {
        eventually_within(BOOT, "the machine to run", || {
            let object = cloud.object("instances", name);
            if condition(&object, "Ready")["status"] == "True" { Ok(object) } else { Err(object) }
        })
    });
    assert_eq!((boots(&eager), boots(&calm)), (1, 1));
    let ip = |instance: &Value| instance["status"]["ip"].as_str().expect("an address").to_owned();
    let (eager_ip, calm_ip) = (ip(&eager), ip(&calm));
    let await_page = |ip: &str, path: &str, wanted: &str| {
        eventually_within(BOOT, path, || match page(ip, path) {
            found if found == wanted => Ok(()),
            found => Err(found),
        });
    };
    for ip in [&eager_ip, &calm_ip] {
        await_page(ip, "begun", "first\n");
    }

    let _ = put("second");
    await_page(&eager_ip, "begun", "first\nsecond\n");
    await_page(&calm_ip, "db/key", "second");
    let again = cloud.await_ready("instances", "eager");
    assert_eq!((boots(&again), domain(&again)), (2, domain(&eager)), "the machine is the same, on the same disk");
    assert_eq!(
        (&again["status"]["restartCount"], &again["status"]["secrets"][0]["changed"]),
        (&0.into(), &Value::Null)
    );
    let told =
        cloud.await_object("instances", "calm", "to say so", |calm| calm["status"]["secrets"][0]["changed"] == true);
    assert_eq!(told["status"]["startedAt"], calm["status"]["startedAt"]);
    assert_eq!(page(&calm_ip, "begun"), "first\n", "it goes on");
    for name in ["eager", "calm"] {
        let events = cloud.cloudctl(&["events", "--for", &format!("instance/{name}")]).ok();
        assert!(events.contains("SecretChanged") && events.contains("`db`"), "{events}");
    }

    // Who is restarted by hand begins with what is there; meanwhile nobody restarts the other one again.
    let _ = cloud.cloudctl_for(120, &["restart", "calm"], "").ok();
    await_page(&calm_ip, "begun", "first\nsecond\n");
    assert_eq!(cloud.await_ready("instances", "calm")["status"]["secrets"][0]["changed"], Value::Null);
    let later = cloud.object("instances", "eager");
    assert_eq!((boots(&later), &later["status"]["startedAt"]), (2, &again["status"]["startedAt"]), "once");

    let _ = cloud.cloudctl(&["delete", "inst", "eager", "calm"]).ok();
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "lab"]).ok();
    eventually("nothing to be left", || {
        let left = cloud.leftovers();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}
