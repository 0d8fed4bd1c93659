//! Resolves what an Instance takes from Secrets, ConfigMaps and itself: its environment, and the files mounted into
//! it. What is missing is named, never guessed. Values never appear in any text.

use std::collections::{BTreeMap, BTreeSet};

use controller_backend::{EnvVar, FileSet, ProjectedFile};
use crds::compute::instance::{EnvSource, Instance};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use sha2::{Digest, Sha256};

/// The permission bits of projected files: whoever the machine's user is may read them.
const FILE_MODE: u32 = 0o644;

/// The Secrets and ConfigMaps of the namespace, by name.
pub(super) trait Sources {
    fn secret(&self, name: &str) -> Option<std::sync::Arc<Secret>>;
    fn config_map(&self, name: &str) -> Option<std::sync::Arc<ConfigMap>>;
}

/// What an Instance takes from elsewhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Inputs {
    /// The environment, in order.
    pub(crate) environment: Vec<EnvVar>,
    /// The projected files.
    pub(crate) files: Vec<FileSet>,
    /// What isn't there, for people.
    pub(crate) missing: BTreeSet<String>,
}

impl Inputs {
    /// A digest of the files, by which this process knows whether they are in place.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for set in &self.files {
            hasher.update(set.name.as_bytes());
            for (path, file) in &set.files {
                hasher.update((path.len() as u64).to_be_bytes());
                hasher.update(path.as_bytes());
                hasher.update((file.content.len() as u64).to_be_bytes());
                hasher.update(&file.content);
            }
        }
        hasher.finalize().into()
    }
}

pub(super) fn resolve(instance: &Instance, sources: &impl Sources) -> Inputs {
    let mut inputs = Inputs::default();
    environment(instance, sources, &mut inputs);
    for mount in &instance.spec.volumes {
        let content = if let Some(name) = &mount.secret {
            secret_content(sources.secret(name).as_deref(), name, &mut inputs.missing)
        } else if let Some(name) = &mount.config_map {
            config_map_content(sources.config_map(name).as_deref(), name, &mut inputs.missing)
        } else {
            continue;
        };
        let files = content
            .into_iter()
            .map(|(path, content)| (path, ProjectedFile { content: content.into(), mode: FILE_MODE }))
            .collect();
        inputs.files.push(FileSet { name: set_name(&mount.mount_path), files });
    }
    inputs
}

/// The name of the file set or empty directory that is mounted at this path: one path, one mount.
pub(super) fn set_name(mount_path: &str) -> String {
    let digest = Sha256::digest(mount_path);
    let suffix: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let readable: String = mount_path
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
        .take(32)
        .collect();
    format!("{}-{suffix}", readable.trim_matches('-')).trim_start_matches('-').to_owned()
}

type Content = BTreeMap<String, Vec<u8>>;

