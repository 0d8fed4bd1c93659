//! Resolves what an Instance takes from Secrets, ConfigMaps and itself: its environment, and the files mounted into
//! it. What is missing is named, never guessed. Values never appear in any text.

use std::collections::{BTreeMap, BTreeSet};

use controller_backend::{EnvVar, FileSet, ProjectedFile, SecretEnvironment};
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
    /// The environment, in order, without what comes from Secrets.
    pub(crate) environment: Vec<EnvVar>,
    /// The projected files, and the environment that comes from Secrets; of a set that lacks something, nothing.
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
    let values = environment(instance, sources, &mut inputs);
    if has_secret_environment(instance) && inputs.missing.is_empty() {
        inputs.files.push(secret_environment(instance, &values).file_set());
    }
    for mount in &instance.spec.volumes {
        let content = if let Some(name) = &mount.secret {
            secret_content(sources.secret(name).as_deref(), name, &mut inputs.missing)
        } else if let Some(name) = &mount.config_map {
            config_map_content(sources.config_map(name).as_deref(), name, &mut inputs.missing)
        } else {
            continue;
        };
        let Some(content) = content else { continue };
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

fn secret_content(secret: Option<&Secret>, name: &str, missing: &mut BTreeSet<String>) -> Option<Content> {
    let Some(secret) = secret else {
        missing.insert(format!("Secret `{name}`"));
        return None;
    };
    Some(secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect())
}

fn config_map_content(map: Option<&ConfigMap>, name: &str, missing: &mut BTreeSet<String>) -> Option<Content> {
    let Some(map) = map else {
        missing.insert(format!("ConfigMap `{name}`"));
        return None;
    };
    let text = map.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let binary = map.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    Some(text.chain(binary).collect())
}

/// Whether anything of its environment comes from a Secret, whether that is there or not.
pub(super) fn has_secret_environment(instance: &Instance) -> bool {
    let spec = &instance.spec;
    let is_secret = |source: &EnvSource| source.secret_key_ref.is_some();
    spec.env_from.iter().any(|source| source.secret_ref.is_some())
        || spec.env.iter().any(|variable| variable.value_from.as_ref().is_some_and(is_secret))
}

/// A variable's value, and whether any of it comes from a Secret.
#[derive(Clone)]
struct Value {
    text: String,
    is_secret: bool,
}

type Values = BTreeMap<String, Value>;

/// The variables that come from Secrets, and the words that name one of them.
fn secret_environment(instance: &Instance, values: &Values) -> SecretEnvironment {
    let variables = values.iter().filter(|(_, value)| value.is_secret);
    let variables = variables.map(|(name, value)| EnvVar { name: name.clone(), value: value.text.clone() });
    let full = |words: &[String]| {
        let expanded: Vec<Value> = words.iter().map(|word| expand_all(word, values)).collect();
        let names_one = expanded.iter().any(|word| word.is_secret);
        names_one.then(|| expanded.into_iter().map(|word| word.text).collect())
    };
    let (command, args) = (full(&instance.spec.command), full(&instance.spec.args));
    SecretEnvironment { variables: variables.collect(), command, args }
}

/// Later ones win over earlier ones, and `env` over `envFrom`; a variable stays where it first was.
fn environment(instance: &Instance, sources: &impl Sources, inputs: &mut Inputs) -> Values {
    let mut order: Vec<String> = Vec::new();
    let mut values = Values::new();
    let mut put = |values: &mut Values, name: String, value: Value| {
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
            None
        };
        for (key, value) in content.into_iter().flatten() {
            let name = format!("{prefix}{key}");
            // What can't be in an environment is left out, as in Kubernetes.
            if let Ok(value) = String::from_utf8(value)
                && !name.contains(['=', '\0'])
                && !value.contains('\0')
            {
                put(&mut values, name, Value { text: value, is_secret: source.secret_ref.is_some() });
            }
        }
    }
    for variable in &instance.spec.env {
        let value = match &variable.value_from {
            None => Some(expand_all(variable.value.as_deref().unwrap_or_default(), &values)),
            Some(source) => {
                let text = from_elsewhere(instance, source, sources, &mut inputs.missing);
                text.map(|text| Value { text, is_secret: source.secret_key_ref.is_some() })
            }
        };
        if let Some(value) = value {
            put(&mut values, variable.name.clone(), value);
        }
    }
    let plain = order.into_iter().filter_map(|name| {
        let value = values.get(&name).filter(|value| !value.is_secret)?;
        Some(EnvVar { value: value.text.clone(), name })
    });
    inputs.environment = plain.collect();
    values
}

