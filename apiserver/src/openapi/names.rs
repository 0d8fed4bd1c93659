//! Names things as Kubernetes' generators do: where a version's document is, what a kind's schema is called, how an
//! operation's id starts.

use std::collections::BTreeSet;

use crate::registry::{Kind, Registry};

/// A served group and version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupVersion {
    pub(super) group: String,
    pub(super) version: String,
}

impl GroupVersion {
    /// `api/v1` or `apis/{group}/{version}`.
    pub(super) fn path(&self) -> String {
        if self.group.is_empty() {
            format!("api/{}", self.version)
        } else {
            format!("apis/{}/{}", self.group, self.version)
        }
    }

    /// `ExampleComV1`, as it stands inside an operation's id.
    pub(super) fn camel(&self) -> String {
        format!("{}{}", camel(self.short_group()), capitalized(&self.version))
    }

    /// `exampleCom_v1`
    pub(super) fn tag(&self) -> String {
        let camel = camel(self.short_group());
        let mut characters = camel.chars();
        let lower = characters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(characters);
        format!("{}_{}", lower.collect::<String>(), self.version)
    }

    fn short_group(&self) -> &str {
        if self.group.is_empty() { "core" } else { self.group.strip_suffix(".k8s.io").unwrap_or(&self.group) }
    }
}

/// Every group and version that something is served of.
pub(super) fn group_versions(registry: &Registry) -> BTreeSet<GroupVersion> {
    registry
        .kinds()
        .flat_map(|kind| {
            kind.versions
                .iter()
                .filter(|version| version.served)
                .map(|version| GroupVersion { group: kind.group.clone(), version: version.name.clone() })
        })
        .collect()
}

/// What the schema of a kind is called: Kubernetes' own name for its kinds, the group reversed for declared ones.
pub(super) fn schema_name(kind: &Kind, version: &str, name: &str) -> String {
    if !kind.is_built_in() {
        let reversed: Vec<&str> = kind.group.rsplit('.').collect();
        return format!("{}.{version}.{name}", reversed.join("."));
    }
    match kind.group.as_str() {
        "" => format!("io.k8s.api.core.{version}.{name}"),
        "apiextensions.k8s.io" => {
            format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{name}")
        }
        group => {
            let short = group.split('.').next().unwrap_or(group);
            format!("io.k8s.api.{short}.{version}.{name}")
        }
    }
}

fn camel(text: &str) -> String {
    text.split(['.', '-']).map(capitalized).collect()
}

/// The text with its first letter in upper case.
pub(super) fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}
