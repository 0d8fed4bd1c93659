//! `demo heal`: kills the container of an Instance behind the cloud's back, and tells with measured times how it comes back.
//! It uses the `docker` command of this host, and touches nothing but the one container whose labels name that very Instance.

use std::pin::pin;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, timeout_at};

use super::readiness::{self, Verdict};
use super::targets::{self, Named};
use crate::api::{Catalog, Follow, Query, Session, Sight};
use crate::args::Global;
use crate::args::instances::HealArgs;
use crate::connect;
use crate::error::Error;
use crate::output::{Colour, Screen, age};

/// The label that names the Instance by its identity.
const UID_LABEL: &str = "thecloud.dev/uid";
/// The label that names the installation.
const INSTALLATION_LABEL: &str = "thecloud.dev/installation";

/// Kills and watches.
pub(super) async fn run(args: &HealArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let resource = catalog.of_word("instances.thecloud.dev")?.clone();
    let name = match &args.name {
        Some(name) => name.rsplit('/').next().unwrap_or(name).to_owned(),
        None => {
            let instances = targets::list(&session, &resource, Some(session.namespace()), &Query::new()).await?;
            chosen(&instances).ok_or_else(|| {
                Error::NotFound(format!(
                    "no Instance in {} runs on docker with restartPolicy Always; `cloudctl apply -f examples/tour/` makes some",
                    session.namespace()
                ))
            })?
        }
    };
    let named = Named { resource, namespace: session.namespace().to_owned(), name };
    let object = session.get(&named.path()).await?;
    let machine = suitable(&object).map_err(Error::Failed)?;
    check(&docker(&["inspect", "--type", "container", "--format", "{{json .}}", &machine]).await?, &object)
        .map_err(Error::Failed)?;
    heal(&session, &named, &machine, args.timeout, screen).await
}

/// The Instance to use when none is named: `web` of the tour before others.
fn chosen(instances: &[Value]) -> Option<String> {
    let mut names: Vec<_> = instances
        .iter()
        .filter(|instance| suitable(instance).is_ok())
        .filter_map(|instance| instance["metadata"]["name"].as_str())
        .collect();
    names.sort_by_key(|name| (*name != "web", *name));
    names.first().map(|name| (*name).to_owned())
}

/// The id of the machine, when this Instance can show what the demonstration shows.
fn suitable(object: &Value) -> Result<String, String> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let (spec, status) = (&object["spec"], &object["status"]);
    if spec["restartPolicy"].as_str().unwrap_or("Always") != "Always" {
        return Err(format!("`{name}` is not restarted always (spec.restartPolicy), so it would stay down"));
    }
    if status["phase"] != "Running" {
        let phase = readiness::summary(object).unwrap_or_else(|| "not started yet".to_owned());
        return Err(format!("`{name}` does not run ({phase})"));
    }
    if status["backend"].as_str().unwrap_or("docker") != "docker" {
        return Err(format!("`{name}` does not run on docker"));
    }
    match status["machineId"].as_str().filter(|id| !id.is_empty()) {
        Some(id) if id.chars().all(|letter| letter.is_ascii_alphanumeric()) => Ok(id.to_owned()),
        _ => Err(format!("the status of `{name}` names no container")),
    }
}

