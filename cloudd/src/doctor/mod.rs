//! `cloudd doctor`: looks at what this host offers and says, one line a check, what is there, what will be missed and the
//! way out. It changes nothing, needs no running cloud, and takes the same options as the daemon.

mod engines;
mod host;

use std::fmt;

use apiserver_store::ResourceId;

use crate::args::AllInOneArgs;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// As it should be.
    Ok,
    /// It works, and something is slower, looser or missing.
    Warn,
    /// The cloud doesn't work like this.
    Fail,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    level: Level,
    what: &'static str,
    /// What there is, in a few words.
    found: String,
    /// What to do about it; empty where nothing is to be done.
    way_out: String,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, what, found: found.into(), way_out: String::new() }
    }

    fn warn(what: &'static str, found: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { level: Level::Warn, what, found: found.into(), way_out: way_out.into() }
    }

    fn fail(what: &'static str, found: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { level: Level::Fail, what, found: found.into(), way_out: way_out.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        write!(formatter, "{level}  {:<15}  {}", self.what, one_line(&self.found))?;
        if self.way_out.is_empty() { Ok(()) } else { write!(formatter, ": {}", self.way_out) }
    }
}

fn joined(kinds: impl IntoIterator<Item = ResourceId>) -> String {
    kinds.into_iter().map(|kind| kind.to_string()).collect::<Vec<_>>().join(", ")
}

/// What a tool says may have several lines; a check has one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Prints what was found. Whether nothing has failed.
pub(crate) async fn run(args: &AllInOneArgs) -> bool {
    let mut findings = vec![engines::docker(args).await];
    findings.extend(engines::confinement(args).await);
    findings.extend(engines::virtual_machines(args).await);
    findings.push(host::packet_filter().await);
    findings.push(host::bridged_packets());
    findings.push(host::loop_devices());
    findings.push(host::reflinks(&args.state.data_dir));
    findings.push(Finding::ok("sealed kinds", joined(args.state.sealed_kinds())));
    findings.push(host::disk(&args.state.data_dir));
    findings.push(host::listening(args.serve.listen).await);
    findings.push(host::published_range(args.compute.publish_range));
    findings.push(host::clock(&args.state.data_dir));
    for finding in &findings {
        // The one thing that this command is for.
        println!("{finding}");
    }
    findings.iter().all(|finding| finding.level < Level::Fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_its_way_out() {
        let shown = Finding::fail("docker", "no\nanswer", "start it").to_string();
        assert_eq!(shown, "fail  docker           no answer: start it");
        assert_eq!(Finding::ok("clock", "kept").to_string(), "ok    clock            kept");
    }
}
