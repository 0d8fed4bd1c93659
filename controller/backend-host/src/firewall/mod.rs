//! The packet filter on nftables: one table of ours (and one for bridges, where machines join that can send anything),
//! replaced as a whole, and one rule in Docker's chain for users that lets pass what Docker would drop between its networks.
//! Bridged packets meet the first by way of `br_netfilter`.

mod script;
#[cfg(test)]
mod tests;

use std::io;

use async_trait::async_trait;
use controller_backend::{Error, Firewall, Rules};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::tools::{ToolError, run};
use script::Script;

/// What makes bridged packets meet the filter.
const BRIDGE_SETTINGS: [&str; 2] = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"];

pub(crate) struct Nftables {
    installation: Uuid,
    /// One at a time: what is read must still be true when it is acted on.
    applying: Mutex<()>,
}

impl Nftables {
    pub(crate) fn new(installation: Uuid) -> Self {
        Self { installation, applying: Mutex::new(()) }
    }
}

#[async_trait]
impl Firewall for Nftables {
    async fn holds(&self, rules: &Rules) -> Result<bool, Error> {
        let _applying = self.applying.lock().await;
        let script = Script::of(self.installation, rules);
        let read = |error: ToolError| error.during("read the packet filter");
        // Terse: without the elements of sets, of which there may be thousands.
        let list = async |family: &str| match run("nft", &["-t", "list", "table", family, &script.table], "").await {
            Ok(table) => Ok(Some(table)),
            Err(error) if error.says("No such file or directory") => Ok(None),
            Err(error) => Err(read(error)),
        };
        let Some(table) = list("inet").await? else { return Ok(rules.networks.is_empty()) };
        let is_ours = |table: &str| table.contains(&script.mark_of_content);
        let of_bridges = list("bridge").await?;
        Ok(is_ours(&table)
            && of_bridges.is_some() == script.pins_ports
            && of_bridges.is_none_or(|table| is_ours(&table))
            && bridges_are_filtered().await
            && loopback_is_routed(&script).await
            && passes_docker(&script).await.map_err(read)? == script.marks_packets)
    }

    async fn apply(&self, rules: &Rules) -> Result<(), Error> {
        let _applying = self.applying.lock().await;
        let script = Script::of(self.installation, rules);
        if !rules.networks.is_empty() {
            filter_bridges().await?;
        }
        let write = |error: ToolError| error.during("write the packet filter");
        run("nft", &["-f", "-"], &script.text).await.map_err(write)?;
        if !script.pins_ports {
            // A kernel that knows no tables for bridges has none of ours.
            let _ = run("nft", &["delete", "table", "bridge", &script.table], "").await;
        }
        route_loopback(&script).await;
        if passes_docker(&script).await.map_err(write)? != script.marks_packets {
            let operation = if script.marks_packets { "-I" } else { "-D" };
            let done = docker_user(operation, &script).await;
            match done {
                // Without Docker nobody drops anything more.
                Err(error) if error.says("No chain/target/match") => {}
                other => drop(other.map_err(write)?),
            }
        }
        Ok(())
    }
}

/// Whether Docker lets pass what bears our mark.
async fn passes_docker(script: &Script) -> Result<bool, ToolError> {
    match docker_user("-C", script).await {
        Ok(_) => Ok(true),
        Err(ToolError::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn docker_user(operation: &str, script: &Script) -> Result<String, ToolError> {
    run("iptables", &["-w", operation, "DOCKER-USER", "-m", "mark", "--mark", &script.packet_mark, "-j", "ACCEPT"], "")
        .await
}

/// What lets packets from the host's loopback address out by a bridge, and their answers in. What a machine sends there
/// itself meets the filter, which lets nothing pass that no answer is.
fn routes_loopback(bridge: &str) -> String {
    format!("/proc/sys/net/ipv4/conf/{bridge}/route_localnet")
}

async fn loopback_is_routed(script: &Script) -> bool {
    for bridge in &script.from_loopback {
        // A bridge that isn't there yet has no setting.
        if tokio::fs::read_to_string(routes_loopback(bridge)).await.is_ok_and(|value| value.trim() != "1") {
            return false;
        }
    }
    true
}

async fn route_loopback(script: &Script) {
    for bridge in &script.from_loopback {
        match tokio::fs::write(routes_loopback(bridge), "1").await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(bridge, %error, "ports published on loopback addresses are not reached");
            }
            _ => {}
        }
    }
}

fn setting(name: &str) -> String {
    format!("/proc/sys/net/bridge/{name}")
}

async fn bridges_are_filtered() -> bool {
    for name in BRIDGE_SETTINGS {
        if tokio::fs::read_to_string(setting(name)).await.is_ok_and(|value| value.trim() != "1") {
            return false;
        }
    }
    true
}

/// Makes bridged packets meet the filter, too.
async fn filter_bridges() -> Result<(), Error> {
    for name in BRIDGE_SETTINGS {
        let path = setting(name);
        let value = match tokio::fs::read_to_string(&path).await {
            Ok(value) => value,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Where the module isn't built in, it comes with its first use.
                let _ = run("modprobe", &["br_netfilter"], "").await;
                tokio::fs::read_to_string(&path).await.map_err(|_| {
                    Error::invalid(
                        "the kernel has no module `br_netfilter`, without which machines of one network can't be kept apart"
                            .to_owned(),
                    )
                })?
            }
            Err(error) => return Err(Error::failed("read how bridges are filtered", error)),
        };
        if value.trim() != "1" {
            tokio::fs::write(&path, "1").await.map_err(|error| Error::failed("have bridges filtered", error))?;
        }
    }
    Ok(())
}
