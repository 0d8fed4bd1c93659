//! Decides what is logged of which request: the rules of an audit policy in upstream's own form (`audit.k8s.io/v1`
//! Policy). The first rule that fits decides; what none fits isn't logged.
//!
//! Whatever a policy says, bodies that hold a Secret or a credential are never logged.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::access::Identity;
use crate::request::{Resource, Target};

/// How much is logged of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Level {
    /// Nothing.
    None,
    /// Who, what, when, from where, and how it ended.
    Metadata,
    /// Also the body of the request.
    Request,
}

/// Which requests are logged, and how much of each.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    api_version: String,
    kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: serde_json::Value,
    #[serde(default)]
    rules: Vec<Rule>,
}

/// What does not say anything fits everything.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    level: Level,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    user_groups: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    resources: Vec<Resources>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default, rename = "nonResourceURLs")]
    paths: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resources {
    #[serde(default)]
    group: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

/// Why a text is no policy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnusablePolicy(String);

const API_VERSION: &str = "audit.k8s.io/v1";

/// Whose bodies are never logged, as group and resource. `*` stands for all with that subresource.
const SECRET: [(&str, &str); 4] = [
    ("", "secrets"),
    ("authentication.k8s.io", "tokenreviews"),
    ("", "serviceaccounts/token"),
    ("thecloud.dev", "users"),
];

impl Policy {
    /// Reads a policy, as YAML or JSON.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, UnusablePolicy> {
        let policy: Self = serde_saphyr::from_str(text).map_err(|error| {
            let hint = if text.contains("RequestResponse") {
                ". The bodies of answers aren't logged: use the level Request"
            } else {
                ""
            };
            UnusablePolicy(format!("{error}{hint}"))
        })?;
        if policy.api_version != API_VERSION || policy.kind != "Policy" {
            let found = format!("{} {}", policy.api_version, policy.kind);
            return Err(UnusablePolicy(format!("it is `{found}`, and should be `{API_VERSION} Policy`")));
        }
        Ok(policy)
    }

    /// How much of a request is logged.
    pub(crate) fn level(&self, who: &Identity, verb: &str, target: &Target, path: &str) -> Level {
        let rule = self.rules.iter().find(|rule| rule.fits(who, verb, target, path));
        let level = rule.map_or(Level::None, |rule| rule.level);
        match target {
            Target::Resource(of) if !holds_secrets(of) => level,
            // A login, a restore, or a document that anybody may have.
            _ => level.min(Level::Metadata),
        }
    }
}

impl Default for Policy {
    /// Every write but heartbeats, every read of a Secret, every session in a machine, and what administrators ask of
    /// the whole cloud.
    fn default() -> Self {
        static DEFAULT: LazyLock<Policy> = LazyLock::new(|| {
            Policy::parse(include_str!("default-policy.yaml")).expect("the default policy is one: a test reads it")
        });
        DEFAULT.clone()
    }
}

impl Rule {
    fn fits(&self, who: &Identity, verb: &str, target: &Target, path: &str) -> bool {
        let any = |list: &[String], wanted: &str| list.is_empty() || list.iter().any(|item| item == wanted);
        any(&self.verbs, verb)
            && any(&self.users, &who.user)
            && (self.user_groups.is_empty() || self.user_groups.iter().any(|group| who.groups.contains(group)))
            && match target {
                Target::Resource(of) => self.fits_resource(of),
                _ => self.fits_path(path),
            }
    }

    fn fits_resource(&self, of: &Resource) -> bool {
        if self.resources.is_empty() && self.namespaces.is_empty() {
            return self.paths.is_empty();
        }
        (self.namespaces.is_empty() || self.namespaces.contains(&of.namespace))
            && (self.resources.is_empty() || self.resources.iter().any(|resources| resources.fit(of)))
    }

    fn fits_path(&self, path: &str) -> bool {
        if self.paths.is_empty() {
            return self.resources.is_empty() && self.namespaces.is_empty();
        }
        self.paths.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == pattern,
        })
    }
}

impl Resources {
    /// A resource does not stand for its subresources; `pods/*` does, and `*` stands for everything.
    fn fit(&self, of: &Resource) -> bool {
        let is_group = self.group == "*" || self.group == of.group;
        is_group
            && (self.resource_names.is_empty() || self.resource_names.contains(&of.name))
            && (self.resources.is_empty() || self.resources.iter().any(|pattern| fits_pattern(pattern, of)))
    }
}

