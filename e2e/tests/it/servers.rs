//! Ordinary servers of a distribution run within the bounds that hold for every machine, and give up being root by
//! themselves; what takes more than these bounds has it from an InstancePolicy.

use e2e::{Cloud, Docker, condition, docker_is_there, eventually, skip_unless};

use crate::machine::{documents, sleeper};
use crate::storage::shell;

/// Debian's servers: `images/servers/build.sh` makes it.
const IMAGE: &str = "thecloud.dev/servers:test";

/// What doesn't work by default, and the capability that it needs; `docs/security.md` has the same list.
const MORE: [(&str, &str); 4] = [
    ("ping -c 1 127.0.0.1", "NET_RAW"),
    ("mknod /tmp/zero c 1 5", "MKNOD"),
    ("ip link set lo mtu 1400", "NET_ADMIN"),
    ("renice -n -5 -p $$", "SYS_NICE"),
];

fn server(name: &str) -> String {
    format!(
        "apiVersion: thecloud.dev/v1alpha1\nkind: Instance\nmetadata: {{name: {name}}}\n\
         spec: {{image: \"{IMAGE}\", instanceType: micro, args: [{name}], terminationGracePeriodSeconds: 0}}\n"
    )
}

/// Waits until a command within a machine succeeds; what it says.
fn answer(cloud: &Cloud, instance: &str, script: &str) -> String {
    eventually(&format!("`{instance}` to serve"), || {
        let output = cloud.cloudctl(&["exec", instance, "--", "sh", "-c", script]);
        if output.code == 0 {
            Ok(output.stdout)
        } else {
            Err((output.to_string(), cloud.cloudctl(&["logs", instance])))
        }
    })
}

/// The users, by number, of a machine's processes with this name.
fn users(cloud: &Cloud, instance: &str, process: &str) -> Vec<String> {
    let shown = cloud.docker().call(&["top", &cloud.container(instance), "-eo", "pid,uid,comm"]).ok();
    let lines = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut users: Vec<String> = lines.filter(|words| words[2] == process).map(|words| words[1].to_owned()).collect();
    users.sort();
    users.dedup();
    users
}

#[test]
fn servers_of_a_distribution_serve_and_give_up_being_root() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let has_image = Docker::default().call(&["image", "inspect", IMAGE]).code == 0;
    skip_unless!(has_image, "there is no image of servers: `images/servers/build.sh {IMAGE}` makes it");
    let cloud = Cloud::start();
    cloud.apply(&documents(&["nginx", "postgres", "sshd"].map(server)));

    assert_eq!(answer(&cloud, "nginx", "curl -sf http://127.0.0.1/"), "it serves\n");
    assert_eq!(users(&cloud, "nginx", "nginx"), ["0", "33"], "its workers are www-data");

    assert_eq!(answer(&cloud, "postgres", "psql -U postgres -Atc 'select 1'"), "1\n");
    assert_eq!(users(&cloud, "postgres", "postgres"), ["101"]);

    let ssh = "ssh -q -o StrictHostKeyChecking=no -i /root/key ann@127.0.0.1";
    let said = answer(&cloud, "sshd", &format!("{ssh} 'id -un; su -c id < /dev/null 2> /dev/null || echo stays'"));
    assert_eq!(said, "ann\nstays\n", "whoever isn't root doesn't become it by a program that belongs to root");
}

#[test]
fn what_takes_more_than_the_bounds_has_it_from_a_policy() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let capabilities = MORE.map(|(_, capability)| capability).join(", ");
    let more = format!("securityContext: {{capabilities: {{add: [{capabilities}]}}}}");
    cloud.apply(&documents(&[sleeper("plain", ""), sleeper("more", &more)]));
    cloud.await_ready("instances", "plain");
    for (command, capability) in MORE {
        let refused = cloud.cloudctl(&["exec", "plain", "--", "sh", "-c", command]).failed();
        assert!(refused.contains("ermi"), "{command} without {capability}: {refused}");
    }
    cloud.await_object("instances", "more", "to say what it may not", |more| {
        condition(more, "Ready")["reason"] == "NotAllowed"
    });
    cloud.apply(&format!(
        "apiVersion: thecloud.dev/v1alpha1\nkind: InstancePolicy\nmetadata: {{name: more}}\n\
         spec: {{namespaces: [default], allow: {{capabilities: [{capabilities}]}}}}\n"
    ));
    cloud.await_ready("instances", "more");
    for (command, _) in MORE {
        let _ = shell(&cloud, "more", command);
    }
}
