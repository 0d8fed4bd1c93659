//! What an Instance is at the moment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PortStatus, Resources};

/// What the machine is at the moment.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// One word for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<InstancePhase>,
    /// `Ready`: reality equals the spec. `Available`: it serves. `Stalled`: it needs the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status tells about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Its address in the Vpc, kept for life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Its name inside the Vpc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Its ports, with where the published ones are reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortStatus>,
    /// Where its published ports are reached, for people: `127.0.0.1:8080`, comma-separated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
    /// How often it was started again after it had ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_count: Option<i32>,
    /// Starts in a row that ended soon; they double the pause before the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash_count: Option<i32>,
    /// When it is started again, while it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_restart: Option<Time>,
    /// Attempts in a row to fetch its image that failed; they double the pause before the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_failures: Option<i32>,
    /// When its image is fetched again, while it waits for that. It goes on earlier if the image comes to the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_pull: Option<Time>,
    /// The `restartToken` that it was last started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_token: Option<String>,
    /// The Secrets that its environment or files come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub secrets: Vec<SecretStatus>,
    /// The Secrets whose change it is being restarted for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarting_for: Vec<String>,
    /// When it was last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// How it last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<Exit>,
    /// The backend's own id of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// The Volumes that its machine has, also those that it shall no longer have and hasn't let go of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// The backend's own id of the image it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// What runs it: `docker`, `libvirt`, or `fake` on a server started for benchmarks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The InstanceType in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// The amounts in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The host it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// A Secret that a machine was started with.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretStatus {
    /// Its name.
    pub name: String,
    /// Tells whether what was taken from it is the same, and nothing else about it; without it there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether it holds something else now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
    /// When that was noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Time>,
}

/// What an Instance is doing, in one word.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstancePhase {
    /// It waits for something else to exist.
    Pending,
    /// It is being made.
    Provisioning,
    /// It runs.
    Running,
    /// It is stopped on purpose.
    Stopped,
    /// It is frozen on purpose.
    Paused,
    /// It ended by itself, with 0, and stays so.
    Succeeded,
    /// It can't be made, or ended by itself and stays so, or waits to be started again, or stands still as the host can't write
    /// for it.
    Failed,
    /// It is being removed.
    Terminating,
}

/// How a machine ended.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// Its exit code.
    pub code: i32,
    /// Completed, Error, OOMKilled, Killed, Unhealthy or Stopped.
    pub reason: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
}