fn fits_pattern(pattern: &str, of: &Resource) -> bool {
    let is = |pattern: &str, value: &str| pattern == "*" || pattern == value;
    match pattern.split_once('/') {
        _ if pattern == "*" => true,
        Some((plural, subresource)) => {
            !of.subresource.is_empty() && is(plural, &of.plural) && is(subresource, &of.subresource)
        }
        None => of.subresource.is_empty() && pattern == of.plural,
    }
}

fn holds_secrets(of: &Resource) -> bool {
    let whole = format!("{}/{}", of.plural, of.subresource);
    SECRET.iter().any(|(group, resource)| *group == of.group && (*resource == of.plural || *resource == whole))
        || matches!(of.subresource.as_str(), "token" | "password" | "key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        Target::parse(path).unwrap()
    }

    fn level(policy: &Policy, who: &Identity, verb: &str, path: &str) -> Level {
        policy.level(who, verb, &target(path), path)
    }

    #[test]
    fn by_default_writes_and_reads_of_secrets_are_logged_and_other_reads_are_not() {
        let (policy, bob) = (Policy::default(), Identity::new("bob", []));
        let instances = "/apis/thecloud.dev/v1alpha1/namespaces/a/instances";
        let exec = format!("{instances}/web/exec");
        for (verb, path, expected) in [
            ("create", instances, Level::Metadata),
            ("deletecollection", instances, Level::Metadata),
            ("patch", "/apis/thecloud.dev/v1alpha1/namespaces/a/instances/web/status", Level::Metadata),
            ("list", instances, Level::None),
            ("get", "/api/v1/namespaces/a/configmaps/c", Level::None),
            ("get", "/api/v1/namespaces/a/secrets/s", Level::Metadata),
            ("list", "/api/v1/secrets", Level::Metadata),
            ("watch", "/api/v1/secrets", Level::Metadata),
            ("get", exec.as_str(), Level::Metadata),
            ("post", "/admin/v1/restore", Level::Metadata),
            ("post", "/admin/v1/key-rotation", Level::Metadata),
            ("get", "/version", Level::None),
            ("create", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Level::None),
        ] {
            assert_eq!(level(&policy, &bob, verb, path), expected, "{verb} {path}");
        }
        let account = Identity::new("system:serviceaccount:a:b", ["system:serviceaccounts".to_owned()]);
        let lease = "/apis/coordination.k8s.io/v1/namespaces/a/leases/l";
        assert_eq!(level(&policy, &account, "update", lease), Level::None);
        assert_eq!(level(&policy, &bob, "update", lease), Level::Metadata);
    }

    #[test]
    fn first_rule_that_fits_decides() {
        let policy = Policy::parse(
            "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [
              {level: None, users: [bob], namespaces: [a]},
              {level: Request, resources: [{group: '', resources: [configmaps]}, {group: x.y, resources: ['*/status']}]},
              {level: Metadata, nonResourceURLs: ['/v*']}]}",
        )
        .unwrap();
        let (bob, eve) = (Identity::new("bob", []), Identity::new("eve", []));
        assert_eq!(level(&policy, &bob, "create", "/api/v1/namespaces/a/configmaps"), Level::None);
        assert_eq!(level(&policy, &eve, "create", "/api/v1/namespaces/a/configmaps"), Level::Request);
        assert_eq!(level(&policy, &eve, "get", "/apis/x.y/v1/things/t/status"), Level::Request);
        assert_eq!(level(&policy, &eve, "get", "/apis/x.y/v1/things/t"), Level::None);
        assert_eq!(level(&policy, &eve, "get", "/version"), Level::Metadata);
    }

    #[test]
    fn no_policy_logs_the_body_of_a_secret_or_a_credential() {
        let policy = Policy::parse("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Request}]}").unwrap();
        let eve = Identity::new("eve", []);
        assert_eq!(level(&policy, &eve, "create", "/api/v1/namespaces/a/configmaps"), Level::Request);
        for path in [
            "/api/v1/namespaces/a/secrets",
            "/api/v1/namespaces/a/secrets/s",
            "/api/v1/namespaces/a/serviceaccounts/s/token",
            "/apis/authentication.k8s.io/v1/tokenreviews",
            "/apis/thecloud.dev/v1alpha1/users/bob/password",
            "/auth/v1/login",
        ] {
            assert_eq!(level(&policy, &eve, "create", path), Level::Metadata, "{path}");
        }
    }

    #[test]
    fn what_is_no_policy_is_refused_with_the_reason() {
        let refused = |text: &str| Policy::parse(text).unwrap_err().to_string();
        assert!(refused("{apiVersion: v1, kind: Pod}").contains("should be `audit.k8s.io/v1 Policy`"));
        let all = refused("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}");
        assert!(all.contains("use the level Request"), "{all}");
        assert!(
            refused("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: None, user: [a]}]}").contains("user")
        );
    }
}
