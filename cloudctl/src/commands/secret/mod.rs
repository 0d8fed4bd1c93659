//! `secret`: Secrets by their keys and versions. Decides what is asked of the server; where values come from is in `values`.
//! Nothing here prints a value but `get`.

mod values;

use std::io::{self, IsTerminal as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::targets;
use crate::api::{ApiError, Patch, Query, Resource, Session};
use crate::args::Global;
use crate::args::secrets::{SecretCommand, SecretGetArgs, SecretPutArgs, SecretRollbackArgs};
use crate::connect;
use crate::error::Error;
use crate::output::{Colour, Screen, age, table};

/// Questions at a time.
const AT_A_TIME: usize = 8;
/// Who writes, in `managedFields`.
const MANAGER: &str = "cloudctl-secret";

/// Carries out what is wished.
pub(super) async fn run(command: &SecretCommand, global: &Global, screen: &Screen) -> Result<(), Error> {
    let connect = || connect::connect(global, screen);
    match command {
        SecretCommand::Put(args) => put(&connect().await?, args, screen).await,
        SecretCommand::Get(args) => get(&connect().await?, args, screen).await,
        SecretCommand::List => list(&connect().await?, screen).await,
        SecretCommand::Versions(args) => versions(&connect().await?, &args.name, screen).await,
        SecretCommand::Rollback(args) => roll_back(&connect().await?, args, screen).await,
        SecretCommand::Delete(args) => {
            let session = connect().await?;
            for name in &args.names {
                session.delete(&path(&session, name)?, &json!({})).await?;
                done(screen, name, "deleted")?;
            }
            Ok(())
        }
    }
}

/// How Secrets are addressed. They are Kubernetes' own, so that no discovery is needed.
fn secrets() -> Resource {
    Resource { version: "v1".into(), plural: "secrets".into(), namespaced: true, ..Resource::default() }
}

fn path(session: &Session, name: &str) -> Result<String, Error> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(Error::Usage(format!("`{name}` cannot be a name")));
    }
    Ok(secrets().object(session.namespace(), name))
}

fn done(screen: &Screen, name: &str, what: &str) -> Result<(), Error> {
    Ok(screen.line(&format!("secret/{name} {}", screen.paint().colour(Colour::Green, what)))?)
}

async fn put(session: &Session, args: &SecretPutArgs, screen: &Screen) -> Result<(), Error> {
    let path = path(session, &args.name)?;
    let values = values::gather(args)?;
    let data: Map<String, Value> =
        values.into_iter().map(|(key, value)| (key, STANDARD.encode(value).into())).collect();
    let query = Query::new().with("fieldManager", MANAGER).with("fieldValidation", "Strict");
    let change = json!({"data": data});
    // Whoever else makes it meanwhile, it has these keys in the end.
    match session.patch(&query.on(&path), Patch::Merge, &change).await {
        Err(error) if error.is_not_found() => {}
        changed => {
            changed.map_err(|error| explained(error, &args.name))?;
            return done(screen, &args.name, "changed");
        }
    }
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": args.name}, "type": "Opaque", "data": data});
    match session.post(&query.on(&secrets().collection(Some(session.namespace()))), &secret).await {
        Err(error) if error.already_exists() => {
            let changed = session.patch(&query.on(&path), Patch::Merge, &change).await;
            changed.map_err(|error| explained(error, &args.name))?;
            done(screen, &args.name, "changed")
        }
        made => {
            made?;
            done(screen, &args.name, "created")
        }
    }
}

/// What an immutable Secret means for whoever wants to change it.
fn explained(error: ApiError, name: &str) -> Error {
    match &error {
        ApiError::Status { status } if status.message.contains("field is immutable when `immutable` is set") => {
            let way = format!("`cloudctl secret delete {name}` and put it anew, or put another one");
            Error::Failed(format!("the Secret `{name}` is immutable, so it stays as it is: {way}"))
        }
        _ => error.into(),
    }
}

async fn get(session: &Session, args: &SecretGetArgs, screen: &Screen) -> Result<(), Error> {
    let path = path(session, &args.name)?;
    let secret = match args.version {
        None => session.get(&path).await?,
        Some(version) => at_version(session, &path, version).await?,
    };
    let value = value(&secret, &args.name, args.key.as_deref())?;
    if !io::stdout().is_terminal() {
        return Ok(screen.bytes(&value)?);
    }
    match std::str::from_utf8(&value) {
        Ok(text) if !text.contains(|letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')) => {
            Ok(screen.line(text.trim_end_matches('\n'))?)
        }
        _ => Err(Error::Failed("the value is no text; send it into a file or another program".to_owned())),
    }
}

