//! Decides which kind a word on the command line or a manifest means. In: the server's aggregated discovery. Out: resources.

use kube::client::{APIGroupDiscovery, APIGroupDiscoveryList, APIResourceDiscovery};
use kube::core::discovery::v2::ACCEPT_AGGREGATED_DISCOVERY_V2;

use super::{ApiError, Resource, Session};
use crate::error::Error;

/// The group whose kinds win over others with the same name.
pub(crate) const OURS: &str = "thecloud.dev";

/// Every kind that a server offers.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    resources: Vec<Resource>,
}

impl Catalog {
    /// Asks the server.
    pub(crate) async fn fetch(session: &Session) -> Result<Self, Error> {
        let (core, groups) = futures::future::try_join(list(session, "/api"), list(session, "/apis")).await?;
        Ok(Self::new(core.items.into_iter().chain(groups.items)))
    }

    fn new(groups: impl Iterator<Item = APIGroupDiscovery>) -> Self {
        let mut resources = Vec::new();
        for group in groups {
            let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
            let mut seen = std::collections::BTreeSet::new();
            for version in group.versions {
                let label = version.version.unwrap_or_default();
                for found in version.resources {
                    let mut resource = resource(&name, &label, found);
                    resource.preferred = seen.insert(resource.plural.clone());
                    resources.push(resource);
                }
            }
        }
        // Stable: the server's order holds among the rest.
        resources.sort_by_key(|resource| match resource.group.as_str() {
            OURS => 0,
            "" => 1,
            _ => 2,
        });
        Self { resources }
    }

    /// A catalog of given kinds.
    #[cfg(test)]
    pub(crate) fn of(resources: Vec<Resource>) -> Self {
        Self { resources }
    }

    /// Every kind in its preferred version.
    pub(crate) fn preferred(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(|resource| resource.preferred)
    }

    /// The kind that a manifest names.
    pub(crate) fn of_manifest(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.kind == kind && resource.api_version() == api_version)
    }

    /// The kind that a word names: plural, singular, short name or Kind, with the group or version and group behind dots if wanted.
    pub(crate) fn of_word(&self, word: &str) -> Result<&Resource, Error> {
        let lower = word.to_lowercase();
        let (name, rest) = lower.split_once('.').unwrap_or((&lower, ""));
        let fits = |resource: &&Resource| {
            let known = resource.plural == name
                || resource.singular == name
                || resource.kind.to_lowercase() == name
                || resource.short_names.iter().any(|short| short == name);
            let qualified = format!("{}.{}", resource.version, resource.group);
            known
                && (rest.is_empty() && resource.preferred
                    || !rest.is_empty()
                        && (rest == resource.group && resource.preferred
                            || rest == qualified
                            || rest == qualified.trim_end_matches('.')))
        };
        self.resources.iter().find(fits).ok_or_else(|| self.unknown(word, name))
    }

    /// The kinds that a word names: one, or all those of a category such as `all`.
    pub(crate) fn of_word_or_category(&self, word: &str) -> Result<Vec<&Resource>, Error> {
        let lower = word.to_lowercase();
        let members: Vec<_> =
            self.preferred().filter(|resource| resource.can("list") && resource.categories.contains(&lower)).collect();
        if members.is_empty() { Ok(vec![self.of_word(word)?]) } else { Ok(members) }
    }

    fn unknown(&self, word: &str, name: &str) -> Error {
        let names = self.preferred().flat_map(|resource| {
            [&resource.plural, &resource.singular].into_iter().chain(&resource.short_names).map(String::as_str)
        });
        let nearest = names
            .map(|known| (distance(name, known), known))
            // A slip or two, not another word.
            .filter(|(distance, known)| *distance <= 2 && *distance * 3 <= known.len())
            .min();
        let hint = match nearest {
            Some((_, known)) => format!("did you mean `{known}`?"),
            None => "`cloudctl api-resources` lists those it has".to_owned(),
        };
        Error::NotFound(format!("the server has no kind `{word}`; {hint}"))
    }
}

