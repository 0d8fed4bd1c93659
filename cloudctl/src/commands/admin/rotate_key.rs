//! `admin rotate-key`: seals the store with the newest master key, shows how far that is, and says what is to be done next.
//! Cut off, it is given again.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::Session;
use crate::args::Global;
use crate::args::admin::RotateKeyArgs;
use crate::connect;
use crate::error::Error;
use crate::output::Screen;
use crate::output::progress::Progress;

const PATH: &str = "/admin/v1/key-rotation";
/// How often is asked, and for how long.
const PAUSE: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(3600);

/// Rotates, or tells how it stands.
pub(super) async fn run(args: &RotateKeyArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    if args.status {
        let told = session.get(PATH).await?;
        tell(&told, screen)?;
        return Ok(screen.line(&sealed(&told))?);
    }
    let told = rotate(&session, args, screen, PAUSE).await?;
    tell(&told, screen)
}

async fn rotate(session: &Session, args: &RotateKeyArgs, screen: &Screen, pause: Duration) -> Result<Value, Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut progress = Progress::start(screen);
    let path = if args.renew_data_keys { format!("{PATH}?dataKeys=renew") } else { PATH.to_owned() };
    let mut told = session.post(&path, &json!({})).await?;
    loop {
        match text(&told, "state") {
            "Complete" => return Ok(told),
            "Running" => progress.say(&step(&told)),
            _ => match text(&told, "failure") {
                // The server that was at it is gone, and another one answers.
                "" => drop(session.post(PATH, &json!({})).await?),
                why => {
                    return Err(Error::Failed(format!(
                        "the rotation was cut off: {why}. Give the command again: it goes on."
                    )));
                }
            },
        }
        if Instant::now() > deadline {
            return Err(Error::Timeout("the rotation is still under way; give the command again to go on".to_owned()));
        }
        tokio::time::sleep(pause).await;
        told = session.get(PATH).await?;
    }
}

fn step(told: &Value) -> String {
    match text(told, "step") {
        "Sealing" => format!("sealing anew: {} of {}", told["done"], told["total"]),
        "Forgetting" => format!("forgetting {} old changes", told["total"]),
        _ => "looking for what is sealed with an older key".to_owned(),
    }
}

/// How it stands, and what to do now.
fn tell(told: &Value, screen: &Screen) -> Result<(), Error> {
    let key = text(told, "key");
    let others: Vec<&str> =
        told["knownKeys"].as_array().into_iter().flatten().filter_map(Value::as_str).filter(|id| *id != key).collect();
    match text(told, "state") {
        "Complete" if others.is_empty() => {
            screen.line(&format!("Everything is sealed with the master key {key}, and no newer one is given."))?;
            screen.note(
                "For a new one, on every apiserver's host:\n  cloudd new-key >> secret.key    # the same line everywhere\n\
                 Then give this command again.",
            );
        }
        "Complete" => {
            screen.line(&format!(
                "Everything is sealed with the master key {key}. No row opens with {}.",
                others.join(", ")
            ))?;
            screen.note(
                "Take the older keys away: leave the last line of `secret.key`, on every apiserver's host.\n\
                 Backups and copies of the database from before open with the older keys only: keep those as long, and elsewhere.",
            );
        }
        "Running" => screen.line(&format!("Under way: {}.", step(told)))?,
        "Pending" => screen.line(&format!(
            "Sealed with the master key {key}; the newer {} is given. To take it: cloudctl admin rotate-key",
            text(told, "newestKey")
        ))?,
        _ => screen.line(&format!(
            "Cut off: {} rows aren't sealed with the master key {key} yet. To go on: cloudctl admin rotate-key",
            told["left"]
        ))?,
    }
    Ok(())
}

/// The kinds that are sealed, and how many objects each has: one of which there is none may be a slip of the pen.
fn sealed(told: &Value) -> String {
    let kinds = told["sealed"].as_array().into_iter().flatten();
    let kinds: Vec<String> = kinds.map(|kind| format!("{} ({})", text(kind, "resource"), kind["objects"])).collect();
    format!("Sealed kinds: {}.", kinds.join(", "))
}

fn text<'a>(told: &'a Value, field: &str) -> &'a str {
    told[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::api::tests::{Answer, session};

    fn told(state: &str, key: &str, failure: &str) -> Value {
        json!({"state": state, "key": key, "newestKey": "new", "knownKeys": ["old", "new"], "left": 3, "failure": failure})
    }

    /// A server that gives these answers, one after the other, and the methods that it was asked with.
    async fn rotated(answers: Vec<Value>) -> (Result<String, String>, String) {
        let answers = Mutex::new(answers.into_iter());
        let asked = std::sync::Arc::new(Mutex::new(String::new()));
        let noted = std::sync::Arc::clone(&asked);
        let session = session(move |request| {
            noted.lock().unwrap().push_str(&request.method().as_str()[..1]);
            Answer::json(200, answers.lock().unwrap().next().expect("it has ended"))
        });
        let (screen, captured) = Screen::captured();
        let ended = rotate(&session, &RotateKeyArgs { renew_data_keys: false, status: false }, &screen, Duration::ZERO)
            .await
            .and_then(|told| tell(&told, &screen));
        let ended = ended.map(|()| captured.text()).map_err(|error| error.to_string());
        let asked = asked.lock().unwrap().clone();
        (ended, asked)
    }

    #[tokio::test]
    async fn it_ends_with_what_to_do_next() {
        let running = json!({"state": "Running", "step": "Sealing", "done": 64, "total": 70});
        let (said, asked) = rotated(vec![running.clone(), running, told("Complete", "new", "")]).await;
        let said = said.unwrap();
        assert_eq!(asked, "PGG");
        for part in ["64 of 70", "No row opens with old", "Take the older keys away"] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[tokio::test]
    async fn where_another_server_answers_it_goes_on() {
        let unfinished = || told("Unfinished", "new", "");
        let running = json!({"state": "Running", "step": "Looking"});
        let answers = vec![unfinished(), running.clone(), running, told("Complete", "new", "")];
        assert_eq!(rotated(answers).await.1, "PPGG");
    }

    #[test]
    fn kinds_that_are_sealed_are_told_with_their_number() {
        let told = json!({"sealed": [{"resource": "configmaps", "objects": 0}, {"resource": "secrets", "objects": 7}]});
        assert_eq!(sealed(&told), "Sealed kinds: configmaps (0), secrets (7).");
    }

    #[tokio::test]
    async fn failure_is_told() {
        let running = json!({"state": "Running", "step": "Looking"});
        let (said, asked) = rotated(vec![running, told("Unfinished", "new", "the disk is full")]).await;
        assert_eq!(asked, "PG");
        assert!(said.unwrap_err().contains("the disk is full"));
    }
}
