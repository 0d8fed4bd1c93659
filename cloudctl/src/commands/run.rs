//! `run`: one Instance from a command line. Decides the manifest, creates it, and shows how it becomes ready.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::apply::RUN_MANAGER;
use super::readiness::{self, Verdict};
use super::targets::Named;
use crate::api::{Catalog, Follow, Query, Session, Sight};
use crate::args::Global;
use crate::args::instances::RunArgs;
use crate::connect;
use crate::error::Error;
use crate::manifests::intent;
use crate::output::progress::Progress;
use crate::output::{Colour, Screen, age, yaml};

/// How long a machine may be in trouble before `run` gives up: the server tries again by itself, and often succeeds.
const GRACE: Duration = Duration::from_secs(5);

/// Creates the Instance, or prints its manifest.
pub(super) async fn run(args: &RunArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let manifest =
        manifest(args, global.namespace.as_deref(), |name| std::env::var(name).ok()).map_err(Error::Usage)?;
    if let Some(format) = args.output.as_deref() {
        screen.text(&if format == "json" { yaml::json(&manifest) } else { yaml::yaml(&manifest) })?;
        return Ok(());
    }
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let resource = catalog.of_word("instances.thecloud.dev")?.clone();
    let named = Named { resource, namespace: session.namespace().to_owned(), name: args.name.clone() };
    let query = Query::new().with("fieldManager", RUN_MANAGER).with("fieldValidation", "Strict");
    let path = named.resource.collection(Some(&named.namespace));
    let object = intent(&manifest, Some(&named.namespace), named.resource.has("status"));
    let started = Instant::now();
    session.post(&query.on(&path), &object).await.map_err(|error| {
        if error.already_exists() {
            let name = &args.name;
            Error::Failed(format!(
                "there is an Instance `{name}` already; `cloudctl delete inst {name}` removes it, `cloudctl describe inst {name}` shows it"
            ))
        } else {
            Error::Api(error)
        }
    })?;
    screen.line(&format!("{} {}", named.full(), screen.paint().colour(Colour::Green, "created")))?;
    if args.timeout.is_zero() {
        return Ok(());
    }
    let ready = until_ready(&session, &named, started, args.timeout, screen).await?;
    screen.line(&format!("{} ready after {}", named.full(), age::measured(started.elapsed())))?;
    for line in reached(&ready) {
        screen.line(&line)?;
    }
    Ok(())
}

async fn until_ready(
    session: &Session,
    named: &Named,
    started: Instant,
    limit: Duration,
    screen: &Screen,
) -> Result<Value, Error> {
    let deadline = started + limit;
    let mut progress = Progress::start(screen);
    let mut follow = Follow::new(session, &named.resource, &named.namespace, &named.name);
    let mut why = "no controller has taken it up yet".to_owned();
    let mut stalled_since: Option<Instant> = None;
    let mut attempts = Attempts::default();
    loop {
        let until = stalled_since.map_or(deadline, |since| deadline.min(since + GRACE));
        let sight = match timeout_at(until, follow.next()).await {
            Ok(sight) => sight.map_err(Error::Api)?,
            Err(_) if stalled_since.is_some() => return Err(needs_you(named, &why)),
            Err(_) => {
                return Err(Error::Timeout(format!(
                    "{} not ready after {}: {why}\nIt goes on by itself; `cloudctl describe inst {}` shows more.",
                    named.full(),
                    age::span(limit),
                    named.name
                )));
            }
        };
        let Sight::Present(object) = sight else {
            return Err(Error::NotFound(format!("{} was deleted meanwhile", named.full())));
        };
        match readiness::condition(&object, "Ready", "True") {
            Verdict::Met => return Ok(object),
            Verdict::NotYet(reason) => why = reason,
        }
        if attempts.go_round(&why) {
            return Err(needs_you(named, &why));
        }
        match readiness::stalled(&object) {
            Some(reason) => {
                why = reason;
                stalled_since.get_or_insert_with(Instant::now);
            }
            None => stalled_since = None,
        }
        let phase = object["status"]["phase"].as_str().unwrap_or("Pending");
        progress.say(&format!("{}: {phase}: {why}", named.name));
    }
}

fn needs_you(named: &Named, why: &str) -> Error {
    Error::Failed(format!(
        "{} needs you: {why}\n`cloudctl describe inst {}` shows more; it goes on by itself when the cause is gone",
        named.full(),
        named.name
    ))
}

/// Notices that a machine tries the same again and again.
#[derive(Debug, Default)]
struct Attempts {
    visits: BTreeMap<String, usize>,
    last: String,
}

impl Attempts {
    /// Takes in what the machine waits for now; whether it has gone through the same states for the third time. The state that
    /// closes the circle is the one that sends it back: trying comes first, failing second.
    fn go_round(&mut self, why: &str) -> bool {
        const MOST: usize = 3;
        if why == self.last {
            return false;
        }
        why.clone_into(&mut self.last);
        let visits = self.visits.entry(why.to_owned()).or_default();
        *visits += 1;
        *visits >= MOST && self.visits.iter().any(|(other, visits)| other != why && *visits >= MOST)
    }
}

