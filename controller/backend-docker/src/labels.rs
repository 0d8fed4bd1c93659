//! Decides how marks are written on Docker's things and read back. Pure.

use std::collections::{BTreeSet, HashMap};

use bollard::models::ContainerInspectResponse;
use controller_backend::{
    Consistency, MachineSpec, MountSource, NetworkSpec, Owner, SecurityContext, dns_names, machine_name,
};
use uuid::Uuid;

pub(crate) const INSTALLATION: &str = "thecloud.dev/installation";
pub(crate) const UID: &str = "thecloud.dev/uid";
pub(crate) const KIND: &str = "thecloud.dev/kind";
const NAMESPACE: &str = "thecloud.dev/namespace";
const NAME: &str = "thecloud.dev/name";
const SPEC_HASH: &str = "thecloud.dev/spec-hash";
const INTERNAL: &str = "thecloud.dev/internal";
const NETWORK: &str = "thecloud.dev/network";
const VOLUMES: &str = "thecloud.dev/volumes";
const SECURITY: &str = "thecloud.dev/security-context";
const CONSISTENCY: &str = "thecloud.dev/consistency";
const FORMER_OWNERS: &str = "thecloud.dev/former-owners";
/// On what a snapshot is made of, and on nothing that stays.
pub(crate) const HALF_TAKEN: &str = "thecloud.dev/half-taken";

/// The kind whose images no user names as such.
pub(crate) const INSTANCE_SNAPSHOT: &str = "InstanceSnapshot";

pub(crate) fn of_owner(owner: &Owner) -> HashMap<String, String> {
    HashMap::from([
        (INSTALLATION.to_owned(), owner.installation.to_string()),
        (KIND.to_owned(), owner.kind.clone()),
        (NAMESPACE.to_owned(), owner.namespace.clone()),
        (NAME.to_owned(), owner.name.clone()),
        (UID.to_owned(), owner.uid.to_string()),
    ])
}

pub(crate) fn of_network(spec: &NetworkSpec) -> HashMap<String, String> {
    let mut labels = of_owner(&spec.owner);
    labels.insert(INTERNAL.to_owned(), spec.internal.to_string());
    labels
}

/// Whether the network was made without a way out.
pub(crate) fn is_internal(labels: &HashMap<String, String>) -> bool {
    labels.get(INTERNAL).is_some_and(|value| value == "true")
}

pub(crate) fn of_machine(spec: &MachineSpec) -> HashMap<String, String> {
    let mut labels: HashMap<String, String> =
        spec.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    labels.extend(of_owner(&spec.owner));
    let mut volumes: Vec<Uuid> = spec
        .mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            MountSource::Volume(uid) => Some(*uid),
            MountSource::Files(_) | MountSource::Empty { .. } => None,
        })
        .collect();
    volumes.sort_unstable();
    volumes.dedup();
    let volumes: Vec<String> = volumes.iter().map(Uuid::to_string).collect();
    // Each is written also where it says nothing: what isn't, a container has from its image, which anybody may have made.
    labels.extend([
        (SPEC_HASH.to_owned(), spec.spec_hash.clone()),
        (NETWORK.to_owned(), spec.network.as_ref().map(|network| network.network.to_string()).unwrap_or_default()),
        (VOLUMES.to_owned(), volumes.join(",")),
        (SECURITY.to_owned(), serde_json::to_string(&spec.security).unwrap_or_default()),
    ]);
    labels
}

/// What a snapshot bears, over what it has from the image that its machine was made from, which may be a snapshot too.
pub(crate) fn of_snapshot(owner: &Owner, consistency: Consistency, former: &BTreeSet<Uuid>) -> HashMap<String, String> {
    let mut labels = of_owner(owner);
    labels.insert(CONSISTENCY.to_owned(), format!("{consistency:?}"));
    let former: Vec<String> = former.iter().map(Uuid::to_string).collect();
    labels.insert(FORMER_OWNERS.to_owned(), former.join(","));
    labels
}

/// Those whose snapshot it was before it was adopted.
pub(crate) fn former_owners(labels: &HashMap<String, String>) -> BTreeSet<Uuid> {
    uids(labels, FORMER_OWNERS).collect()
}

/// What the image bears that a snapshot is made of.
pub(crate) fn of_half_taken(owner: &Owner) -> HashMap<String, String> {
    let mut labels = of_owner(owner);
    labels.insert(HALF_TAKEN.to_owned(), true.to_string());
    labels
}

/// In which state a snapshot was taken; `None` if it is none.
pub(crate) fn consistency(labels: &HashMap<String, String>) -> Option<Consistency> {
    let word = labels.get(CONSISTENCY)?;
    let all = [Consistency::AtRest, Consistency::Frozen, Consistency::Crash];
    all.into_iter().find(|consistency| format!("{consistency:?}") == *word)
}

/// Whether an image is a snapshot, whole or not.
pub(crate) fn is_snapshot(labels: &HashMap<String, String>) -> bool {
    labels.get(KIND).is_some_and(|kind| kind == INSTANCE_SNAPSHOT)
}

pub(crate) fn installation(labels: &HashMap<String, String>) -> Option<Uuid> {
    labels.get(INSTALLATION)?.parse().ok()
}

