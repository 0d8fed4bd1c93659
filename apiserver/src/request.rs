//! Decides what a path means: a resource and what is wanted of it, a discovery document, or something else.
//!
//! In: method and path. Out: a [`Target`]. It never asks whether the thing exists.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::access::ResourceAttributes;
use crate::lifecycle::rules;

/// What a path points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/{group}`
    Group(String),
    /// `/api/v1` (empty group) or `/apis/{group}/{version}`
    GroupVersion { group: String, version: String },
    /// Objects, one or many.
    Resource(Resource),
    /// Everything else, in segments without slashes.
    Path(Vec<String>),
}

/// A resource path, taken apart. What is absent is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    /// Whether the path goes on behind the subresource.
    pub(crate) goes_on: bool,
    /// Whether the path itself asks for a watch, as old clients' `/api/v1/watch/...` does.
    pub(crate) is_watch_path: bool,
}

impl Target {
    /// Takes a path apart. Slashes at the end mean nothing; `None` for what is not even text.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let segments: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8().ok().map(|text| text.into_owned()))
            .collect::<Option<_>>()?;
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let target = match parts.as_slice() {
            ["api"] => Self::CoreVersions,
            ["apis"] => Self::Groups,
            ["apis", group] => Self::Group((*group).to_owned()),
            ["api", version] => Self::GroupVersion { group: String::new(), version: (*version).to_owned() },
            ["apis", group, version] => {
                Self::GroupVersion { group: (*group).to_owned(), version: (*version).to_owned() }
            }
            ["api", version, rest @ ..] => Self::Resource(Resource::parse("", version, rest)?),
            ["apis", group, version, rest @ ..] => Self::Resource(Resource::parse(group, version, rest)?),
            _ => Self::Path(segments),
        };
        Some(target)
    }
}

impl Resource {
    fn parse(group: &str, version: &str, rest: &[&str]) -> Option<Self> {
        // No kind is called `watch` in the plural.
        let (is_watch_path, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            rest => (false, rest),
        };
        let (namespace, plural, inside) = match *rest {
            // A namespace's own subresources look like resources inside it.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize", ..] if group.is_empty() => {
                ("", "namespaces", &rest[1..])
            }
            ["namespaces", namespace, plural, ref inside @ ..] => (namespace, plural, inside),
            [plural, ref inside @ ..] => ("", plural, inside),
            [] => return None,
        };
        let part = |index: usize| inside.get(index).copied().unwrap_or_default();
        let (name, subresource) = (part(0), part(1));
        // `//` inside the path: no such thing, rather than a guess.
        if rest.iter().any(|segment| segment.is_empty()) {
            return None;
        }
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.to_owned(),
            plural: plural.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
            goes_on: inside.len() > 2,
            is_watch_path,
        })
    }

    /// What the path means to rules of access. `name` is the one object that is meant, or empty.
    pub(crate) fn attributes<'a>(&'a self, name: &'a str) -> ResourceAttributes<'a> {
        // A namespace is in itself: who may get everything in it may get it.
        let is_namespace = self.group.is_empty() && self.plural == rules::NAMESPACES;
        ResourceAttributes {
            group: &self.group,
            resource: &self.plural,
            subresource: &self.subresource,
            namespace: if is_namespace { &self.name } else { &self.namespace },
            name,
        }
    }

    /// What the request does, in the words that access rules use. Of one object there is no watch but by the path.
    pub(crate) fn verb(&self, method: &Method, is_watch: bool) -> &'static str {
        match (method.as_str(), self.name.is_empty()) {
            ("GET" | "HEAD", _) if self.is_watch_path => "watch",
            (_, _) if self.is_watch_path => "",
            ("GET" | "HEAD", true) if is_watch => "watch",
            ("GET" | "HEAD", true) => "list",
            ("GET" | "HEAD", false) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(path: &str) -> Resource {
        match Target::parse(path) {
            Some(Target::Resource(resource)) => resource,
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn namespaced_paths_name_all_their_parts() {
        let found = resource("/apis/thecloud.dev/v1alpha1/namespaces/a/instances/web/status");
        assert_eq!((found.group.as_str(), found.version.as_str()), ("thecloud.dev", "v1alpha1"));
        assert_eq!((found.namespace.as_str(), found.plural.as_str()), ("a", "instances"));
        assert_eq!((found.name.as_str(), found.subresource.as_str()), ("web", "status"));
    }

    #[test]
    fn namespaces_are_cluster_objects_with_subresources_of_their_own() {
        assert_eq!(resource("/api/v1/namespaces").plural, "namespaces");
        assert_eq!(resource("/api/v1/namespaces/a").name, "a");
        let finalize = resource("/api/v1/namespaces/a/finalize");
        assert_eq!((finalize.name.as_str(), finalize.subresource.as_str()), ("a", "finalize"));
        let secrets = resource("/api/v1/namespaces/a/secrets");
        assert_eq!((secrets.namespace.as_str(), secrets.plural.as_str()), ("a", "secrets"));
    }

    #[test]
    fn slashes_at_the_end_mean_nothing() {
        assert_eq!(Target::parse("/apis/"), Some(Target::Groups));
        assert_eq!(Target::parse("/version/"), Some(Target::Path(vec!["version".into()])));
        assert_eq!(resource("/api/v1/secrets/").plural, "secrets");
    }

    #[test]
    fn segments_are_percent_decoded_once() {
        assert_eq!(resource("/api/v1/namespaces/a/secrets/x%2Fy").name, "x/y");
        assert_eq!(Target::parse("/api/v1/%ff"), None);
    }

    #[test]
    fn empty_segments_are_not_guessed_at() {
        assert_eq!(Target::parse("/api/v1/namespaces//secrets"), None);
    }

    #[test]
    fn old_watch_paths_name_the_same_resources() {
        let many = resource("/api/v1/watch/namespaces/a/secrets");
        assert_eq!((many.namespace.as_str(), many.plural.as_str()), ("a", "secrets"));
        assert_eq!(many.verb(&Method::GET, false), "watch");
        assert_eq!(many.verb(&Method::POST, false), "");
        let one = resource("/apis/wire.test/v1/watch/namespaces/a/widgets/w");
        assert_eq!((one.name.as_str(), one.verb(&Method::GET, false)), ("w", "watch"));
    }

    #[test]
    fn verbs_follow_method_and_name() {
        let many = resource("/api/v1/secrets");
        let one = resource("/api/v1/namespaces/a/secrets/s");
        assert_eq!(many.verb(&Method::GET, false), "list");
        assert_eq!(many.verb(&Method::GET, true), "watch");
        assert_eq!(one.verb(&Method::GET, false), "get");
        assert_eq!(one.verb(&Method::GET, true), "get");
        assert_eq!(many.verb(&Method::DELETE, false), "deletecollection");
        assert_eq!(one.verb(&Method::PUT, false), "update");
    }
}
