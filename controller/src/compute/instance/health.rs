//! Checks whether machines serve, one small task for each machine that has a health check. It reports to the queue
//! only when its verdict changes; it never touches the machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use controller_backend::{Backend, Consoles, ExecSpec, MachineId};
use crds::compute::instance::HealthCheck;
use futures::StreamExt;
use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::runtime::{Key, Queue};

/// The longest status line of an HTTP answer that is read.
const LONGEST_LINE: u64 = 4096;

/// What is checked: one start of one machine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProbeSpec {
    /// Whom to wake.
    pub(crate) instance: (String, String),
    /// How it is checked.
    pub(crate) check: HealthCheck,
    /// Which machine.
    pub(crate) machine: MachineId,
    /// Which start of it.
    pub(crate) started_at: Option<Timestamp>,
    /// Where it is reached.
    pub(crate) address: Ipv4Addr,
}

/// What the checks say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// No check has counted yet.
    Unknown,
    /// The last check passed, or too few failed since.
    Passing,
    /// So many checks in a row failed that it doesn't serve.
    Failing(String),
}

/// A check that is going on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Probing {
    /// Of what.
    pub(crate) spec: ProbeSpec,
    /// What it says.
    pub(crate) health: Health,
}

/// The checks that are going on, by Instance.
pub(super) struct Probes {
    queue: Queue,
    running: Mutex<BTreeMap<Uuid, Running>>,
}

struct Running {
    spec: ProbeSpec,
    health: Arc<Mutex<Health>>,
    _task: AbortOnDropHandle<()>,
}

impl Probes {
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue, running: Mutex::default() }
    }

    /// The check of this Instance, if one is going on.
    pub(super) fn get(&self, instance: Uuid) -> Option<Probing> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let probe = running.get(&instance)?;
        let health = probe.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(Probing { spec: probe.spec.clone(), health })
    }

    /// Begins to check, in place of what was checked before.
    pub(super) fn start(&self, instance: Uuid, spec: ProbeSpec, backend: Backend) {
        let health = Arc::new(Mutex::new(Health::Unknown));
        let task = tokio::spawn(check_for_ever(spec.clone(), backend, self.queue.clone(), health.clone()));
        let probe = Running { spec, health, _task: AbortOnDropHandle::new(task) };
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(instance, probe);
    }

    /// Checks no more.
    pub(super) fn stop(&self, instance: Uuid) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&instance);
    }
}

async fn check_for_ever(spec: ProbeSpec, backend: Backend, queue: Queue, health: Arc<Mutex<Health>>) {
    let seconds = |number: i32| Duration::from_secs(u64::try_from(number).unwrap_or(1));
    let period = seconds(spec.check.period_seconds).max(Duration::from_secs(1));
    let timeout = seconds(spec.check.timeout_seconds).max(Duration::from_secs(1));
    let grace = Instant::now() + seconds(spec.check.start_period_seconds);
    let threshold = spec.check.failure_threshold.max(1);
    let mut failures = 0_i32;
    // Until the first verdict it is checked more often, so that a machine is known to serve soon after it does.
    let mut pause = Duration::from_millis(250).min(period);
    loop {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        let outcome = match tokio::time::timeout(timeout, check_once(&spec, backend.consoles.as_ref())).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {} s", timeout.as_secs())),
        };
        if outcome.is_err() && backend.machine_snapshots.held_still(&spec.machine, begun) {
            // It says nothing about how it does.
            continue;
        }
        let verdict = match outcome {
            Ok(()) => {
                failures = 0;
                pause = period;
                Some(Health::Passing)
            }
            Err(_) if Instant::now() < grace => {
                pause = (pause * 2).min(period);
                None
            }
            Err(reason) => {
                // Early failures before the first period is over don't count: the program may still be starting.
                if pause < period {
                    pause = (pause * 2).min(period);
                    None
                } else {
                    failures = failures.saturating_add(1);
                    (failures >= threshold).then_some(Health::Failing(reason))
                }
            }
        };
        let Some(verdict) = verdict else { continue };
        let changed = {
            let mut health = health.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = std::mem::discriminant(&*health) != std::mem::discriminant(&verdict);
            if changed {
                *health = verdict;
            }
            changed
        };
        if changed {
            queue.wake(Key::new(spec.instance.0.clone(), spec.instance.1.clone()));
        }
    }
}

