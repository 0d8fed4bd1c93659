//! Decides how log lines look. What is logged is the reader's choice, by RUST_LOG, but for what
//! would show secrets.

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// Sends log lines to standard error; those of this level, and graver ones, unless RUST_LOG says which.
pub(crate) fn start(format: LogFormat, level: &str) {
    // Docker's client logs request bodies below info, and environment variables of machines are in them.
    let quiet = "bollard=info".parse().expect("a target and a level are a directive");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level)).add_directive(quiet);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => builder.json().init(),
    }
}
