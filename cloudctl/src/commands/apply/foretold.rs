//! Decides what of a dry run the server cannot know: that the definition of a kind, or a namespace, comes with the same files.

use crate::api::{Catalog, Session};
use crate::error::Error;
use crate::manifests::Manifest;

/// Whether a kind that the server lacks is defined among the manifests.
pub(crate) fn kind_comes_with(manifests: &[Manifest], manifest: &Manifest, catalog: &Catalog) -> bool {
    let group = manifest.api_version.split_once('/').map_or("", |(group, _)| group);
    catalog.of_manifest(&manifest.api_version, &manifest.kind).is_none()
        && manifests.iter().any(|other| {
            let spec = &other.object["spec"];
            other.kind == "CustomResourceDefinition" && spec["group"] == group && spec["names"]["kind"] == manifest.kind
        })
}

/// Whether an object failed only for a namespace that is made among the manifests.
pub(crate) fn namespace_comes_with(
    manifests: &[Manifest],
    manifest: &Manifest,
    session: &Session,
    error: &Error,
) -> bool {
    let namespace = manifest.namespace.as_deref().unwrap_or_else(|| session.namespace());
    matches!(error, Error::Api(error) if error.lacks_namespace())
        && manifests.iter().any(|other| other.kind == "Namespace" && other.name == namespace)
}

/// What an object of a kind that the server lacks is called.
pub(crate) fn name(manifest: &Manifest) -> String {
    let group = manifest.api_version.split_once('/').map_or(String::new(), |(group, _)| format!(".{group}"));
    format!("{}{group}/{}", manifest.kind.to_lowercase(), manifest.name)
}
