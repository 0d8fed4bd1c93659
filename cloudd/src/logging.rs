//! Decides how log lines look. What is logged is the reader's choice, by RUST_LOG, but for what
//! would show secrets.

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// What logs below info all that passes through it: bodies of requests to Docker, and what commands in machines read and write.
const TALKATIVE: [&str; 3] = ["bollard", "tungstenite", "tokio_tungstenite"];

/// Sends log lines to standard error; those of this level, and graver ones, unless RUST_LOG says which.
pub(crate) fn start(format: LogFormat, level: &str) {
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let filter = TALKATIVE.iter().fold(chosen, |filter, target| {
        filter.add_directive(format!("{target}=info").parse().expect("a target and a level are a directive"))
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => builder.json().init(),
    }
}