/// The marks; `None` unless all are there.
pub(crate) fn owner(labels: &HashMap<String, String>) -> Option<Owner> {
    Some(Owner {
        installation: installation(labels)?,
        kind: labels.get(KIND)?.clone(),
        namespace: labels.get(NAMESPACE)?.clone(),
        name: labels.get(NAME)?.clone(),
        uid: labels.get(UID)?.parse().ok()?,
    })
}

/// The owner that the labels tell of, if the container also has the name that we give to its machine. An image made of
/// a machine (`docker commit`) bears the machine's labels, and so does whatever is run from it; names are unique.
pub(crate) fn machine_owner(marks: &HashMap<String, String>, name: &str) -> Option<Owner> {
    owner(marks).filter(|owner| name.trim_start_matches('/') == machine_name(owner))
}

/// The owner of a container, also of one that somebody renamed: that one still goes by its names in its network, or, where
/// somebody took it out of there too, was made for that network, which nothing is that is run from an image of it.
pub(crate) fn container_owner(container: &ContainerInspectResponse) -> Option<Owner> {
    let marks = container.config.as_ref()?.labels.as_ref()?;
    let is_renamed = |owner: &Owner| goes_by_its_names(container, owner) || was_made_for_its_network(container, marks);
    machine_owner(marks, container.name.as_deref()?).or_else(|| owner(marks).filter(is_renamed))
}

fn goes_by_its_names(container: &ContainerInspectResponse, owner: &Owner) -> bool {
    let networks = container.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let names = dns_names(owner);
    let goes_by = |aliases: &Vec<String>| names.iter().all(|name| aliases.contains(name));
    networks.is_some_and(|networks| networks.values().any(|endpoint| endpoint.aliases.as_ref().is_some_and(goes_by)))
}

/// Docker tells for ever which network a container was made for, by the name that we give to networks.
fn was_made_for_its_network(container: &ContainerInspectResponse, marks: &HashMap<String, String>) -> bool {
    let made_for = container.host_config.as_ref().and_then(|config| config.network_mode.as_deref());
    let ours = network(marks).map(|uid| format!("tc-{}-", &uid.simple().to_string()[..8]));
    made_for.zip(ours).is_some_and(|(made_for, ours)| made_for.starts_with(&ours))
}

pub(crate) fn spec_hash(labels: &HashMap<String, String>) -> String {
    labels.get(SPEC_HASH).cloned().unwrap_or_default()
}

pub(crate) fn network(labels: &HashMap<String, String>) -> Option<Uuid> {
    labels.get(NETWORK)?.parse().ok()
}

/// How the machine's bounds differ from those of every machine.
pub(crate) fn security(labels: &HashMap<String, String>) -> SecurityContext {
    labels.get(SECURITY).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Sorted, as they were written.
pub(crate) fn volumes(labels: &HashMap<String, String>) -> Vec<Uuid> {
    uids(labels, VOLUMES).collect()
}

fn uids<'a>(labels: &'a HashMap<String, String>, mark: &str) -> impl Iterator<Item = Uuid> + 'a {
    let list = labels.get(mark).map(String::as_str).unwrap_or_default();
    list.split(',').filter_map(|uid| uid.parse().ok())
}

#[cfg(test)]
mod tests {
    use controller_backend::Resources;

    use super::*;

    #[test]
    fn nothing_of_a_machine_is_left_for_its_image_to_say() {
        let owner = Owner {
            installation: Uuid::from_u128(1),
            kind: "Instance".to_owned(),
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            uid: Uuid::from_u128(2),
        };
        let written = of_machine(&MachineSpec {
            name: machine_name(&owner),
            hostname: "web".to_owned(),
            image: "web:1".to_owned(),
            command: None,
            args: None,
            working_dir: None,
            user: None,
            env: Vec::new(),
            has_secret_environment: false,
            labels: std::collections::BTreeMap::new(),
            network: None,
            ports: Vec::new(),
            mounts: Vec::new(),
            resources: Resources { cpu_millis: 100, memory_bytes: 1 << 20, max_memory_bytes: None },
            security: SecurityContext::default(),
            stop_grace: std::time::Duration::ZERO,
            first_boot: None,
            disk_bytes: None,
            spec_hash: "x".to_owned(),
            owner,
        });
        for mark in [INSTALLATION, UID, KIND, NAMESPACE, NAME, SPEC_HASH, NETWORK, VOLUMES, SECURITY] {
            assert!(written.contains_key(mark), "{mark}");
        }
        assert_eq!(
            (network(&written), volumes(&written), security(&written)),
            (None, Vec::new(), SecurityContext::default())
        );
    }

    #[test]
    fn a_container_is_ours_by_its_labels_and_its_name() {
        let owner = Owner {
            installation: Uuid::from_u128(1),
            kind: "Instance".to_owned(),
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            uid: Uuid::from_u128(2),
        };
        let marks = of_owner(&owner);
        assert_eq!(machine_owner(&marks, &format!("/{}", machine_name(&owner))), Some(owner));
        assert_eq!(machine_owner(&marks, "/sleepy_turing"), None, "run from an image made of our machine");
    }
}