/// One check. The error says in a few words what is wrong.
async fn check_once(spec: &ProbeSpec, consoles: &dyn Consoles) -> Result<(), String> {
    let at = |port: i32| SocketAddr::new(IpAddr::V4(spec.address), u16::try_from(port).unwrap_or_default());
    if let Some(exec) = &spec.check.exec {
        check_exec(&spec.machine, &exec.command, consoles).await
    } else if let Some(tcp) = &spec.check.tcp {
        connect(at(tcp.port)).await.map(|_| ())
    } else if let Some(http) = &spec.check.http {
        check_http(at(http.port), &http.path).await
    } else {
        Ok(())
    }
}

async fn connect(at: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(at)
        .await
        .map_err(|error| format!("port {} does not accept connections ({})", at.port(), error.kind()))
}

async fn check_http(at: SocketAddr, path: &str) -> Result<(), String> {
    let mut stream = connect(at).await?;
    // A path comes from the spec: it must not add lines to the request.
    let path: String = path.chars().filter(|letter| !letter.is_ascii_control() && *letter != ' ').collect();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {at}\r\nUser-Agent: the-cloud-health-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let cut_off = |error: std::io::Error| format!("port {} broke off ({})", at.port(), error.kind());
    stream.write_all(request.as_bytes()).await.map_err(cut_off)?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_line(&mut line).await.map_err(cut_off)?;
    let code = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_whitespace().nth(1))
        .and_then(|code| code.parse::<u16>().ok())
        .ok_or_else(|| format!("port {} does not speak HTTP", at.port()))?;
    if (200..400).contains(&code) { Ok(()) } else { Err(format!("`{path}` answers {code}")) }
}

async fn check_exec(machine: &MachineId, command: &[String], consoles: &dyn Consoles) -> Result<(), String> {
    let spec = ExecSpec { command: command.to_vec(), tty: false, stdin: false };
    let mut session = consoles.exec(machine, spec).await.map_err(|_| "the command could not be run".to_owned())?;
    while session.output.next().await.is_some() {}
    match session.control.exit_code().await {
        Ok(Some(0)) => Ok(()),
        Ok(Some(code)) => Err(format!("the command ends with {code}")),
        Ok(None) | Err(_) => Err("the command could not be followed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use controller_backend::fake::FakeEngine;
    use crds::compute::instance::HttpCheck;
    use tokio::net::TcpListener;

    use super::*;

    async fn server(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn an_answer_from_200_to_399_passes_and_anything_else_does_not() {
        assert_eq!(check_http(server("HTTP/1.1 200 OK\r\n\r\n").await, "/").await, Ok(()));
        assert_eq!(check_http(server("HTTP/1.0 302 Found\r\n\r\n").await, "/").await, Ok(()));
        let refused = check_http(server("HTTP/1.1 500 Oh\r\n\r\n").await, "/health").await;
        assert_eq!(refused, Err("`/health` answers 500".to_owned()));
        assert!(check_http(server("hello").await, "/").await.is_err());
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_does_not_pass() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(connect(address).await.is_ok());
        drop(listener);
        assert!(connect(address).await.is_err());
    }

    /// How the checks of a machine do that answers nothing, after so many seconds.
    async fn health_after(seconds: u64, hold: impl FnOnce(&FakeEngine, &MachineId)) -> Health {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = i32::from(listener.local_addr().unwrap().port());
        let (engine, machine) = (FakeEngine::new(), MachineId("machine".to_owned()));
        let check = HealthCheck {
            http: Some(HttpCheck { port, path: "/".to_owned() }),
            period_seconds: 1,
            timeout_seconds: 1,
            failure_threshold: 3,
            ..HealthCheck::default()
        };
        hold(&engine, &machine);
        let instance = ("default".to_owned(), "web".to_owned());
        let spec = ProbeSpec { instance, check, machine, started_at: None, address: Ipv4Addr::LOCALHOST };
        let probes = Probes::new(Queue::default());
        probes.start(Uuid::nil(), spec, engine.backend(Uuid::nil()));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        probes.get(Uuid::nil()).unwrap().health
    }

    #[tokio::test(start_paused = true)]
    async fn machine_that_is_held_still_for_a_snapshot_does_not_fail() {
        let silent = "no answer within 1 s".to_owned();
        assert_eq!(health_after(60, |_, _| {}).await, Health::Failing(silent.clone()));
        let held = |engine: &FakeEngine, machine: &MachineId| engine.hold_still(machine, Duration::from_secs(100));
        assert_eq!(health_after(60, held).await, Health::Unknown, "nobody could have answered");
        assert_eq!(health_after(160, held).await, Health::Failing(silent), "it goes on, and still says nothing");
    }
}
