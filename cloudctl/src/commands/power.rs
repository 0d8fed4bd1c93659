//! `stop`, `start` and `restart`: say in the spec of Instances what their power shall be, and wait until it is so.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::targets::{self, Named};
use super::wait;
use crate::api::{Catalog, Patch, Query, Session};
use crate::args::Global;
use crate::args::instances::PowerArgs;
use crate::connect;
use crate::error::{Error, Exit};
use crate::output::Screen;

/// What is done to machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    Stop,
    Start,
    Restart,
}

impl Power {
    /// How it is called once it is so.
    fn done(self) -> &'static str {
        match self {
            Self::Stop => "stopped",
            Self::Start => "started",
            Self::Restart => "restarted",
        }
    }

    /// What changes in an Instance; `None` if it says so already.
    ///
    /// # Errors
    /// What else to do, when this is of no use to it.
    fn change(self, object: &Value, name: &str, token: &str) -> Result<Option<Value>, String> {
        let power = object["spec"]["powerState"].as_str().unwrap_or("Running");
        let phase = object["status"]["phase"].as_str().unwrap_or_default();
        match self {
            Self::Stop if power == "Stopped" => Ok(None),
            Self::Stop => Ok(Some(json!({"spec": {"powerState": "Stopped"}}))),
            // It is wanted to run and has ended for good: the same wish again would change nothing.
            Self::Start if power == "Running" && matches!(phase, "Succeeded" | "Failed") => {
                Err(format!("Instance `{name}` is to run and has ended; `cloudctl restart {name}` runs it again"))
            }
            Self::Start if power == "Running" => Ok(None),
            Self::Start => Ok(Some(json!({"spec": {"powerState": "Running"}}))),
            Self::Restart if power == "Stopped" => {
                Err(format!("Instance `{name}` is stopped; `cloudctl start {name}` starts it"))
            }
            Self::Restart => Ok(Some(json!({"spec": {"restartToken": token}}))),
        }
    }
}

/// Changes the power of Instances.
pub(super) async fn run(power: Power, args: &PowerArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let mut objects = Vec::new();
    for word in &args.targets {
        let named = targets::one(word, "instances", &catalog, session.namespace())?;
        if named.resource.plural != "instances" {
            return Err(Error::Usage(format!("`{word}`: only Instances have power; name an Instance")));
        }
        objects.push(named);
    }
    all(&session, objects, power, args.timeout, screen).await
}

async fn all(
    session: &Session,
    objects: Vec<Named>,
    power: Power,
    timeout: Duration,
    screen: &Screen,
) -> Result<(), Error> {
    let token = Timestamp::now().to_string();
    let mut changing = Vec::new();
    let mut exit = None;
    for named in objects {
        match change(session, &named, power, &token).await {
            Ok(true) => changing.push(named),
            Ok(false) => {
                let state = if power == Power::Stop { "stopped" } else { "running" };
                screen.line(&format!("{} is {state} already", named.full()))?;
            }
            Err(error) => {
                exit = Some(if exit.is_none_or(|before| before == error.exit()) { error.exit() } else { Exit::Failed });
                screen.error(&error.to_string());
            }
        }
    }
    if timeout.is_zero() {
        for named in &changing {
            screen.line(&format!("{} will be {}", named.full(), power.done()))?;
        }
    } else if !changing.is_empty() {
        wait::until_ready(session, &changing, power.done(), timeout, screen).await?;
    }
    exit.map_or(Ok(()), |exit| Err(Error::Silent(exit)))
}

/// Whether there was anything to change.
async fn change(session: &Session, named: &Named, power: Power, token: &str) -> Result<bool, Error> {
    let object = session.get(&named.path()).await?;
    let Some(change) = power.change(&object, &named.name, token).map_err(Error::Failed)? else {
        // Somebody has said so just now: then it is waited for like a change of one's own.
        let wanted = if power == Power::Stop { "Stopped" } else { "Running" };
        return Ok(object["status"]["phase"] != wanted);
    };
    let query = Query::new().with("fieldManager", "cloudctl-power").with("fieldValidation", "Strict");
    session.patch(&query.on(&named.path()), Patch::Merge, &change).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::api::Resource;
    use crate::api::tests::{Answer, session};

    fn instance(power: &str, phase: &str) -> Value {
        json!({"spec": {"powerState": power}, "status": {"phase": phase}})
    }

    #[test]
    fn only_what_is_not_so_yet_is_changed() {
        let change = |power: Power, state: &str, phase: &str| power.change(&instance(state, phase), "web", "now");
        let power = |state: &str| Ok(Some(json!({"spec": {"powerState": state}})));
        assert_eq!(change(Power::Stop, "Running", "Running"), power("Stopped"));
        assert_eq!(change(Power::Stop, "Paused", "Paused"), power("Stopped"));
        assert_eq!(change(Power::Stop, "Stopped", "Stopped"), Ok(None));
        assert_eq!(change(Power::Start, "Stopped", "Stopped"), power("Running"));
        assert_eq!(change(Power::Start, "Paused", "Paused"), power("Running"));
        assert_eq!(change(Power::Start, "Running", "Running"), Ok(None));
        let again = Ok(Some(json!({"spec": {"restartToken": "now"}})));
        assert_eq!(change(Power::Restart, "Running", "Running"), again);
        assert_eq!(change(Power::Restart, "Running", "Succeeded"), again);
    }

    #[test]
    fn what_is_of_no_use_names_what_is() {
        let error = Power::Restart.change(&instance("Stopped", "Stopped"), "web", "now").unwrap_err();
        assert_eq!(error, "Instance `web` is stopped; `cloudctl start web` starts it");
        let error = Power::Start.change(&instance("Running", "Succeeded"), "web", "now").unwrap_err();
        assert!(error.ends_with("`cloudctl restart web` runs it again"), "{error}");
    }

    fn named(name: &str) -> Named {
        let resource = Resource {
            version: "v1".into(),
            plural: "instances".into(),
            singular: "instance".into(),
            ..Resource::default()
        };
        Named { resource, namespace: "default".into(), name: name.into() }
    }

    #[tokio::test]
    async fn each_is_told_once_it_is_so_and_a_missing_one_does_not_keep_the_others() {
        let patches = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&patches);
        let session = session(move |request| {
            let uri = request.uri().to_string();
            if uri.contains("/gone") {
                return Answer::status(404, "NotFound", "instances \"gone\" not found");
            }
            if request.method() == "PATCH" {
                seen.lock().unwrap().push(uri);
                return Answer::json(200, json!({}));
            }
            let web = json!({"metadata": {"name": "web", "generation": 2, "resourceVersion": "5"}, "spec": {},
                "status": {"phase": "Stopped", "observedGeneration": 2, "conditions": [
                    {"type": "Ready", "status": "True", "reason": "Stopped", "observedGeneration": 2}]}});
            if uri.ends_with("/web") {
                return Answer::json(200, web);
            }
            Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": [web]}))
        });
        let (screen, printed) = Screen::captured();
        let objects = vec![named("gone"), named("web")];
        let error = all(&session, objects, Power::Stop, Duration::from_secs(5), &screen).await.unwrap_err();
        assert_eq!(error.exit(), Exit::NotFound);
        let text = printed.text();
        assert!(text.contains("instances \"gone\" not found"), "{text}");
        assert!(text.ends_with("instance/web stopped\n"), "{text}");
        assert_eq!(patches.lock().unwrap().len(), 1);
    }
}
