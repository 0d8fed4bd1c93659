//! `logs`: prints what a machine wrote, and goes on printing when asked to.

use futures::StreamExt as _;

use super::targets;
use crate::api::{Catalog, Query};
use crate::args::Global;
use crate::args::instances::LogsArgs;
use crate::connect;
use crate::error::Error;
use crate::output::Screen;

/// Prints logs.
pub(super) async fn run(args: &LogsArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let named = targets::with_stream(&args.target, "log", &catalog, session.namespace())?;
    let query = Query::new()
        .with_set("follow", args.follow.then_some("true"))
        .with_set("tailLines", args.tail.map(|lines| lines.to_string()))
        // The server counts whole seconds; none at all would mean no limit.
        .with_set("sinceSeconds", args.since.map(|since| since.as_secs().max(1).to_string()))
        .with_set("timestamps", args.timestamps.then_some("true"))
        .with_set("previous", args.previous.then_some("true"));
    let path = named.resource.below(&named.namespace, &named.name, "log");
    let mut bytes = session.bytes(&query.on(&path)).await?;
    while let Some(chunk) = bytes.next().await {
        screen.bytes(&chunk?)?;
    }
    Ok(())
}
