//! Decides how a kind that the server offers is addressed and named. A kind is data from the server's discovery; nothing here
//! knows a particular one.

use std::fmt::Write as _;

use url::form_urlencoded::byte_serialize;

/// One kind in one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    /// The API group; empty for Kubernetes' core.
    pub(crate) group: String,
    /// The version.
    pub(crate) version: String,
    /// The kind, as YAML names it.
    pub(crate) kind: String,
    /// The name in paths.
    pub(crate) plural: String,
    /// The name of one.
    pub(crate) singular: String,
    /// Other names for the command line.
    pub(crate) short_names: Vec<String>,
    /// The sets that it belongs to, such as `all`.
    pub(crate) categories: Vec<String>,
    /// Whether its objects are in a namespace.
    pub(crate) namespaced: bool,
    /// What can be done with it.
    pub(crate) verbs: Vec<String>,
    /// What its objects have below them, such as `log`.
    pub(crate) subresources: Vec<String>,
    /// Whether the version is the one the server prefers.
    pub(crate) preferred: bool,
}

impl Resource {
    /// `v1` or `thecloud.dev/v1alpha1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `instances.thecloud.dev`, as messages of the server name it.
    pub(crate) fn full_plural(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `instance.thecloud.dev/web`.
    pub(crate) fn full_name(&self, name: &str) -> String {
        let mut text = self.singular.clone();
        if !self.group.is_empty() {
            let _ = write!(text, ".{}", self.group);
        }
        format!("{text}/{name}")
    }

    /// Whether the server offers a verb.
    pub(crate) fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|offered| offered == verb)
    }

    /// Whether its objects have something below them, such as `status`.
    pub(crate) fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|offered| offered == subresource)
    }

    /// The path of the collection, in one namespace or in all.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}", self.api_version())
        };
        if let (true, Some(namespace)) = (self.namespaced, namespace) {
            let _ = write!(path, "/namespaces/{}", escaped(namespace));
        }
        let _ = write!(path, "/{}", self.plural);
        path
    }

    /// The path of one object.
    pub(crate) fn object(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.collection(Some(namespace)), escaped(name))
    }

    /// The path of something below an object.
    pub(crate) fn below(&self, namespace: &str, name: &str, subresource: &str) -> String {
        format!("{}/{subresource}", self.object(namespace, name))
    }
}

/// A name as part of a path: nothing typed by a user may climb out of its segment.
fn escaped(segment: &str) -> String {
    byte_serialize(segment.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances() -> Resource {
        Resource {
            group: "thecloud.dev".into(),
            version: "v1alpha1".into(),
            kind: "Instance".into(),
            plural: "instances".into(),
            singular: "instance".into(),
            namespaced: true,
            ..Resource::default()
        }
    }

    #[test]
    fn paths_follow_scope_and_group() {
        let instances = instances();
        assert_eq!(instances.object("shop", "web"), "/apis/thecloud.dev/v1alpha1/namespaces/shop/instances/web");
        assert_eq!(instances.collection(None), "/apis/thecloud.dev/v1alpha1/instances");
        let namespaces = Resource { version: "v1".into(), plural: "namespaces".into(), ..Resource::default() };
        assert_eq!(namespaces.object("ignored", "shop"), "/api/v1/namespaces/shop");
    }

    #[test]
    fn name_cannot_climb_out_of_its_segment() {
        assert_eq!(
            instances().below("a", "../../secrets/x y", "log"),
            "/apis/thecloud.dev/v1alpha1/namespaces/a/instances/..%2F..%2Fsecrets%2Fx%20y/log"
        );
    }

    #[test]
    fn full_name_carries_the_group() {
        assert_eq!(instances().full_name("web"), "instance.thecloud.dev/web");
    }
}