/// Refuses a container that does not bear the Instance's own marks.
fn check(inspected: &str, object: &Value) -> Result<(), String> {
    let container: Value = serde_json::from_str(inspected).map_err(|error| format!("docker inspect: {error}"))?;
    let labels = &container["Config"]["Labels"];
    let uid = object["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty());
    if uid.is_none() || labels[UID_LABEL].as_str() != uid || labels[INSTALLATION_LABEL].as_str().is_none() {
        return Err(format!(
            "the container {} does not bear the labels of this Instance; is the cloud on another host? Nothing was touched",
            object["status"]["machineId"].as_str().unwrap_or_default()
        ));
    }
    Ok(())
}

async fn docker(arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new("docker").args(arguments).output().await.map_err(|error| {
        Error::Failed(format!(
            "the docker command cannot be run: {error}; this demonstration works on the cloud's own host"
        ))
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::Failed(format!("docker {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())))
}

/// What was seen of the recovery so far.
#[derive(Debug, Default, PartialEq)]
struct Recovery {
    noticed: Option<Duration>,
    held_back: bool,
    restarted: Option<Duration>,
    ready: Option<Duration>,
}

impl Recovery {
    /// Takes a state in, and returns the sentences for what is new.
    fn see(&mut self, before: &Value, object: &Value, elapsed: Duration) -> Vec<String> {
        let mut told = Vec::new();
        let ready = readiness::condition(object, "Ready", "True");
        let (was, is) = (&before["status"], &object["status"]);
        let restarts = |status: &Value| status["restartCount"].as_i64().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let counted = restarts(is) > restarts(was) || is["machineId"] != was["machineId"];
        let ended = counted || is["lastExit"] != was["lastExit"];
        // The end is written down before the new start is, and the times have whole seconds: a machine runs again once no
        // start is outstanding and the last start is not before the last end.
        let restarted = (counted || text(&is["startedAt"]) > text(&was["startedAt"]))
            && is["nextRestart"].is_null()
            && text(&is["startedAt"]) >= text(&is["lastExit"]["finishedAt"])
            && is["phase"] == "Running";
        if self.noticed.is_none() && (ended || ready != Verdict::Met) {
            self.noticed = Some(elapsed);
            let why = match &ready {
                Verdict::NotYet(why) => format!(": {why}"),
                Verdict::Met => {
                    is["lastExit"]["code"].as_i64().map(|code| format!(": exit code {code}")).unwrap_or_default()
                }
            };
            told.push(format!("noticed by the controller{why}"));
        }
        let crashes = is["crashCount"].as_i64().unwrap_or_default();
        if let (Some(next), true, false) = (is["nextRestart"].as_str(), crashes > 1, self.held_back) {
            self.held_back = true;
            told.push(format!("held back until {next}: it ended {crashes} times soon after its start"));
        }
        if self.noticed.is_some() && self.restarted.is_none() && restarted {
            self.restarted = Some(elapsed);
            told.push(format!("started again (restart {})", restarts(is)));
        }
        if self.restarted.is_some() && restarted && self.ready.is_none() && ready == Verdict::Met {
            self.ready = Some(elapsed);
            told.push("Ready again".to_owned());
        }
        told
    }
}

async fn heal(session: &Session, named: &Named, machine: &str, limit: Duration, screen: &Screen) -> Result<(), Error> {
    let mut follow = Follow::new(session, &named.resource, &named.namespace, &named.name);
    // The watch stands before the container falls, so that nothing is missed.
    let Sight::Present(before) = follow.next().await? else {
        return Err(Error::NotFound(format!("{} was deleted meanwhile", named.full())));
    };
    if let Some(address) = before["status"]["published"].as_str() {
        screen.line(&format!("{} serves at {address}", named.full()))?;
    }
    let short: String = machine.chars().take(12).collect();
    screen.line(&format!("$ docker kill {short}"))?;
    let tell = |elapsed: Duration, text: &str| {
        let time = format!("{:>9}", format!("+{}", age::measured(elapsed)));
        screen.line(&format!("{}  {text}", screen.paint().colour(Colour::Cyan, &time)))
    };
    let started = Instant::now();
    let deadline = started + limit;
    let arguments = ["kill", machine];
    let mut kill = pin!(docker(&arguments));
    let mut killed: Option<Duration> = None;
    let mut recovery = Recovery::default();
    let mut why = String::new();
    while recovery.ready.is_none() {
        // The controller may be faster than the command that killed the container.
        let sight = tokio::select! {
            biased;
            done = &mut kill, if killed.is_none() => {
                done?;
                killed = Some(started.elapsed());
                tell(started.elapsed(), "killed, behind the cloud's back")?;
                continue;
            }
            sight = timeout_at(deadline, follow.next()) => sight,
        };
        let late = || Error::Timeout(format!("{} is not back after {}{why}", named.full(), age::span(limit)));
        let Sight::Present(object) = sight.map_err(|_| late())?? else {
            return Err(Error::NotFound(format!("{} was deleted meanwhile", named.full())));
        };
        why = readiness::summary(&object).map_or(String::new(), |summary| format!(": {summary}"));
        let elapsed = started.elapsed();
        for text in recovery.see(&before, &object, elapsed) {
            tell(elapsed, &text)?;
        }
    }
    let done = screen.paint().colour(Colour::Green, "healed");
    let down = [killed, recovery.noticed].into_iter().flatten().min().unwrap_or_default();
    let total = recovery.ready.unwrap_or_default().saturating_sub(down);
    screen.line(&format!("{} {done} in {}: nobody did anything.", named.full(), age::measured(total)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn instance(name: &str, phase: &str, ready: &str, restarts: i64) -> Value {
        json!({"metadata": {"name": name, "uid": "u-1"}, "spec": {"image": "a"},
            "status": {"phase": phase, "machineId": "abc123", "restartCount": restarts, "backend": "docker",
                "conditions": [{"type": "Ready", "status": ready, "reason": "Exited", "message": "ended with 137"}]}})
    }

    #[test]
    fn web_is_preferred_and_stopped_ones_are_not_chosen() {
        let instances = [
            instance("a", "Stopped", "True", 0),
            instance("client", "Running", "True", 0),
            instance("web", "Running", "True", 0),
        ];
        assert_eq!(chosen(&instances).as_deref(), Some("web"));
        assert_eq!(chosen(&instances[..2]).as_deref(), Some("client"));
        assert_eq!(chosen(&instances[..1]), None);
    }

    #[test]
    fn instance_that_would_stay_down_is_refused() {
        let mut object = instance("job", "Running", "True", 0);
        object["spec"]["restartPolicy"] = json!("Never");
        assert!(suitable(&object).unwrap_err().contains("restartPolicy"));
        object = instance("x", "Running", "True", 0);
        object["status"]["machineId"] = json!("--all");
        assert!(suitable(&object).is_err());
    }

    #[test]
    fn container_without_the_instances_own_labels_is_not_touched() {
        let object = instance("web", "Running", "True", 0);
        let inspected = |labels: Value| json!({"Config": {"Labels": labels}}).to_string();
        let right = json!({UID_LABEL: "u-1", INSTALLATION_LABEL: "i-1"});
        assert!(check(&inspected(right), &object).is_ok());
        for labels in
            [json!({}), json!(null), json!({UID_LABEL: "u-2", INSTALLATION_LABEL: "i-1"}), json!({UID_LABEL: "u-1"})]
        {
            assert!(check(&inspected(labels), &object).unwrap_err().contains("Nothing was touched"));
        }
        let mut nameless = object;
        nameless["metadata"]["uid"] = Value::Null;
        assert!(check(&inspected(json!({INSTALLATION_LABEL: "i-1"})), &nameless).is_err());
    }

    #[test]
    fn recovery_is_told_step_by_step() {
        let before = instance("web", "Running", "True", 0);
        let mut recovery = Recovery::default();
        let at = Duration::from_millis;
        assert!(recovery.see(&before, &before, at(10)).is_empty());
        assert_eq!(
            recovery.see(&before, &instance("web", "Provisioning", "False", 0), at(20)),
            ["noticed by the controller: Exited: ended with 137"]
        );
        assert_eq!(
            recovery.see(&before, &instance("web", "Running", "True", 1), at(300)),
            ["started again (restart 1)", "Ready again"]
        );
        assert_eq!(recovery.ready, Some(at(300)));
    }

    #[test]
    fn end_that_is_written_down_before_the_new_start_is_no_recovery() {
        let mut before = instance("web", "Running", "True", 0);
        before["status"]["startedAt"] = json!("2026-01-01T00:00:05Z");
        let mut ended = instance("web", "Running", "True", 1);
        ended["status"]["startedAt"] = json!("2026-01-01T00:00:05Z");
        ended["status"]["lastExit"] = json!({"code": 137, "finishedAt": "2026-01-01T00:00:05Z"});
        ended["status"]["nextRestart"] = json!("2026-01-01T00:00:05Z");
        let mut recovery = Recovery::default();
        assert_eq!(recovery.see(&before, &ended, Duration::ZERO), ["noticed by the controller: exit code 137"]);
        ended["status"].as_object_mut().unwrap().remove("nextRestart");
        assert_eq!(recovery.see(&before, &ended, Duration::ZERO).len(), 2);
    }

    #[test]
    fn back_off_is_told_once() {
        let before = instance("web", "Running", "True", 0);
        let mut waiting = instance("web", "Failed", "False", 1);
        waiting["status"]["nextRestart"] = json!("2026-01-01T00:00:15Z");
        waiting["status"]["crashCount"] = json!(2);
        let mut recovery = Recovery::default();
        let told = recovery.see(&before, &waiting, Duration::ZERO);
        assert_eq!(told[1], "held back until 2026-01-01T00:00:15Z: it ended 2 times soon after its start");
        assert!(recovery.see(&before, &waiting, Duration::ZERO).is_empty());
    }

    #[test]
    fn recovery_seen_in_one_step_is_told_whole() {
        let before = instance("web", "Running", "True", 0);
        let told = Recovery::default().see(&before, &instance("web", "Running", "True", 1), Duration::ZERO);
        assert_eq!(told.len(), 3);
    }
}