fn from_elsewhere(
    instance: &Instance,
    source: &EnvSource,
    sources: &impl Sources,
    missing: &mut BTreeSet<String>,
) -> Option<String> {
    let (what, reference, content) = if let Some(reference) = &source.secret_key_ref {
        let secret = sources.secret(&reference.name);
        ("Secret", reference, secret.and_then(|secret| secret_content(Some(&secret), "", &mut BTreeSet::new())))
    } else if let Some(reference) = &source.config_map_key_ref {
        let map = sources.config_map(&reference.name);
        ("ConfigMap", reference, map.and_then(|map| config_map_content(Some(&map), "", &mut BTreeSet::new())))
    } else {
        let path = &source.field_ref.as_ref()?.field_path;
        return Some(field(instance, path));
    };
    let text = match content {
        None => Err(format!("{what} `{}`", reference.name)),
        Some(mut content) => match content.remove(&reference.key) {
            None => Err(format!("key `{}` in {what} `{}`", reference.key, reference.name)),
            Some(bytes) => String::from_utf8(bytes)
                .ok()
                .filter(|text| !text.contains('\0'))
                .ok_or_else(|| format!("text in key `{}` of {what} `{}`", reference.key, reference.name)),
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

/// Expands a text with variables of which some are secret: then so is the text.
fn expand_all(text: &str, values: &Values) -> Value {
    let mut is_secret = false;
    let text = expand(text, |name| {
        let value = values.get(name)?;
        is_secret |= value.is_secret;
        Some(value.text.as_str())
    });
    Value { text, is_secret }
}

/// Replaces `$(NAME)` by the value of a variable known so far; `$$` is a dollar, and an unknown name stays as it is.
pub(super) fn expand<'values>(text: &str, mut value_of: impl FnMut(&str) -> Option<&'values str>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find('$') {
        expanded.push_str(&rest[..position]);
        rest = &rest[position + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match value_of(name) {
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
        for (text, expanded) in [
            ("tcp://$(HOST):5432", "tcp://db:5432"),
            ("$$(HOST)", "$(HOST)"),
            ("$(NOBODY)", "$(NOBODY)"),
            ("$HOST $(HOST", "$HOST $(HOST"),
            ("5$", "5$"),
        ] {
            assert_eq!(expand(text, |name| (name == "HOST").then_some("db")), expanded, "{text}");
        }
    }

    struct Shelf {
        secret: Secret,
        config_map: ConfigMap,
    }

    impl Sources for Shelf {
        fn secret(&self, name: &str) -> Option<std::sync::Arc<Secret>> {
            (name == "s").then(|| self.secret.clone().into())
        }

        fn config_map(&self, name: &str) -> Option<std::sync::Arc<ConfigMap>> {
            (name == "c").then(|| self.config_map.clone().into())
        }
    }

    fn resolved(spec: serde_json::Value) -> (Instance, Inputs) {
        let parse = serde_json::from_value::<Secret>;
        let secret = serde_json::json!({"data": {"WORD": "aHVzaA==", "NUL": "YQBi"}});
        let shelf = Shelf {
            secret: parse(secret).unwrap(),
            config_map: serde_json::from_value(serde_json::json!({"data": {"HOST": "db"}})).unwrap(),
        };
        let mut spec = spec;
        spec["image"] = "web:1".into();
        let object = serde_json::json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": "Instance",
            "metadata": {"name": "web", "namespace": "default"}, "spec": spec});
        let instance: Instance = serde_json::from_value(object).unwrap();
        let inputs = resolve(&instance, &shelf);
        (instance, inputs)
    }

    /// The engine's part of the environment, and the entries of the hidden part.
    fn parts(inputs: &Inputs) -> (Vec<String>, Vec<String>) {
        let plain = inputs.environment.iter().map(|variable| format!("{}={}", variable.name, variable.value));
        let hidden = inputs.files.iter().filter(|set| set.name == SecretEnvironment::SET);
        let content: Vec<u8> = hidden.flat_map(|set| set.files[SecretEnvironment::FILE].content.to_vec()).collect();
        let entries = String::from_utf8(content).unwrap();
        (plain.collect(), entries.split_terminator('\0').map(str::to_owned).collect())
    }

    #[test]
    fn what_has_any_of_a_secret_in_it_is_hidden_from_the_engine() {
        let (instance, inputs) = resolved(serde_json::json!({
            "envFrom": [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}, "prefix": "S_"}],
            "env": [
                {"name": "PLAIN", "value": "to $(HOST)"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "WORD"}}},
                {"name": "URL", "value": "http://:$(PASSWORD)@$(HOST)"},
                {"name": "AGAIN", "value": "$(URL)/$(PLAIN)"},
            ],
            "command": ["serve", "$(HOST)"],
            "args": ["--url=$(URL)", "--host", "$(HOST)"],
        }));
        let (plain, hidden) = parts(&inputs);
        assert_eq!(plain, ["HOST=db", "PLAIN=to db"]);
        let url = "http://:hush@db";
        let variables = [&format!("VAGAIN={url}/to db"), "VPASSWORD=hush", "VS_WORD=hush", &format!("VURL={url}")];
        let arguments = [&format!("A--url={url}"), "A--host", "Adb"];
        assert_eq!(hidden, [&variables[..], &arguments[..]].concat(), "the command names none");
        assert!(has_secret_environment(&instance));
        assert!(!format!("{inputs:?}").contains("hush"));
    }

    #[test]
    fn without_a_secret_nothing_is_hidden_and_one_that_is_missing_leaves_room() {
        let (instance, inputs) = resolved(serde_json::json!({"envFrom": [{"configMapRef": {"name": "c"}}]}));
        assert!(!has_secret_environment(&instance) && inputs.files.is_empty());
        let optional = serde_json::json!({"name": "nobody", "key": "k", "optional": true});
        let (_, inputs) =
            resolved(serde_json::json!({"env": [{"name": "P", "valueFrom": {"secretKeyRef": optional}}]}));
        assert_eq!((inputs.files.len(), parts(&inputs).1), (1, Vec::new()));
    }

    #[test]
    fn a_key_that_no_variable_can_hold_is_missing() {
        let (_, inputs) = resolved(serde_json::json!({
            "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "NUL"}}}],
        }));
        assert_eq!(inputs.missing, BTreeSet::from(["text in key `NUL` of Secret `s`".to_owned()]));
    }

    #[test]
    fn each_mount_path_has_a_name_of_its_own() {
        assert_ne!(set_name("/a/b"), set_name("/a-b"));
        assert!(set_name("/etc/app").starts_with("etc-app-"));
    }
}
