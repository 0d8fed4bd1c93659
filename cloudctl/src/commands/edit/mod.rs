//! `edit`: changes one object in the user's editor. What was edited is sent as a patch of the state that was shown, so that
//! nobody's change in between is lost; what the server refuses can be edited again, and is never thrown away.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value};
use tempfile::NamedTempFile;

use super::apply::substance;
use super::targets::{self, Named};
use crate::api::{Catalog, Patch, Query, Session};
use crate::args::Global;
use crate::args::changes::EditArgs;
use crate::connect;
use crate::error::{Error, chain};
use crate::manifests;
use crate::output::{Screen, yaml};

mod difference;

use difference::merge_patch;

/// Edits.
pub(super) async fn run(args: &EditArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let named = targets::single(&args.target, &catalog, session.namespace())?;
    let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = variable("VISUAL").or_else(|| variable("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    edit(&session, &named, &editor, screen).await
}

async fn edit(session: &Session, named: &Named, editor: &str, screen: &Screen) -> Result<(), Error> {
    let live = session.get(&named.path()).await?;
    // Without what nobody writes.
    let shown = substance(&live, named);
    let mut text = yaml::yaml(&shown);
    let mut refused: Option<Error> = None;
    loop {
        let written = format!("{}{text}", head(named, refused.as_ref()));
        let file = draft(&written)?;
        open(editor, file.path()).await?;
        let edited = fs::read_to_string(file.path()).map_err(Error::Output)?;
        let body = without_comments(&edited);
        if edited == written || body.trim().is_empty() {
            let Some(error) = refused else {
                screen.note("Nothing was edited.");
                return Ok(());
            };
            return Err(kept(file, &error));
        }
        text = body;
        match send(session, named, &live, &shown, &text).await {
            Ok(changed) => {
                screen.line(&format!("{} {}", named.full(), if changed { "edited" } else { "unchanged" }))?;
                return Ok(());
            }
            Err(Error::Api(error)) if error.is_conflict() => {
                let meanwhile = "somebody changed it meanwhile; edit it again from its present state".to_owned();
                return Err(kept(file, &Error::Failed(meanwhile)));
            }
            Err(error) => refused = Some(error),
        }
    }
}

fn head(named: &Named, refused: Option<&Error>) -> String {
    let mut head =
        format!("# {}. Lines that begin with # are left out; leave all as it is to change nothing.\n", named.full());
    for line in refused.map(|error| chain(error)).iter().flat_map(|text| text.lines()) {
        let _ = writeln!(head, "# {line}");
    }
    head
}

fn without_comments(text: &str) -> String {
    text.lines().skip_while(|line| line.starts_with('#')).fold(String::new(), |mut body, line| {
        body.push_str(line);
        body.push('\n');
        body
    })
}

/// A file that only its owner can read.
fn draft(text: &str) -> Result<NamedTempFile, Error> {
    let mut file =
        tempfile::Builder::new().prefix("cloudctl-edit-").suffix(".yaml").tempfile().map_err(Error::Output)?;
    file.write_all(text.as_bytes()).map_err(Error::Output)?;
    Ok(file)
}

/// The editor may be a command with arguments, such as `code --wait`.
async fn open(editor: &str, file: &Path) -> Result<(), Error> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$0\"")).arg(file);
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let status = tokio::process::Command::from(command).status().await.map_err(Error::Output)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "the editor `{editor}` ended with {status}; nothing was changed. $EDITOR names another one"
    )))
}

/// Sends what was edited; whether that was anything.
async fn send(session: &Session, named: &Named, live: &Value, shown: &Value, text: &str) -> Result<bool, Error> {
    let edited = manifests::value("the edited text", text)?;
    for path in ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"] {
        if edited.pointer(path) != shown.pointer(path) {
            return Err(Error::Failed(format!("{} cannot be edited", path[1..].replace('/', "."))));
        }
    }
    let (Some(before), Some(after)) = (shown.as_object(), edited.as_object()) else { return Ok(false) };
    let mut patch = merge_patch(before, after);
    if patch.is_empty() {
        return Ok(false);
    }
    let metadata = patch.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    metadata["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    let query = Query::new().with("fieldManager", "cloudctl-edit").with("fieldValidation", "Strict");
    session.patch(&query.on(&named.path()), Patch::Merge, &Value::Object(patch)).await?;
    Ok(true)
}

/// The error, with where the work is.
fn kept(file: NamedTempFile, error: &Error) -> Error {
    let text = chain(error);
    match file.keep() {
        Ok((_, path)) => Error::Failed(format!("{text}\nWhat you edited is in {}.", path.display())),
        Err(_) => Error::Failed(text),
    }
}

#[cfg(test)]
mod tests;