async fn list(session: &Session, path: &str) -> Result<APIGroupDiscoveryList, Error> {
    let (kind, value) = session.get_typed(path, ACCEPT_AGGREGATED_DISCOVERY_V2).await?;
    if !kind.contains("APIGroupDiscoveryList") {
        return Err(Error::Failed(format!("{} is too old: it has no aggregated discovery", session.address())));
    }
    serde_json::from_value(value)
        .map_err(|source| Error::Api(ApiError::NotJson { request: format!("GET {path}"), source }))
}

fn resource(group: &str, version: &str, found: APIResourceDiscovery) -> Resource {
    let kind = found.response_kind.unwrap_or_default();
    let plural = found.resource.unwrap_or_default();
    let name = kind.kind.unwrap_or_default();
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        singular: found.singular_resource.filter(|name| !name.is_empty()).unwrap_or_else(|| name.to_lowercase()),
        kind: name,
        plural,
        short_names: found.short_names,
        categories: found.categories,
        namespaced: found.scope.as_deref() == Some("Namespaced"),
        verbs: found.verbs,
        subresources: found.subresources.into_iter().filter_map(|below| below.subresource).collect(),
        preferred: false,
    }
}

/// In how many letters two words differ.
pub(crate) fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(group: &str, version: &str, plural: &str, singular: &str, short: &[&str], preferred: bool) -> Resource {
        let mut letters = singular.chars();
        let first = letters.next().unwrap().to_uppercase();
        Resource {
            group: group.into(),
            version: version.into(),
            kind: first.chain(letters).collect(),
            plural: plural.into(),
            singular: singular.into(),
            short_names: short.iter().map(|name| (*name).to_owned()).collect(),
            categories: if group == OURS { vec!["all".into(), "cloud".into()] } else { vec![] },
            namespaced: true,
            verbs: vec!["list".into()],
            preferred,
            ..Resource::default()
        }
    }

    fn catalog() -> Catalog {
        Catalog::of(vec![
            kind(OURS, "v1alpha1", "instances", "instance", &["inst"], true),
            kind(OURS, "v1alpha1", "volumes", "volume", &["vol"], true),
            kind("", "v1", "events", "event", &["ev"], true),
            kind("events.k8s.io", "v1", "events", "event", &["ev"], true),
            kind("events.k8s.io", "v1beta1", "events", "event", &["ev"], false),
        ])
    }

    #[test]
    fn every_spelling_of_a_kind_is_understood() {
        let catalog = catalog();
        for word in [
            "instances",
            "instance",
            "inst",
            "Instance",
            "INSTANCE",
            "instance.thecloud.dev",
            "inst.v1alpha1.thecloud.dev",
        ] {
            assert_eq!(catalog.of_word(word).unwrap().plural, "instances", "{word}");
        }
    }

    #[test]
    fn core_wins_unless_a_group_or_version_is_named() {
        let catalog = catalog();
        assert_eq!(catalog.of_word("ev").unwrap().group, "");
        assert_eq!(catalog.of_word("events.v1").unwrap().group, "");
        assert_eq!(catalog.of_word("events.events.k8s.io").unwrap().version, "v1");
        assert_eq!(catalog.of_word("events.v1beta1.events.k8s.io").unwrap().version, "v1beta1");
    }

    #[test]
    fn unknown_kind_suggests_the_nearest_one() {
        let catalog = catalog();
        let error = catalog.of_word("instnaces").unwrap_err();
        assert_eq!(error.to_string(), "the server has no kind `instnaces`; did you mean `instances`?");
        let error = catalog.of_word("nope").unwrap_err();
        assert!(error.to_string().contains("api-resources"), "{error}");
    }

    #[test]
    fn category_means_all_its_kinds() {
        let catalog = catalog();
        let plurals: Vec<_> =
            catalog.of_word_or_category("all").unwrap().iter().map(|resource| resource.plural.clone()).collect();
        assert_eq!(plurals, ["instances", "volumes"]);
        assert_eq!(catalog.of_word_or_category("vol").unwrap().len(), 1);
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("vpc", "vpcs"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