/// The value of a key, or of the only one.
fn value(secret: &Value, name: &str, key: Option<&str>) -> Result<Vec<u8>, Error> {
    let empty = Map::new();
    let data = secret["data"].as_object().unwrap_or(&empty);
    let keys = || data.keys().cloned().collect::<Vec<_>>().join(", ");
    let found = match key {
        Some(key) => data
            .get(key)
            .ok_or_else(|| Error::NotFound(format!("the Secret `{name}` has no key `{key}`; it has: {}", keys()))),
        None if data.len() > 1 => {
            Err(Error::Usage(format!("the Secret `{name}` has several keys; name one of: {}", keys())))
        }
        None => data.values().next().ok_or_else(|| Error::NotFound(format!("the Secret `{name}` has no keys"))),
    };
    let text = found?.as_str().unwrap_or_default();
    STANDARD.decode(text).map_err(|_| Error::Failed(format!("a value of the Secret `{name}` can't be read")))
}

async fn at_version(session: &Session, path: &str, version: u64) -> Result<Value, ApiError> {
    session.get(&Query::new().with("version", version.to_string()).on(&format!("{path}/versions"))).await
}

async fn list(session: &Session, screen: &Screen) -> Result<(), Error> {
    let found = targets::list(session, &secrets(), Some(session.namespace()), &Query::new()).await?;
    if found.is_empty() {
        screen.note(&format!("There is no Secret in the namespace `{}`.", session.namespace()));
        return Ok(());
    }
    let now = Timestamp::now();
    let ask = async |secret: &Value| {
        let metadata = &secret["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        // Who may list Secrets need not be allowed to look at older versions.
        let versions = session.get(&format!("{}/versions", secrets().object(session.namespace(), name))).await;
        let version = versions.map_or("?".to_owned(), |versions| versions["items"][0]["version"].to_string());
        let keys = secret["data"].as_object().map(|data| data.keys().cloned().collect::<Vec<_>>().join(","));
        let age = age::since(metadata["creationTimestamp"].as_str().unwrap_or_default(), now);
        vec![name.to_owned(), keys.unwrap_or_default(), version, age]
    };
    let rows: Vec<_> = stream::iter(found.iter().map(ask)).buffered(AT_A_TIME).collect().await;
    for line in table::lines(&["NAME", "KEYS", "VERSION", "AGE"], &rows, screen.paint()) {
        screen.line(&line)?;
    }
    Ok(())
}

async fn versions(session: &Session, name: &str, screen: &Screen) -> Result<(), Error> {
    let listed = session.get(&format!("{}/versions", path(session, name)?)).await?;
    for line in table::lines(&["VERSION", "AGE", "CURRENT", "KEYS"], &rows(&listed, Timestamp::now()), screen.paint()) {
        screen.line(&line)?;
    }
    Ok(())
}

fn rows(listed: &Value, now: Timestamp) -> Vec<Vec<String>> {
    let row = |item: &Value| {
        let keys = item["keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        let current = if item["current"] == true { "yes" } else { "" };
        let since = age::since(item["created"].as_str().unwrap_or_default(), now);
        vec![item["version"].to_string(), since, current.to_owned(), keys.join(",")]
    };
    listed["items"].as_array().into_iter().flatten().map(row).collect()
}

/// What is there now is told apart by its revision: what somebody else changed meanwhile isn't lost unseen.
async fn roll_back(session: &Session, args: &SecretRollbackArgs, screen: &Screen) -> Result<(), Error> {
    let (name, path) = (&args.name, path(session, &args.name)?);
    let listed = session.get(&format!("{path}/versions")).await?;
    let current = listed["items"][0]["version"].as_u64().unwrap_or_default();
    let wanted = match args.to {
        Some(wanted) if wanted == current => {
            return Err(Error::Usage(format!("version {wanted} is what the Secret `{name}` holds now")));
        }
        Some(wanted) => wanted,
        None => listed["items"][1]["version"]
            .as_u64()
            .ok_or_else(|| Error::NotFound(format!("the Secret `{name}` has no older version")))?,
    };
    let then = at_version(session, &path, wanted).await?;
    let change = json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": listed["metadata"]["resourceVersion"]},
        {"op": "add", "path": "/data", "value": then["data"]},
    ]);
    let query = Query::new().with("fieldManager", MANAGER);
    session.patch(&query.on(&path), Patch::Json, &change).await.map_err(|error| match &error {
        ApiError::Status { status } if status.message.contains("immutable") => explained(error, name),
        ApiError::Status { status } if error.is_conflict() || status.code == 422 => {
            let again = format!("look at `cloudctl secret versions {name}` and try again");
            Error::Failed(format!("the Secret `{name}` was changed meanwhile, so nothing was rolled back: {again}"))
        }
        _ => error.into(),
    })?;
    done(screen, name, &format!("rolled back to the content of version {wanted}"))
}

#[cfg(test)]
mod tests;
