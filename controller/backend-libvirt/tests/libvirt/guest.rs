//! What a guest sees and does: its first boot, its address, its console.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use controller_backend::conformance::Fixture;
use controller_backend::{FirstBoot, LogOptions, MachineId, MachineSpec, MachineState, Resources};
use futures::StreamExt;

use crate::daemon;

/// A guest boots in some seconds on software alone, and in many on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// What an HTTP server at this address answers, once it does.
fn page(address: &str) -> String {
    let started = Instant::now();
    loop {
        let answer = TcpStream::connect_timeout(&address.parse().expect("an address"), Duration::from_secs(1))
            .and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
                let mut text = String::new();
                stream.read_to_string(&mut text)?;
                Ok(text)
            });
        match answer {
            Ok(text) => return text,
            Err(error) if started.elapsed() > PATIENCE => panic!("{address} never answers: {error}"),
            Err(_) => std::thread::park_timeout(Duration::from_millis(200)),
        }
    }
}

/// What the machine has written to its console.
async fn log(fixture: &Fixture, id: &MachineId) -> String {
    let log: Vec<_> = fixture.backend.consoles.logs(id, LogOptions::default()).await.expect("logs").collect().await;
    let text: Vec<u8> = log.into_iter().flat_map(|chunk| chunk.expect("a piece").bytes.to_vec()).collect();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn guest_is_told_its_name_address_keys_and_what_to_do() {
    daemon::run(async |fixture| {
        let user_data = "#cloud-config\nruncmd:\n  - mkdir -p /www\n  \
                         - (hostname; cat /root/.ssh/authorized_keys) > /www/index.html\n  - httpd -p 80 -h /www\n";
        let first_boot = FirstBoot {
            ssh_authorized_keys: vec!["ssh-ed25519 AAAAkey someone".to_owned()],
            user_data: Some(user_data.to_owned()),
            network_config: None,
        };
        let spec = MachineSpec { first_boot: Some(first_boot), ..fixture.networked("web", 2, 10).await };
        let id = fixture.start(&spec).await;
        let answer = page(&format!("{}:80", fixture.address(10)));
        assert!(answer.ends_with("web\nssh-ed25519 AAAAkey someone\n"), "{answer}");

        // Its page is served before it says that it is ready.
        let started = Instant::now();
        loop {
            let text = log(fixture, &id).await;
            if text.contains("first-boot: ready, web") {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{text}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }

        // What it wrote on its disk is there after a stop; what it is told once, it does once.
        fixture.backend.machines.stop(&id, fixture.traits.grace).await.expect("stop");
        let stopped = fixture.only(spec.owner.uid).await;
        let MachineState::Exited(exit) = stopped.state else { panic!("it ended, but {:?}", stopped.state) };
        assert_eq!(exit.code, 0, "it was not pulled from under the guest");
    })
    .await;
}

/// Waits until the machine has written this to its console.
pub async fn until_written(fixture: &Fixture, id: &MachineId, wanted: &str) -> String {
    let started = Instant::now();
    loop {
        let text = log(fixture, id).await;
        if text.contains(wanted) {
            return text;
        }
        assert!(started.elapsed() < PATIENCE, "`{wanted}` is never written:\n{text}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn guest_sees_processors_that_come_and_gets_no_time_for_those_that_it_keeps() {
    daemon::run(async |fixture| {
        let tell = "#!/bin/sh\nsetsid sh -c 'while :; do echo \"has $(cat /sys/devices/system/cpu/present);\" > /dev/ttyS0; \
                    sleep 1; done' &\n";
        let first_boot = FirstBoot { user_data: Some(tell.to_owned()), ..FirstBoot::default() };
        let spec = MachineSpec { first_boot: Some(first_boot), ..fixture.machine("grower", 2) };
        let id = fixture.start(&spec).await;
        until_written(fixture, &id, "has 0;").await;
        let with = |cpu_millis| Resources { cpu_millis, ..spec.resources };
        let machines = &fixture.backend.machines;
        machines.resize(&id, with(2000)).await.expect("resize");
        until_written(fixture, &id, "has 0-1;").await;
        machines.resize(&id, with(500)).await.expect("resize");
        let xml = daemon::virsh(&["dumpxml", &id.0]);
        assert!(xml.contains("<global_quota>50000</global_quota>"), "whether it lets go or not: {xml}");
    })
    .await;
}

#[tokio::test]
async fn screen_is_on_loopback_and_asks_for_a_password() {
    daemon::run(async |fixture| {
        let id = fixture.start(&fixture.machine("screen", 2)).await;
        let xml = daemon::virsh(&["dumpxml", "--security-info", &id.0]);
        let graphics = xml.lines().find(|line| line.contains("<graphics type='vnc'")).expect("a screen").to_owned();
        assert!(graphics.contains("listen='127.0.0.1'"), "{graphics}");
        let password = graphics.split_once("passwd='").expect("a password").1.split('\'').next().expect("it ends");
        assert_eq!(password.len(), 8, "{graphics}");
        assert!(!daemon::virsh(&["dumpxml", &id.0]).contains(password), "others don't see it");
    })
    .await;
}

#[tokio::test]
async fn image_is_roots_whatever_runs_on_it() {
    use std::os::unix::fs::MetadataExt;
    daemon::run(async |fixture| {
        let id = fixture.start(&fixture.machine("reader", 2)).await;
        let xml = daemon::virsh(&["dumpxml", &id.0]);
        let base = xml.lines().filter_map(|line| line.split_once("<source file='")).map(|(_, path)| path);
        let base = base.filter_map(|path| path.split('\'').next()).find(|path| path.contains("/images/"));
        let file = std::fs::metadata(base.expect("an image behind the disk")).expect("it is there");
        assert_eq!((file.uid(), file.mode() & 0o222), (0, 0));
    })
    .await;
}