fn secret_content(secret: Option<&Secret>, name: &str, missing: &mut BTreeSet<String>) -> Content {
    let Some(secret) = secret else {
        missing.insert(format!("Secret `{name}`"));
        return Content::new();
    };
    secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

fn config_map_content(map: Option<&ConfigMap>, name: &str, missing: &mut BTreeSet<String>) -> Content {
    let Some(map) = map else {
        missing.insert(format!("ConfigMap `{name}`"));
        return Content::new();
    };
    let text = map.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let binary = map.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    text.chain(binary).collect()
}

/// Later ones win over earlier ones, and `env` over `envFrom`; a variable stays where it first was.
fn environment(instance: &Instance, sources: &impl Sources, inputs: &mut Inputs) {
    let mut order: Vec<String> = Vec::new();
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let mut put = |values: &mut BTreeMap<String, String>, name: String, value: String| {
        if values.insert(name.clone(), value).is_none() {
            order.push(name);
        }
    };
    for source in &instance.spec.env_from {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let mut optional = BTreeSet::new();
        let content = if let Some(reference) = &source.secret_ref {
            let missing = if reference.optional { &mut optional } else { &mut inputs.missing };
            secret_content(sources.secret(&reference.name).as_deref(), &reference.name, missing)
        } else if let Some(reference) = &source.config_map_ref {
            let missing = if reference.optional { &mut optional } else { &mut inputs.missing };
            config_map_content(sources.config_map(&reference.name).as_deref(), &reference.name, missing)
        } else {
            Content::new()
        };
        for (key, value) in content {
            let name = format!("{prefix}{key}");
            // What can't be in an environment is left out, as in Kubernetes.
            if let Ok(value) = String::from_utf8(value)
                && !name.contains(['=', '\0'])
                && !value.contains('\0')
            {
                put(&mut values, name, value);
            }
        }
    }
    for variable in &instance.spec.env {
        let value = match &variable.value_from {
            None => Some(expand(variable.value.as_deref().unwrap_or_default(), &values)),
            Some(source) => from_elsewhere(instance, source, sources, &mut inputs.missing),
        };
        if let Some(value) = value {
            put(&mut values, variable.name.clone(), value);
        }
    }
    inputs.environment =
        order.into_iter().map(|name| EnvVar { value: values.get(&name).cloned().unwrap_or_default(), name }).collect();
}

fn from_elsewhere(
    instance: &Instance,
    source: &EnvSource,
    sources: &impl Sources,
    missing: &mut BTreeSet<String>,
) -> Option<String> {
    let (what, reference, content) = if let Some(reference) = &source.secret_key_ref {
        let secret = sources.secret(&reference.name);
        ("Secret", reference, secret.map(|secret| secret_content(Some(&secret), "", &mut BTreeSet::new())))
    } else if let Some(reference) = &source.config_map_key_ref {
        let map = sources.config_map(&reference.name);
        ("ConfigMap", reference, map.map(|map| config_map_content(Some(&map), "", &mut BTreeSet::new())))
    } else {
        let path = &source.field_ref.as_ref()?.field_path;
        return Some(field(instance, path));
    };
    let text = match content {
        None => Err(format!("{what} `{}`", reference.name)),
        Some(mut content) => match content.remove(&reference.key) {
            None => Err(format!("key `{}` in {what} `{}`", reference.key, reference.name)),
            Some(bytes) => String::from_utf8(bytes)
                .map_err(|_| format!("text in key `{}` of {what} `{}`", reference.key, reference.name)),
        },
    };
    match text {
        Ok(text) => Some(text),
        Err(absent) => {
            if !reference.optional {
                missing.insert(absent);
            }
            None
        }
    }
}

/// A field of the Instance itself; empty where it has none, as in Kubernetes.
fn field(instance: &Instance, path: &str) -> String {
    let within = |prefix: &str| path.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']");
    match path {
        "metadata.name" | "status.hostname" => instance.name_any(),
        "metadata.namespace" => instance.namespace().unwrap_or_default(),
        "metadata.uid" => instance.uid().unwrap_or_default(),
        "status.ip" => instance.status.as_ref().and_then(|status| status.ip.clone()).unwrap_or_default(),
        _ => {
            if let Some(key) = within("metadata.labels") {
                instance.labels().get(key).cloned().unwrap_or_default()
            } else if let Some(key) = within("metadata.annotations") {
                instance.annotations().get(key).cloned().unwrap_or_default()
            } else {
                String::new()
            }
        }
    }
}

/// Replaces `$(NAME)` by the value of a variable known so far; `$$` is a dollar, and an unknown name stays as it is.
pub(super) fn expand(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find('$') {
        expanded.push_str(&rest[..position]);
        rest = &rest[position + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match values.get(name) {
                Some(value) => expanded.push_str(value),
                None => {
                    expanded.push_str("$(");
                    expanded.push_str(name);
                    expanded.push(')');
                }
            }
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_in_text_are_replaced_as_in_kubernetes() {
        let values = BTreeMap::from([("HOST".to_owned(), "db".to_owned())]);
        for (text, expanded) in [
            ("tcp://$(HOST):5432", "tcp://db:5432"),
            ("$$(HOST)", "$(HOST)"),
            ("$(NOBODY)", "$(NOBODY)"),
            ("$HOST $(HOST", "$HOST $(HOST"),
            ("5$", "5$"),
        ] {
            assert_eq!(expand(text, &values), expanded, "{text}");
        }
    }

    #[test]
    fn each_mount_path_has_a_name_of_its_own() {
        assert_ne!(set_name("/a/b"), set_name("/a-b"));
        assert!(set_name("/etc/app").starts_with("etc-app-"));
    }
}
