//! What machines are on Docker beyond what every adapter promises: hardened, reachable by name, and told of promptly.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use controller_backend::conformance::{Fixture, files};
use controller_backend::{
    Channel, Conflict, Error, Event, ExecSpec, Happening, MachineId, MachineSpec, Mount, MountSource,
    NetworkAttachment, Protocol, SecurityContext, dns_names,
};
use futures::StreamExt;

use crate::daemon;

/// Runs a shell script in a machine: exit code, and all that it wrote.
pub async fn shell(fixture: &Fixture, id: &MachineId, script: &str) -> (i64, String) {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let spec = ExecSpec { command, tty: false, stdin: false };
    let session = fixture.backend.consoles.exec(id, spec).await.expect("exec");
    let chunks: Vec<_> = session.output.collect().await;
    let text: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.expect("output").bytes.to_vec()).collect();
    let code = session.control.exit_code().await.expect("exit code").expect("the command has ended");
    (code, String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn what_is_no_name_of_an_image_asks_docker_for_nothing_else() {
    daemon::run(async |fixture| {
        for text in ["../version?x=", "../events?x=", "../images/get?names=thecloud.dev/busybox:1&x="] {
            let asked = fixture.backend.images.resolve(text);
            let answer = tokio::time::timeout(Duration::from_secs(10), asked).await;
            assert!(matches!(answer, Ok(Err(Error::Invalid { .. }))), "{text}: {answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn machine_is_hardened() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let id = fixture.start(&fixture.machine("hard", 2)).await;
        let container = world.docker.inspect_container(&id.0, None).await.expect("inspect");
        let host = container.host_config.expect("a host configuration");
        assert_eq!(host.pids_limit, Some(64));
        assert_eq!((host.memory, host.memory_swap), (Some(32 << 20), Some(32 << 20)));
        assert_eq!(host.privileged, Some(false));
        let log = host.log_config.expect("a log configuration");
        assert!(log.config.is_some_and(|config| config.contains_key("max-size") && config.contains_key("max-file")));

        let (_, status) = shell(fixture, &id, "cat /proc/self/status").await;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("a field");
            line.split_whitespace().nth(1).expect("a value").to_owned()
        };
        assert_eq!(field("NoNewPrivs:"), "1");
        assert_eq!(field("Seccomp:"), "2", "a filter is in force");
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, AUDIT_WRITE
        let kept = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 29].iter().fold(0, |all, bit| all | 1_u64 << bit);
        for set in ["CapBnd:", "CapEff:", "CapPrm:"] {
            assert_eq!(u64::from_str_radix(&field(set), 16).expect("a number"), kept, "{set}");
        }
        assert_eq!(u64::from_str_radix(&field("CapAmb:"), 16).expect("a number"), 0);
        for mode in [host.pid_mode, host.uts_mode, host.userns_mode] {
            assert_eq!(mode.unwrap_or_default(), "", "nothing of the host's is shared");
        }
        assert!(host.network_mode.is_some_and(|mode| mode != "host"));
        assert_eq!(host.binds.unwrap_or_default(), [""; 0], "no path of the host is there");
    })
    .await;
}

#[tokio::test]
async fn machine_has_what_its_security_context_says_and_no_more() {
    daemon::run(async |fixture| {
        let security = SecurityContext {
            add: ["NET_ADMIN".to_owned()].into(),
            drop: ["CHOWN".to_owned(), "NET_BIND_SERVICE".to_owned()].into(),
            devices: ["/dev/net/tun".to_owned()].into(),
            process_limit: 40,
        };
        let id = fixture.start(&MachineSpec { security, ..fixture.machine("router", 2) }).await;
        let (_, status) = shell(fixture, &id, "grep CapEff: /proc/self/status; cat /sys/fs/cgroup/pids.max").await;
        // DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_ADMIN, SYS_CHROOT, AUDIT_WRITE
        let kept = [1, 3, 4, 5, 6, 7, 8, 12, 18, 29].iter().fold(0, |all, bit| all | 1_u64 << bit);
        assert!(status.contains(&format!("CapEff:\t{kept:016x}")), "{status}");
        let script = "ip link add dummy0 type dummy || ip addr add 192.0.2.1/32 dev lo; echo net $?;
            test -c /dev/net/tun; echo tun $?; mknod /tmp/disk b 7 0; echo mknod $?";
        let (_, did) = shell(fixture, &id, script).await;
        assert!(did.contains("net 0") && did.contains("tun 0") && did.contains("mknod 1"), "{did}");
    })
    .await;
}

#[tokio::test]
async fn machines_reach_each_other_by_name_and_the_host_by_published_port() {
    daemon::run(async |fixture| {
        let mut server = fixture.networked("web", 2, 10).await;
        let serve = "mkdir /tmp/page; echo hello > /tmp/page/index.html; exec httpd -f -p 80 -h /tmp/page";
        server.command = Some(["sh", "-c", serve].map(str::to_owned).to_vec());
        server.ports = vec![fixture.published()];
        fixture.start(&server).await;
        let client = fixture.start(&fixture.networked("client", 3, 11).await).await;
        for name in dns_names(&server.owner) {
            // busybox' own wget has no patience; the server may need a moment.
            let fetch = format!("for i in 1 2 3 4 5; do wget -q -O - http://{name}/ && exit 0; sleep 1; done; exit 1");
            let (code, text) = shell(fixture, &client, &fetch).await;
            assert_eq!((code, text.lines().last()), (0, Some("hello")), "by `{name}`: {text}");
        }
        let page = tokio::task::spawn_blocking({
            let port = fixture.port;
            move || {
                use std::io::{Read as _, Write as _};
                let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("the port is published");
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("write");
                let mut text = String::new();
                stream.read_to_string(&mut text).expect("read");
                text
            }
        });
        assert!(page.await.expect("the page is read").ends_with("hello\n"));
    })
    .await;
}

#[tokio::test]
async fn port_taken_by_a_process_of_the_host_is_named() {
    daemon::run(async |fixture| {
        let listener = TcpListener::bind(("127.0.0.1", fixture.port)).expect("the port is free");
        let mut spec = fixture.networked("web", 2, 10).await;
        spec.ports = vec![fixture.published()];
        let id = fixture.backend.machines.create(&spec).await.expect("create");
        let error = fixture.backend.machines.start(&id).await.expect_err("the port is taken");
        let publish = fixture.publish();
        let taken = Conflict::PortTaken { address: publish.address, port: publish.port, protocol: Protocol::Tcp };
        assert_eq!(error.as_conflict(), Some(&taken), "{error:?}");
        drop(listener);
        fixture.backend.machines.start(&id).await.expect("the port is free again");
    })
    .await;
}

#[tokio::test]
async fn command_that_is_not_in_the_image_is_named() {
    daemon::run(async |fixture| {
        for command in ["nonsense", "/no/such/program"] {
            let mut spec = fixture.machine("mistaken", 2);
            spec.command = Some(vec![command.to_owned()]);
            let id = fixture.backend.machines.create(&spec).await.expect("create");
            // With an init in front it is the init that finds out.
            match fixture.backend.machines.start(&id).await {
                Err(Error::Invalid { message, .. }) => assert!(message.contains(command), "{message}"),
                Err(other) => panic!("expected Invalid, got {other:?}"),
                Ok(()) => {
                    let is_exited = |state: &_| matches!(state, controller_backend::MachineState::Exited(_));
                    let machine = fixture.wait_for(spec.owner.uid, "exited", is_exited).await;
                    let controller_backend::MachineState::Exited(exit) = machine.state else { unreachable!() };
                    assert_eq!(exit.code, 127);
                }
            }
            fixture.backend.machines.remove(&id).await.expect("remove");
        }
    })
    .await;
}

#[tokio::test]
async fn kill_by_hand_is_told_at_once() {
    daemon::run(async |fixture| {
        let mut events = fixture.backend.events.watch();
        assert_eq!(events.next().await, Some(Event::Resync));
        let spec = fixture.machine("victim", 2);
        let id = fixture.start(&spec).await;
        let started = Instant::now();
        fixture.hand.kill(&id).await;
        let wait = async {
            loop {
                if let Some(Event::Changed { happening: Happening::Died, .. }) = events.next().await {
                    return started.elapsed();
                }
            }
        };
        let elapsed = tokio::time::timeout(Duration::from_secs(5), wait).await.expect("an event");
        eprintln!("kill to event: {elapsed:?}");
    })
    .await;
}

#[tokio::test]
async fn memory_limit_is_enforced_and_told() {
    daemon::run(async |fixture| {
        let eat = "echo start; x=a; while true; do x=$x$x; done";
        let spec = fixture.script("glutton", 2, eat);
        fixture.start(&spec).await;
        let is_exited = |state: &_| matches!(state, controller_backend::MachineState::Exited(_));
        let machine = fixture.wait_for(spec.owner.uid, "killed", is_exited).await;
        let controller_backend::MachineState::Exited(exit) = machine.state else { unreachable!() };
        assert!(exit.out_of_memory, "{exit:?}");
    })
    .await;
}

#[tokio::test]
async fn files_are_seen_inside_and_change_while_it_runs() {
    daemon::run_with(async |world| {
        let fixture = &world.fixture;
        let owner = fixture.owner("Instance", "reader", 2);
        let set = files::set("settings", &[("colour", "blue"), ("deep/shape", "round")]);
        fixture.backend.files.ensure(&owner, std::slice::from_ref(&set)).await.expect("ensure");
        let mount =
            Mount { path: "/etc/settings".to_owned(), read_only: true, source: MountSource::Files(set.name.clone()) };
        let spec = MachineSpec { mounts: vec![mount], ..fixture.machine("reader", 2) };
        let id = fixture.start(&spec).await;
        let look = "cat /etc/settings/colour /etc/settings/deep/shape";
        assert_eq!(shell(fixture, &id, look).await, (0, "blueround".to_owned()));
        let (code, _) = shell(fixture, &id, "echo mine > /etc/settings/colour").await;
        assert_ne!(code, 0, "it is read-only");
        let changed = files::set("settings", &[("colour", "red"), ("deep/shape", "flat")]);
        fixture.backend.files.ensure(&owner, &[changed]).await.expect("change");
        assert_eq!(shell(fixture, &id, look).await, (0, "redflat".to_owned()));

        // Content is in memory only.
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let memory = world.root.join("files");
        let line = mounts.lines().find(|line| line.contains(&*memory.to_string_lossy())).expect("a mount");
        assert!(line.contains("tmpfs"), "{line}");

        fixture.backend.machines.stop(&id, Duration::ZERO).await.expect("stop");
        fixture.backend.files.remove(owner.uid).await.expect("remove");
        let error = fixture.backend.machines.start(&id).await.expect_err("the files are gone");
        assert!(error.is_not_found(), "{error:?}");
        fixture.backend.files.ensure(&owner, std::slice::from_ref(&set)).await.expect("ensure");
        fixture.backend.machines.start(&id).await.expect("the files are back");
        assert_eq!(shell(fixture, &id, look).await, (0, "blueround".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn network_made_anew_takes_its_stopped_machines_back() {
    daemon::run(async |fixture| {
        let spec = fixture.networked("survivor", 2, 10).await;
        let id = fixture.start(&spec).await;
        fixture.backend.machines.stop(&id, Duration::ZERO).await.expect("stop");
        fixture.backend.networks.remove(fixture.network().owner.uid).await.expect("remove");
        let error = fixture.backend.machines.start(&id).await.expect_err("there is no network");
        assert!(error.is_not_found(), "{error:?}");
        fixture.backend.networks.ensure(&fixture.network()).await.expect("ensure");
        fixture.backend.machines.start(&id).await.expect("start");
        let Some(NetworkAttachment { address, .. }) = spec.network else { unreachable!("it has a network") };
        assert_eq!(fixture.only(spec.owner.uid).await.attachment.map(|place| place.address), Some(address));
        let (_, text) = shell(fixture, &id, "ip -4 addr show eth0").await;
        assert!(text.contains(&address.to_string()), "{text}");
    })
    .await;
}

#[tokio::test]
async fn terminal_gives_one_channel() {
    daemon::run(async |fixture| {
        let id = fixture.start(&fixture.machine("host", 2)).await;
        let command = ["sh", "-c", "echo out; echo err >&2; tty"].map(str::to_owned).to_vec();
        let spec = ExecSpec { command, tty: true, stdin: true };
        let session = fixture.backend.consoles.exec(&id, spec).await.expect("exec");
        let size = controller_backend::TerminalSize { width: 100, height: 30 };
        // It may have ended already; what counts is that the terminal is one.
        let _ = session.control.resize(size).await;
        let chunks: Vec<_> = session.output.collect().await;
        let mut text = String::new();
        for chunk in chunks {
            let chunk = chunk.expect("output");
            assert_eq!(chunk.channel, Channel::Stdout);
            text.push_str(&String::from_utf8_lossy(&chunk.bytes));
        }
        assert!(text.contains("out") && text.contains("err") && text.contains("/dev/pts/"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn command_ends_with_its_session() {
    daemon::run(async |fixture| {
        let id = fixture.start(&fixture.machine("host", 2)).await;
        // One that hears SIGTERM with a child of its own, and one that does not hear it.
        for script in ["sleep 1234 & yes > /dev/null", "trap '' TERM; while true; do sleep 1234; done"] {
            let command = ["sh", "-c", script].map(str::to_owned).to_vec();
            let spec = ExecSpec { command, tty: false, stdin: false };
            let session = fixture.backend.consoles.exec(&id, spec).await.expect("exec");
            let count = "ps | grep -E '[s]leep 1234|[y]es' | wc -l";
            let running = async || shell(fixture, &id, count).await.1.trim().parse::<u32>().expect("a number");
            eventually(async || running().await > 0, "the command runs").await;
            drop(session);
            eventually(async || running().await == 0, "nothing of the command is left").await;
        }
    })
    .await;
}

#[tokio::test]
async fn empty_directory_holds_no_more_than_its_size() {
    daemon::run(async |fixture| {
        let source = MountSource::Empty { size_bytes: 1 << 20 };
        let mounts = vec![Mount { path: "/scratch".to_owned(), read_only: false, source }];
        let id = fixture.start(&MachineSpec { mounts, ..fixture.machine("scribbler", 2) }).await;
        assert_eq!(shell(fixture, &id, "dd if=/dev/zero of=/scratch/a bs=1000 count=900").await.0, 0);
        let (code, text) = shell(fixture, &id, "dd if=/dev/zero of=/scratch/b bs=1000 count=900").await;
        assert!(code != 0 && text.contains("No space left on device"), "{code}: {text}");
    })
    .await;
}

/// Waits, for ten seconds at most.
async fn eventually(look: impl AsyncFn() -> bool, awaited: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !look().await {
        assert!(tokio::time::Instant::now() < deadline, "not within ten seconds: {awaited}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_that_is_paused_while_commands_start_goes_on() {
    daemon::run(async |fixture| {
        let id = fixture.start(&fixture.machine("web", 2)).await;
        let (consoles, stop) = (fixture.backend.consoles.clone(), Arc::new(AtomicBool::new(false)));
        let commands: Vec<_> = (0..4)
            .map(|_| {
                let (consoles, id, stop) = (consoles.clone(), id.clone(), stop.clone());
                tokio::spawn(async move {
                    let mut ended = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let spec = ExecSpec { command: vec!["true".to_owned()], ..ExecSpec::default() };
                        match consoles.exec(&id, spec).await {
                            Ok(session) => {
                                let _: Vec<_> = session.output.collect().await;
                                ended += 1;
                            }
                            Err(error) => assert!(error.as_conflict().is_some(), "{error:?}"),
                        }
                    }
                    ended
                })
            })
            .collect();
        let on_and_off = async {
            for _ in 0..20 {
                fixture.backend.machines.pause(&id).await.expect("pause");
                fixture.backend.machines.unpause(&id).await.expect("unpause");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            stop.store(true, Ordering::Relaxed);
            let mut ended = 0;
            for command in commands {
                ended += command.await.expect("commands are begun");
            }
            ended
        };
        let ended = tokio::time::timeout(Duration::from_secs(120), on_and_off).await.expect("nobody waits for ever");
        assert!(ended > 0, "some commands ended");
        assert_eq!(shell(fixture, &id, "echo on").await, (0, "on\n".to_owned()));
    })
    .await;
}
