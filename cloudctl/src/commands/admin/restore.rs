//! `admin restore`: puts a backup in the place of everything, and waits until the cloud answers again.

use std::path::Path;
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;
use tokio::time::Instant;

use crate::api::Session;
use crate::args::Global;
use crate::args::admin::RestoreArgs;
use crate::connect;
use crate::error::Error;
use crate::output::Screen;

/// How long the cloud may take until it answers again, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(200);

/// Restores a backup.
pub(super) async fn run(args: &RestoreArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let mut headers = HeaderMap::new();
    if let Some(path) = &args.key_file {
        let text = tokio::fs::read_to_string(path).await.map_err(|error| cannot_read(path, &error))?;
        let value = text
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .parse()
            .map_err(|_| Error::Failed(format!("{} holds no key", path.display())))?;
        headers.insert("thecloud-backup-key", value);
    }
    let session = connect::connect(global, screen).await?;
    let path = if args.force { "/admin/v1/restore?force=true" } else { "/admin/v1/restore" };
    let told = if args.file == Path::new("-") {
        session.upload(path, headers, tokio::io::stdin()).await?
    } else {
        let file = tokio::fs::File::open(&args.file).await.map_err(|error| cannot_read(&args.file, &error))?;
        session.upload(path, headers, file).await?
    };
    answers_again(&session, &told).await?;
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    screen.line(&format!("{} objects of {} are back.", told["objects"], text("taken")))?;
    screen.note(
        "Machines and networks that the backup doesn't know are kept. When all is as it should be:\n  \
         cloudctl admin sweep confirm",
    );
    Ok(())
}

/// Waits until the server has started anew on what was restored.
async fn answers_again(session: &Session, told: &Value) -> Result<(), Error> {
    let wanted: u64 = told["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = session.get("/api/v1/namespaces?limit=1").await;
        let now = list.as_ref().ok().and_then(|list| list["metadata"]["resourceVersion"].as_str()?.parse::<u64>().ok());
        if now.is_some_and(|now| now >= wanted) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let why = "the backup is restored, but the server does not answer again; look at its log";
            return Err(Error::Timeout(why.to_owned()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Error {
    Error::Failed(format!("cannot read {}: {error}", path.display()))
}