/// How a machine is reached, one line a way.
fn reached(object: &Value) -> Vec<String> {
    let status = &object["status"];
    let mut lines = Vec::new();
    for port in status["ports"].as_array().into_iter().flatten() {
        let (Some(inside), Some(outside)) = (port["port"].as_i64(), port["publishedPort"].as_i64()) else { continue };
        let address = match port["address"].as_str() {
            None | Some("0.0.0.0" | "") => "127.0.0.1",
            Some(address) => address,
        };
        let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let scheme = if protocol == "TCP" { "http://" } else { "" };
        let note = if protocol == "TCP" { "" } else { "/udp" };
        lines.push(format!("  port {inside}{note}: {scheme}{address}:{outside}"));
    }
    if let Some(ip) = status["ip"].as_str() {
        lines.push(format!("  inside its Vpc: {ip}"));
    }
    lines
}

/// The manifest that the command line means.
fn manifest(
    args: &RunArgs,
    namespace: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Value, String> {
    let mut spec = Map::new();
    let mut set = |key: &str, value: Value| spec.insert(key.to_owned(), value);
    set("image", json!(args.image));
    if !args.arguments.is_empty() {
        set(if args.command { "command" } else { "args" }, json!(args.arguments));
    }
    if let Some(name) = &args.instance_type {
        set("instanceType", json!(name));
    }
    if let Some(vpc) = &args.vpc {
        set("vpc", json!(vpc));
    }
    if let Some(policy) = &args.restart_policy {
        set("restartPolicy", json!(policy));
    }
    if !args.env.is_empty() {
        let entries: Result<Vec<_>, _> = args.env.iter().map(|entry| environment(entry, &variable)).collect();
        set("env", json!(entries?));
    }
    if !args.publish.is_empty() {
        let ports: Result<Vec<_>, _> = args.publish.iter().map(|port| published(port)).collect();
        set("ports", json!(ports?));
    }
    if !args.volume.is_empty() {
        let mounts: Result<Vec<_>, _> = args.volume.iter().map(|mount| mounted(mount)).collect();
        set("volumes", json!(mounts?));
    }
    let mut metadata = json!({"name": args.name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    for label in &args.label {
        let (key, value) = label.split_once('=').ok_or_else(|| format!("`{label}` is not KEY=VALUE"))?;
        metadata["labels"][key] = json!(value);
    }
    Ok(json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": "Instance", "metadata": metadata, "spec": spec}))
}

fn environment(entry: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Value, String> {
    match entry.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(json!({"name": name, "value": value})),
        Some(_) => Err(format!("`{entry}` has no name before the equal sign")),
        None => match variable(entry) {
            Some(value) => Ok(json!({"name": entry, "value": value})),
            None => Err(format!("`{entry}` is not set here; write {entry}=VALUE")),
        },
    }
}

/// `[[ADDRESS:]HOSTPORT:]PORT[/udp]`; an IPv6 address is in brackets.
fn published(text: &str) -> Result<Value, String> {
    let wrong = || format!("`{text}` is not PORT, HOSTPORT:PORT or ADDRESS:HOSTPORT:PORT");
    let number = |part: &str| part.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, protocol)) => (rest, protocol.to_uppercase()),
        None => (text, "TCP".to_owned()),
    };
    if !matches!(protocol.as_str(), "TCP" | "UDP") {
        return Err(format!("`{text}`: the protocol is tcp or udp"));
    }
    let mut publish = json!({});
    let inside = match rest.rsplit_once(':') {
        None => number(rest)?,
        Some((outside, inside)) => {
            let port = match outside.rsplit_once(':') {
                Some((address, port)) => {
                    let bare = address.trim_start_matches('[').trim_end_matches(']');
                    bare.parse::<std::net::IpAddr>().map_err(|_| format!("`{text}`: `{bare}` is not an IP address"))?;
                    publish["address"] = json!(bare);
                    port
                }
                None => outside,
            };
            if !port.is_empty() {
                publish["port"] = json!(number(port)?);
            }
            number(inside)?
        }
    };
    let mut port = json!({"port": inside, "publish": publish});
    if protocol == "UDP" {
        port["protocol"] = json!(protocol);
    }
    Ok(port)
}

/// `VOLUME:PATH[:ro]`.
fn mounted(text: &str) -> Result<Value, String> {
    let parts: Vec<_> = text.split(':').collect();
    match parts.as_slice() {
        [volume, path] if !volume.is_empty() && path.starts_with('/') => {
            Ok(json!({"volume": volume, "mountPath": path}))
        }
        [volume, path, "ro"] if !volume.is_empty() && path.starts_with('/') => {
            Ok(json!({"volume": volume, "mountPath": path, "readOnly": true}))
        }
        _ => Err(format!("`{text}` is not VOLUME:/PATH or VOLUME:/PATH:ro")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::api::tests::{Answer, session};
    use crate::args::{Cli, Command};

    fn parsed(line: &str) -> RunArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Run(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn command_line_becomes_a_manifest_that_the_kind_accepts() {
        let args = parsed(
            "cloudctl run web --image busybox:1.36 -p 80 -p 8080:81 -p 0.0.0.0:53:53/udp -e A=b=c -e HOME --vpc main --type micro --volume site:/www:ro -l app=web -- httpd -f",
        );
        let manifest = manifest(&args, Some("shop"), |name| (name == "HOME").then(|| "/home/me".to_owned())).unwrap();
        let spec: crds::compute::instance::InstanceSpec = serde_json::from_value(manifest["spec"].clone()).unwrap();
        assert_eq!(spec.ports.len(), 3);
        insta::assert_snapshot!(yaml::yaml(&manifest));
    }

    #[test]
    fn shortest_command_line_is_a_short_manifest() {
        let manifest = manifest(&parsed("cloudctl run web --image nginx"), None, |_| None).unwrap();
        assert_eq!(manifest["spec"], json!({"image": "nginx"}));
        assert_eq!(manifest["metadata"], json!({"name": "web"}));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for port in ["x", "0", "70000", "1:2:3:4", "80/icmp", "host:80:80"] {
            assert!(published(port).unwrap_err().contains(port), "{port}");
        }
        assert!(environment("NOPE", |_| None).unwrap_err().contains("NOPE=VALUE"));
        assert!(environment("=x", |_| None).is_err());
        for mount in ["site", "site:www", ":/www", "site:/www:rw"] {
            assert!(mounted(mount).is_err(), "{mount}");
        }
    }

    #[test]
    fn machine_that_fails_a_third_time_is_given_up_with_the_failure_not_the_attempt() {
        let mut attempts = Attempts::default();
        let seen = ["pulling", "pulling", "failed", "pulling", "failed", "pulling", "failed"];
        let stops: Vec<_> = seen.iter().map(|why| attempts.go_round(why)).collect();
        assert_eq!(stops, [false, false, false, false, false, false, true]);
        let mut attempts = Attempts::default();
        assert!(["waiting", "pulling", "starting", "starting"].iter().all(|why| !attempts.go_round(why)));
    }

    #[test]
    fn ports_say_where_they_are_reached() {
        let object = json!({"status": {"ip": "10.128.0.2", "ports": [
            {"port": 80, "protocol": "TCP", "address": "127.0.0.1", "publishedPort": 30080},
            {"port": 53, "protocol": "UDP", "address": "::1", "publishedPort": 30053}, {"port": 9000, "protocol": "TCP"}]}});
        assert_eq!(
            reached(&object),
            ["  port 80: http://127.0.0.1:30080", "  port 53/udp: [::1]:30053", "  inside its Vpc: 10.128.0.2"]
        );
    }

    fn named() -> Named {
        let resource = crate::api::Resource {
            version: "v1".into(),
            plural: "instances".into(),
            singular: "instance".into(),
            ..crate::api::Resource::default()
        };
        Named { resource, namespace: "default".into(), name: "web".into() }
    }

    fn web(ready: &str, stalled: &str) -> Value {
        json!({"metadata": {"name": "web", "resourceVersion": "5"}, "status": {"phase": "Provisioning", "conditions": [
            {"type": "Ready", "status": ready, "reason": "Creating", "message": "pulling the image"},
            {"type": "Stalled", "status": stalled, "reason": "ImagePullFailed", "message": "no such image `nope`"}]}})
    }

    #[tokio::test]
    async fn progress_is_shown_until_it_is_ready() {
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let session = session(move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": [web("False", "False")]})),
            _ => Answer::lines(&[json!({"type": "MODIFIED", "object": web("True", "False")})]),
        });
        let (screen, printed) = Screen::captured();
        until_ready(&session, &named(), Instant::now(), Duration::from_secs(5), &screen).await.unwrap();
        assert_eq!(printed.text(), "web: Provisioning: Creating: pulling the image\n");
    }

    #[tokio::test(start_paused = true)]
    async fn machine_that_needs_its_user_ends_the_waiting_early() {
        let session = session(|request| {
            if request.uri().to_string().contains("watch=true") {
                return Answer::lines(&[]);
            }
            Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": [web("False", "True")]}))
        });
        let (screen, _) = Screen::captured();
        let started = Instant::now();
        let error = until_ready(&session, &named(), started, Duration::from_secs(300), &screen).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(10));
        assert!(
            error.to_string().starts_with("instance/web needs you: ImagePullFailed: no such image `nope`"),
            "{error}"
        );
    }
}
