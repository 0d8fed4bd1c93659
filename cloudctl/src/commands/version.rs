//! `version`: this program's version and the server's.

use serde_json::{Value, json};

use crate::args::Global;
use crate::args::objects::VersionArgs;
use crate::connect;
use crate::error::Error;
use crate::output::{Screen, yaml};

/// Shows them. A server that cannot be reached is an error only after the client's version was printed.
pub(super) async fn run(args: &VersionArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let client = env!("CARGO_PKG_VERSION");
    let mut failure = None;
    let mut server = None;
    if !args.client {
        match connect::connect(global, screen).await {
            Ok(session) => server = Some(session.get("/version").await?),
            Err(error) => failure = Some(error),
        }
    }
    match args.output.as_deref() {
        Some(format) => {
            let mut whole = json!({"clientVersion": {"gitVersion": format!("v{client}")}});
            if let Some(server) = server {
                whole["serverVersion"] = server;
            }
            screen.text(&if format == "json" { yaml::json(&whole) } else { yaml::yaml(&whole) })?;
        }
        None => {
            screen.line(&format!("Client: v{client}"))?;
            if let Some(server) = server {
                screen.line(&format!("Server: {}", told(&server)))?;
            }
        }
    }
    failure.map_or(Ok(()), |error| Err(Error::Connect(error)))
}

fn told(server: &Value) -> String {
    let text = |key: &str| server[key].as_str().filter(|text| !text.is_empty());
    let version = text("gitVersion").unwrap_or("unknown");
    match text("platform") {
        Some(platform) => format!("{version} ({platform})"),
        None => version.to_owned(),
    }
}
