//! Decides how a set of objects that were applied together is marked, in the form that kubectl keeps (KEP-3659): a parent that
//! says which kinds and namespaces hold members, and a label on each member. Plain functions; the server is not asked.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// On the parent: the set's id.
const ID: &str = "applyset.kubernetes.io/id";
/// On a member: the id of its set.
pub(crate) const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// On the parent: whose set it is.
const TOOLING: &str = "applyset.kubernetes.io/tooling";
/// On the parent: the kinds that have members.
const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
/// On the parent: the namespaces that have members, besides its own.
const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";

/// The tool that we are, and the version of what we write.
const TOOL: &str = "cloudctl";
const VERSION: &str = "v1";

/// Who writes a set's parent, in `managedFields`.
pub(crate) const SET_MANAGER: &str = "cloudctl-applyset";

/// The object that stands for a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    /// `Secret` or `ConfigMap`.
    pub(crate) kind: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

/// Where a set has members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// `Instance.thecloud.dev`, or `Secret` for a kind without a group; `None` when nobody noted them.
    pub(crate) kinds: Option<BTreeSet<String>>,
    /// Namespaces.
    pub(crate) namespaces: BTreeSet<String>,
}

/// Why an object cannot stand for our set.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum NotOurs {
    /// Somebody's ordinary object.
    #[error("it exists and stands for no apply set; choose another name")]
    NoSet,
    /// A set of another tool.
    #[error("it is an apply set of {tool}, which alone may prune it; choose another name")]
    OtherTool {
        /// Which one.
        tool: String,
    },
    /// Copied or renamed.
    #[error(
        "its label {ID} is not the one of an apply set of that name, but `{found}`; delete it or choose another name"
    )]
    OtherId {
        /// What it says.
        found: String,
    },
}

impl Parent {
    /// What the set is known by, in a form that is a label's value.
    pub(crate) fn id(&self) -> String {
        let Self { kind, namespace, name } = self;
        // The last part is the group, of which Secrets and ConfigMaps have none.
        let hash = Sha256::digest(format!("{name}.{namespace}.{kind}."));
        format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(hash))
    }

    /// Where the set has members, as its parent on the server has it.
    ///
    /// # Errors
    /// When the object stands for no set, or not for one of ours.
    pub(crate) fn extent(&self, object: &Value) -> Result<Extent, NotOurs> {
        let (labels, annotations) = (&object["metadata"]["labels"], &object["metadata"]["annotations"]);
        let Some(tooling) = annotations[TOOLING].as_str() else { return Err(NotOurs::NoSet) };
        let tool = tooling.rsplit_once('/').map_or(tooling, |(tool, _)| tool);
        if tool != TOOL {
            return Err(NotOurs::OtherTool { tool: tool.to_owned() });
        }
        let found = labels[ID].as_str().unwrap_or_default();
        if found != self.id() {
            return Err(NotOurs::OtherId { found: found.to_owned() });
        }
        let split = |text: &str| text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let mut namespaces: BTreeSet<String> = annotations[NAMESPACES].as_str().map(split).unwrap_or_default();
        namespaces.insert(self.namespace.clone());
        Ok(Extent { kinds: annotations[KINDS].as_str().map(split), namespaces })
    }

    /// The parent as it is applied.
    pub(crate) fn wish(&self, extent: &Extent) -> Value {
        let join = |parts: Vec<&str>| parts.join(",");
        let kinds = extent.kinds.iter().flatten().map(String::as_str).collect();
        let others =
            extent.namespaces.iter().map(String::as_str).filter(|namespace| *namespace != self.namespace).collect();
        json!({"apiVersion": "v1", "kind": self.kind, "metadata": {
            "name": self.name, "namespace": self.namespace, "labels": {ID: self.id()},
            "annotations": {TOOLING: format!("{TOOL}/{VERSION}"), KINDS: join(kinds), NAMESPACES: join(others)}}})
    }
}

impl Extent {
    /// Takes a kind and a namespace in.
    pub(crate) fn add(&mut self, api_version: &str, kind: &str, namespace: Option<&str>) {
        self.kinds.get_or_insert_default().insert(group_kind(api_version, kind));
        self.namespaces.extend(namespace.map(str::to_owned));
    }

    /// Both together.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let kinds = self.kinds.iter().chain(&other.kinds).flatten().cloned().collect();
        Self { kinds: Some(kinds), namespaces: self.namespaces.union(&other.namespaces).cloned().collect() }
    }
}

/// `Instance.thecloud.dev`, or `Secret` for a kind without a group.
pub(crate) fn group_kind(api_version: &str, kind: &str) -> String {
    match api_version.split_once('/') {
        Some((group, _)) => format!("{kind}.{group}"),
        None => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent() -> Parent {
        Parent { kind: "Secret".into(), namespace: "default".into(), name: "tour".into() }
    }

    fn extent() -> Extent {
        let mut extent = Extent::default();
        extent.add("thecloud.dev/v1alpha1", "Instance", Some("default"));
        extent.add("thecloud.dev/v1alpha1", "Vpc", Some("shop"));
        extent.add("v1", "Namespace", None);
        extent
    }

    #[test]
    fn id_is_the_one_that_kubectl_gives_a_set_of_that_name() {
        // printf 'tour.default.Secret.' | sha256sum | xxd -r -p | basenc --base64url
        assert_eq!(parent().id(), "applyset-znXeSNFGXP3opJn22Rqg5fLT2IvgXAybZHh4TCSsKR4-v1");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = parent().wish(&extent());
        insta::assert_json_snapshot!(written["metadata"]["annotations"]);
        let read = parent().extent(&written).unwrap();
        assert_eq!(read.kinds, extent().kinds);
        assert_eq!(read.namespaces, ["default", "shop"].map(str::to_owned).into());
        // No members: none, not unknown ones.
        let empty = parent().extent(&parent().wish(&Extent::default())).unwrap();
        assert_eq!(empty.kinds, Some(BTreeSet::new()));
    }

    #[test]
    fn sets_of_others_are_refused() {
        let refusal = |tooling: Option<&str>, id: &str| {
            let object = json!({"metadata": {"labels": {ID: id}, "annotations": {TOOLING: tooling}}});
            parent().extent(&object).unwrap_err().to_string()
        };
        assert_eq!(refusal(None, ""), "it exists and stands for no apply set; choose another name");
        let other = refusal(Some("kubectl/v1.32.4"), &parent().id());
        assert_eq!(other, "it is an apply set of kubectl, which alone may prune it; choose another name");
        assert!(refusal(Some("cloudctl/v1"), "applyset-x-v1").contains("`applyset-x-v1`"));
    }

    #[test]
    fn superset_covers_what_was_and_what_will_be() {
        let mut after = Extent::default();
        after.add("v1", "Secret", Some("other"));
        let both = extent().and(&after);
        assert_eq!(
            parent().wish(&both)["metadata"]["annotations"][KINDS],
            "Instance.thecloud.dev,Namespace,Secret,Vpc.thecloud.dev"
        );
        assert_eq!(both.namespaces.len(), 3);
    }
}
