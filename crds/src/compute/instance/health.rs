//! How to find out whether an Instance serves, and what to do when it doesn't.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to find out whether a machine serves: exactly one of exec, tcp and http.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.exec), has(self.tcp), has(self.http)].filter(x, x).size() == 1").message("set exactly one of exec, tcp and http"))]
pub struct HealthCheck {
    /// A command inside that ends with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecCheck>,
    /// A port that accepts connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpCheck>,
    /// A path that answers with a status from 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// Seconds between two checks.
    #[serde(default = "ten_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub period_seconds: i32,
    /// Seconds after which an unanswered check has failed.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: i32,
    /// Failures in a row that make it unavailable.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: i32,
    /// Seconds after the start in which failures don't count.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3600))]
    pub start_period_seconds: i32,
    /// What to do about a machine that has become unavailable.
    #[serde(default)]
    pub on_failure: OnFailure,
}

fn ten_seconds() -> i32 {
    10
}

fn one() -> i32 {
    1
}

fn three() -> i32 {
    3
}

/// What to do about a machine that fails its health check.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Report it: `Available` is False.
    #[default]
    None,
    /// Report it and start the machine again.
    Restart,
}

/// A command that ends with 0 when the machine serves.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExecCheck {
    /// The command and its arguments; no shell.
    #[schemars(length(min = 1, max = 256))]
    pub command: Vec<String>,
}

/// A port that accepts connections.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TcpCheck {
    /// The port inside.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// A path that answers with a status from 200 to 399.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// The port inside.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The path asked for.
    #[serde(default = "root")]
    #[schemars(length(max = 2048))]
    pub path: String,
}

fn root() -> String {
    "/".to_owned()
}
