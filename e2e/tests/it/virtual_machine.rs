//! Virtual machines: the same kind as a container, on the same network, as steadfast as one.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{
    Cloud, CloudBuilder, condition, docker_is_there, eventually, eventually_within, run, run_command, tiny_vm, virsh,
};
use serde_json::Value;

use crate::machine::{documents, sleeper, vpc};

/// A guest boots in some seconds on software alone, and in many on a busy host.
pub(crate) const BOOT: Duration = Duration::from_secs(180);

pub(crate) const SKIPPED: &str = "SKIPPED: no libvirt, no test image, no Docker, or a cloudd without libvirt";

pub(crate) const IMAGE: &str = "apiVersion: thecloud.dev/v1alpha1\nkind: ClusterImage\nmetadata:\n  name: tiny\n\
                     spec:\n  source:\n    path: tiny.qcow2\n";

/// A virtual machine that serves a page with its name, and counts its boots on its disk.
pub(crate) fn machine(name: &str) -> String {
    format!(
        "apiVersion: thecloud.dev/v1alpha1\nkind: Instance\nmetadata:\n  name: {name}\nspec:\n  backend: libvirt\n  \
         image: tiny\n  vpc: lab\n  resources: {{cpu: \"1\", memory: 128Mi, disk: 256Mi}}\n  \
         terminationGracePeriodSeconds: 60\n  cloudInit:\n    userData: |\n      #cloud-config\n      runcmd:\n        \
         - printf '%s\\n' '#!/bin/sh' 'echo boot >> /www/boots' sync 'httpd -p 8080 -h /www' > /etc/rc.local\n        \
         - mkdir -p /www\n        - hostname > /www/index.html\n        - chmod 755 /etc/rc.local\n"
    )
}

/// A cloud that may import the tests' disk.
pub(crate) fn cloud() -> Option<(Cloud, tempfile::TempDir)> {
    builder().map(|(builder, images)| (builder.start(), images))
}

/// The same, before it is started.
pub(crate) fn builder() -> Option<(CloudBuilder, tempfile::TempDir)> {
    let disk = tiny_vm().filter(|_| docker_is_there())?;
    let images = tempfile::tempdir().unwrap();
    fs::copy(disk, images.path().join("tiny.qcow2")).unwrap();
    let directory = images.path().display();
    Some((Cloud::builder().argument(&format!("--image-dir={directory}")), images))
}

pub(crate) fn page(address: &str, path: &str) -> String {
    run("curl", ["--silent", "--max-time", "2", &format!("http://{address}:8080/{path}")], "").stdout
}

/// Waits until the guest serves, and says how often it has booted.
pub(crate) fn boots(instance: &Value) -> usize {
    let ip = instance["status"]["ip"].as_str().expect("it has an address").to_owned();
    eventually_within(BOOT, "the guest to serve its page", || {
        let count = page(&ip, "boots").lines().filter(|line| *line == "boot").count();
        if count > 0 { Ok(count) } else { Err(virsh(&["list", "--all"]).stdout) }
    })
}

pub(crate) fn domain(instance: &Value) -> String {
    instance["status"]["machineId"].as_str().expect("it has a machine").to_owned()
}

#[test]
fn a_virtual_machine_boots_heals_survives_restarts_and_leaves_nothing() {
    let Some((mut cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    // Applied before its image: it waits, says for what, and goes on by itself.
    cloud.apply(&documents(&[vpc("lab"), machine("vm")]));
    let waiting = cloud.await_object("instances", "vm", "to wait for its image", |vm| {
        condition(vm, "Ready")["reason"] == "DependencyMissing"
    });
    assert!(condition(&waiting, "Ready")["message"].as_str().unwrap_or_default().contains("ClusterImage `tiny`"));
    cloud.apply(IMAGE);
    let image = cloud.await_ready("clusterimages", "tiny");
    assert!(image["status"]["imageId"].as_str().is_some_and(|id| id.starts_with("sha256:")), "{image}");

    let started = Instant::now();
    let vm = cloud.await_ready("instances", "vm");
    assert_eq!(vm["status"]["backend"], "libvirt");
    assert_eq!(boots(&vm), 1);
    eprintln!("applied to serving: {:?}", started.elapsed());
    let ip = vm["status"]["ip"].as_str().unwrap().to_owned();
    assert_eq!(page(&ip, ""), "vm\n");

    // A container in the same Vpc reaches it.
    cloud.apply(&sleeper("neighbour", "vpc: lab"));
    cloud.await_ready("instances", "neighbour");
    let url = format!("http://{ip}:8080/");
    let seen = cloud.docker().call(&["exec", &cloud.container("neighbour"), "timeout", "5", "wget", "-qO-", &url]);
    assert_eq!(seen.stdout, "vm\n", "{seen}");

    // At its console somebody may type, whom nobody else disturbs.
    eventually("what is typed at the console to be done", || {
        let seen = cloud.cloudctl_for(4, &["console", "vm"], "\necho typed-$((40 + 2))\n");
        if seen.stdout.contains("typed-42") { Ok(()) } else { Err(seen) }
    });
    let refused = cloud.cloudctl(&["console", "neighbour"]).failed();
    assert!(refused.contains("cloudctl exec -it"), "{refused}");
    let refused = cloud.cloudctl(&["exec", "vm", "--", "true"]).failed();
    assert!(refused.contains("cloudctl console"), "{refused}");

    // A restart of cloudd leaves it alone.
    cloud.kill();
    cloud.launch();
    let again = cloud.await_ready("instances", "vm");
    assert_eq!((domain(&again), &again["status"]["startedAt"]), (domain(&vm), &vm["status"]["startedAt"]));

    // Pulled from under it: back long before anybody would have looked, on the same disk.
    let pulled = Instant::now();
    let _ = virsh(&["destroy", &domain(&vm)]).ok();
    cloud.await_object("instances", "vm", "to count a restart", |vm| vm["status"]["restartCount"] == 1);
    let healed = cloud.await_ready("instances", "vm");
    eprintln!("destroyed to running: {:?}", pulled.elapsed());
    assert!(pulled.elapsed() < Duration::from_secs(30), "it took {:?}", pulled.elapsed());
    assert_eq!(domain(&healed), domain(&vm), "the machine is the same");
    assert_eq!(boots(&healed), 2, "its disk remembers the first boot");

    // What would cost it its disk is refused, and the image stays while it is used.
    let refused =
        cloud.cloudctl(&["patch", "inst", "vm", "--type=merge", "-p", "{\"spec\":{\"image\":\"other\"}}"]).failed();
    assert!(refused.contains("replaceToken"), "{refused}");
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny", "--wait=false"]).ok();
    cloud.await_object("clusterimages", "tiny", "to say that it is used", |image| {
        condition(image, "Ready")["reason"] == "InUse"
            && condition(image, "Ready")["message"].as_str().is_some_and(|text| text.contains("1 Instance"))
    });

    let stopped = Instant::now();
    let _ = cloud.cloudctl(&["delete", "inst", "vm", "neighbour"]).ok();
    eprintln!("deleted: {:?}", stopped.elapsed());
    let _ = cloud.cloudctl(&["delete", "vpc", "lab"]).ok();
    eventually("nothing to be left", || {
        let (left, objects) = (cloud.leftovers(), cloud.cloudctl(&["get", "inst,vpc,clusterimages"]).stdout);
        if left.is_empty() && objects.is_empty() { Ok(()) } else { Err((left, objects)) }
    });
}

/// Serves the tests' disk on this host until the test ends, and tells the url and its SHA-256.
fn serve(disk: PathBuf) -> (String, String) {
    let sum = run("sha256sum", [&disk], "").stdout.split(' ').next().expect("a checksum").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/tiny.qcow2", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let content = fs::read(&disk).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content));
        }
    });
    (url, sum)
}

fn from_url(url: &str, sum: &str) -> String {
    let source = format!("url: {url}\n    checksum: sha256:{sum}");
    IMAGE.replace("path: tiny.qcow2", &source)
}

#[test]
fn an_image_is_downloaded_and_a_machine_boots_from_it() {
    let Some(disk) = tiny_vm().filter(|_| docker_is_there()) else {
        eprintln!("{SKIPPED}");
        return;
    };
    let (url, sum) = serve(disk);
    let cloud = Cloud::builder().argument("--image-allow-private").start();
    cloud.apply(&from_url(&url, &"0".repeat(64)));
    let image = cloud.await_object("clusterimages", "tiny", "to find another file", |image| {
        condition(image, "Stalled")["reason"] == "ChecksumMismatch"
    });
    assert!(condition(&image, "Ready")["message"].as_str().is_some_and(|text| text.contains(&sum)), "{image}");
    let refused = cloud.cloudctl_for(30, &["apply", "-f", "-"], &from_url(&url, &sum)).failed();
    assert!(refused.contains("make a second ClusterImage"), "{refused}");
    // The namespace's own goes before it, and counts to the namespace's quota.
    cloud.apply(
        "apiVersion: v1\nkind: ResourceQuota\nmetadata:\n  name: disks\nspec:\n  hard:\n    requests.storage: 1Gi\n",
    );
    let own = from_url(&url, &sum).replace("kind: ClusterImage", "kind: Image");
    let refused = cloud.cloudctl_for(30, &["apply", "-f", "-"], &own).failed();
    assert!(refused.contains("exceeded quota: disks"), "{refused}");
    let own = own.replace("spec:\n", "spec:\n  maxSize: 64Mi\n  minDisk: 1Gi\n");
    cloud.apply(&documents(&[own, vpc("lab"), machine("vm")]));
    let vm = cloud.await_object("instances", "vm", "to find its disk too small", |vm| {
        condition(vm, "Stalled")["reason"] == "DiskTooSmall"
    });
    let message = condition(&vm, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("Image `tiny` needs a root disk of 1Gi or more, and it is to have 256Mi"), "{message}");
    cloud.apply(&machine("vm").replace("disk: 256Mi", "disk: 1Gi"));
    let vm = cloud.await_ready("instances", "vm");
    assert_eq!(boots(&vm), 1);
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
    let _ = cloud.cloudctl(&["delete", "img", "tiny", "--wait=false"]).ok();
    cloud.await_object("images", "tiny", "to say who uses it", |image| {
        condition(image, "Ready")["reason"] == "InUse"
            && condition(image, "Ready")["message"].as_str().is_some_and(|text| text.contains("default/vm"))
    });
    let _ = cloud.cloudctl(&["delete", "inst", "vm"]).ok();
    eventually("the image to go with its machine", || {
        let left = cloud.cloudctl(&["get", "images"]).stdout;
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let _ = cloud.cloudctl(&["delete", "vpc", "lab"]).ok();
}

#[test]
fn an_image_is_not_downloaded_from_the_host_itself() {
    let Some((cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://localhost:{}/tiny.qcow2", listener.local_addr().unwrap().port());
    cloud.apply(&from_url(&url, &"0".repeat(64)));
    let image = cloud.await_object("clusterimages", "tiny", "to refuse the address", |image| {
        condition(image, "Stalled")["reason"] == "SourceRefused"
    });
    let message = condition(&image, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("--image-allow-private"), "{message}");
    assert!(listener.accept().is_err(), "somebody connected");
    for (wrong, why) in [
        ("path: a\n    url: https://example.com/a", "source is one of a path"),
        ("url: https://example.com/a", "a url needs a checksum"),
        ("url: https://me:secret@example.com/a\n    checksum: sha256:0", "without a user name"),
    ] {
        let yaml = IMAGE.replace("path: tiny.qcow2", wrong).replace("name: tiny", "name: wrong");
        let refused = cloud.cloudctl_for(30, &["apply", "-f", "-"], &yaml).failed();
        assert!(refused.contains(why), "{refused}");
    }
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
}

#[test]
fn what_a_virtual_machine_cannot_do_is_said() {
    let Some((cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let yaml = machine("vm").replace("  vpc: lab\n", "  vpc: lab\n  command: [sleep, \"1\"]\n");
    cloud.apply(&documents(&[vpc("lab"), yaml]));
    let vm = cloud
        .await_object("instances", "vm", "to say what is wrong", |vm| condition(vm, "Stalled")["status"] == "True");
    let message = condition(&vm, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("`command` is for containers"), "{message}");
    cloud.apply(&IMAGE.replace("tiny.qcow2", "absent.qcow2"));
    cloud.await_object("clusterimages", "tiny", "to name the file that is not there", |image| {
        condition(image, "Ready")["message"].as_str().is_some_and(|text| text.contains("absent.qcow2"))
    });
    let _ = cloud.cloudctl(&["delete", "clusterimage", "tiny"]).ok();
    let _ = cloud.cloudctl(&["delete", "inst", "vm"]).ok();
}

#[test]
fn somebody_logs_into_a_guest_reaches_its_ports_and_sees_what_it_uses() {
    let Some((cloud, _images)) = cloud() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("key");
    let key = key.to_str().unwrap();
    let _ = run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key], "").ok();
    let public = fs::read_to_string(format!("{key}.pub")).unwrap();
    let vm = machine("vm").replace("  vpc: lab\n", &format!("  vpc: lab\n  sshAuthorizedKeys:\n  - {public}"));
    // A group that lets in nobody doesn't hold back who may reach machines through the server.
    let closed =
        "apiVersion: thecloud.dev/v1alpha1\nkind: SecurityGroup\nmetadata:\n  name: closed\nspec:\n  vpc: lab\n  \
                  selector: {}\n  ingress:\n  - {protocol: TCP, port: 1}\n"
            .to_owned();
    cloud.apply(&documents(&[IMAGE.to_owned(), vpc("lab"), closed, vm]));
    let ssh = |command: &str| {
        let mut ssh = Command::new(e2e::binary("cloudctl"));
        ssh.arg("--kubeconfig").arg(cloud.kubeconfig()).env("CLOUD_HOME", home.path());
        ssh.args(["ssh", "-i", key, "-o", "StrictHostKeyChecking=accept-new", "root@vm", "--", command]);
        run_command(&mut ssh, "")
    };
    let said = eventually_within(BOOT, "the guest to let somebody in", || {
        let said = ssh("hostname");
        if said.code == 0 { Ok(said.stdout) } else { Err(said) }
    });
    assert_eq!(said, "vm\n");
    assert_eq!(ssh("exit 7").code, 7);
    eventually("its page through the server", || {
        let request = "GET / HTTP/1.0\r\n\r\n";
        let answer = cloud.cloudctl_with(&["port-forward", "--stdio", "8080", "vm"], request);
        if answer.stdout.ends_with("vm\n") { Ok(()) } else { Err(answer) }
    });
    let top = cloud.cloudctl(&["top", "vm"]).ok();
    let row: Vec<&str> = top.lines().find(|line| line.contains("vm")).expect(&top).split_whitespace().collect();
    assert!(row.iter().any(|cell| cell.ends_with("Mi")), "{top}");
    let _ = cloud.cloudctl(&["delete", "inst", "vm"]).ok();
}
