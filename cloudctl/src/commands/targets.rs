//! Decides which objects the words or files of a command line mean. In: words, the server's catalog. Out: kinds and names.

use std::path::PathBuf;

use serde_json::Value;

use crate::api::{ApiError, Catalog, JSON, Query, Resource, Session};
use crate::error::Error;
use crate::manifests::{self, Manifest};

/// How many objects are asked for at a time.
const PAGE: &str = "500";

/// One object by name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// Its kind.
    pub(crate) resource: Resource,
    /// Where it is; of no meaning for a kind without namespaces.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

impl Named {
    /// `instance.thecloud.dev/web`.
    pub(crate) fn full(&self) -> String {
        self.resource.full_name(&self.name)
    }

    /// Its path.
    pub(crate) fn path(&self) -> String {
        self.resource.object(&self.namespace, &self.name)
    }
}

/// What words mean.
#[derive(Debug)]
pub(crate) enum Selection {
    /// These objects.
    Objects(Vec<Named>),
    /// Every object of these kinds.
    Kinds(Vec<Resource>),
}

/// Understands `KIND[,KIND] [NAME...]`, `KIND/NAME...` and categories such as `all`.
pub(crate) fn select(words: &[String], catalog: &Catalog, namespace: &str) -> Result<Selection, Error> {
    let Some((first, names)) = words.split_first() else {
        return Err(Error::Usage("name a kind, for example `instances`".to_owned()));
    };
    if words.iter().any(|word| word.contains('/')) {
        let mut objects = Vec::new();
        for word in words {
            let (kind, name) = word
                .split_once('/')
                .filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
                .ok_or_else(|| Error::Usage(format!("`{word}` is not KIND/NAME; all words must be, or none")))?;
            objects.push(named(catalog.of_word(kind)?, namespace, name)?);
        }
        return Ok(Selection::Objects(objects));
    }
    let mut kinds = Vec::new();
    for word in first.split(',').filter(|word| !word.is_empty()) {
        for resource in catalog.of_word_or_category(word)? {
            if !kinds.contains(resource) {
                kinds.push(resource.clone());
            }
        }
    }
    if names.is_empty() {
        return Ok(Selection::Kinds(kinds));
    }
    let mut objects = Vec::new();
    for kind in &kinds {
        for name in names {
            objects.push(named(kind, namespace, name)?);
        }
    }
    Ok(Selection::Objects(objects))
}

fn named(resource: &Resource, namespace: &str, name: &str) -> Result<Named, Error> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(Error::Usage(format!("`{name}` cannot be a name")));
    }
    Ok(Named { resource: resource.clone(), namespace: namespace.to_owned(), name: name.to_owned() })
}

/// An object that words name with a default kind: `web` is `instance/web`.
pub(crate) fn one(word: &str, default_kind: &str, catalog: &Catalog, namespace: &str) -> Result<Named, Error> {
    let (kind, name) = word.split_once('/').unwrap_or((default_kind, word));
    named(catalog.of_word(kind)?, namespace, name)
}

/// A machine, or whatever else has a stream such as `log` or `exec`.
pub(crate) fn with_stream(word: &str, stream: &str, catalog: &Catalog, namespace: &str) -> Result<Named, Error> {
    let named = one(word, "instances", catalog, namespace)?;
    require(&named.resource, stream, catalog)?;
    Ok(named)
}

/// Refuses a kind that does not have something below its objects.
pub(crate) fn require(resource: &Resource, subresource: &str, catalog: &Catalog) -> Result<(), Error> {
    if resource.has(subresource) {
        return Ok(());
    }
    let with: Vec<_> =
        catalog.preferred().filter(|other| other.has(subresource)).map(|other| other.plural.as_str()).collect();
    let with = if with.is_empty() { "no kind has".to_owned() } else { format!("{} have", with.join(", ")) };
    Err(Error::Usage(format!("{} have no {subresource}; {with}", resource.plural)))
}

/// The one object that words name.
pub(crate) fn single(words: &[String], catalog: &Catalog, namespace: &str) -> Result<Named, Error> {
    match select(words, catalog, namespace)? {
        Selection::Objects(mut objects) if objects.len() == 1 => Ok(objects.remove(0)),
        _ => Err(Error::Usage("name one object: KIND NAME or KIND/NAME".to_owned())),
    }
}

/// The objects that a verb acts on when a list has to be looked up first: words with `--all` or `-l`.
pub(crate) async fn expand(
    session: &Session,
    selection: Selection,
    selector: Option<&str>,
    all: bool,
) -> Result<Vec<Named>, Error> {
    let kinds = match selection {
        Selection::Objects(objects) => {
            if selector.is_some() || all {
                return Err(Error::Usage("give names, or -l or --all, not both".to_owned()));
            }
            return Ok(objects);
        }
        Selection::Kinds(kinds) => kinds,
    };
    if selector.is_none() && !all {
        return Err(Error::Usage("give a name, -l LABELS or --all".to_owned()));
    }
    let query = Query::new().with_set("labelSelector", selector);
    let mut objects = Vec::new();
    for resource in kinds {
        let list = list(session, &resource, Some(session.namespace()), &query).await?;
        objects.extend(list.iter().map(|object| Named {
            resource: resource.clone(),
            namespace: session.namespace().to_owned(),
            name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        }));
    }
    Ok(objects)
}

/// All objects of a collection, page by page.
pub(crate) async fn list(
    session: &Session,
    resource: &Resource,
    namespace: Option<&str>,
    query: &Query,
) -> Result<Vec<Value>, ApiError> {
    let mut whole = pages(session, &resource.collection(namespace), query, JSON, "items").await?;
    let mut items = Vec::new();
    let kind = &resource.kind;
    for mut item in whole["items"].as_array_mut().map(std::mem::take).unwrap_or_default() {
        // Items of a list of built-in kinds come without these two.
        if item["kind"].is_null() {
            item["apiVersion"] = resource.api_version().into();
            item["kind"] = kind.clone().into();
        }
        items.push(item);
    }
    Ok(items)
}

/// A collection in any shape, with the pages put together; `rows` is the field that holds the entries.
pub(crate) async fn pages(
    session: &Session,
    path: &str,
    query: &Query,
    accept: &str,
    rows: &str,
) -> Result<Value, ApiError> {
    let query = query.clone().with("limit", PAGE);
    let mut whole = session.get_as(&query.on(path), accept).await?;
    while let Some(next) = whole["metadata"]["continue"].as_str().filter(|next| !next.is_empty()) {
        let mut page = session.get_as(&query.clone().with("continue", next).on(path), accept).await?;
        let more = page[rows].as_array_mut().map(std::mem::take).unwrap_or_default();
        if let Some(entries) = whole[rows].as_array_mut() {
            entries.extend(more);
        }
        whole["metadata"] = page["metadata"].take();
    }
    Ok(whole)
}

/// The manifests in files, in the order in which they are applied; `forced` is the namespace of `-n`.
pub(crate) fn of_files(filenames: &[String], recursive: bool, forced: Option<&str>) -> Result<Vec<Manifest>, Error> {
    let paths: Vec<_> = filenames.iter().map(PathBuf::from).collect();
    let mut manifests = manifests::read(&paths, recursive)?;
    for manifest in &manifests {
        if let (Some(forced), Some(written)) = (forced, &manifest.namespace)
            && forced != written
        {
            return Err(Error::Usage(format!(
                "{}: {} `{}` is written for the namespace `{written}`, but -n says `{forced}`",
                manifest.origin, manifest.kind, manifest.name
            )));
        }
    }
    manifests::sort(&mut manifests);
    Ok(manifests)
}

/// The object that a manifest means; `None` when the server has no such kind (yet).
pub(crate) fn of_manifest(manifest: &Manifest, catalog: &Catalog, session: &Session) -> Option<Named> {
    let resource = catalog.of_manifest(&manifest.api_version, &manifest.kind)?;
    let namespace = manifest.namespace.clone().unwrap_or_else(|| session.namespace().to_owned());
    Some(Named { resource: resource.clone(), namespace, name: manifest.name.clone() })
}

/// The words for a kind that the server does not have.
pub(crate) fn no_such_kind(manifest: &Manifest) -> Error {
    Error::NotFound(format!(
        "{}: the server has no kind `{}` in `{}`; `cloudctl api-resources` lists those it has",
        manifest.origin, manifest.kind, manifest.api_version
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let kind = |plural: &str, kind: &str| Resource {
            group: "thecloud.dev".into(),
            version: "v1alpha1".into(),
            kind: kind.into(),
            plural: plural.into(),
            singular: kind.to_lowercase(),
            categories: vec!["all".into()],
            namespaced: true,
            verbs: vec!["list".into()],
            preferred: true,
            ..Resource::default()
        };
        Catalog::of(vec![kind("instances", "Instance"), kind("vpcs", "Vpc")])
    }

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn selected(line: &str) -> Result<String, Error> {
        Ok(match select(&words(line), &catalog(), "default")? {
            Selection::Objects(objects) => objects.iter().map(Named::full).collect::<Vec<_>>().join(" "),
            Selection::Kinds(kinds) => kinds.iter().map(|kind| kind.plural.clone()).collect::<Vec<_>>().join(" "),
        })
    }

    #[test]
    fn every_way_to_name_objects_is_understood() {
        assert_eq!(selected("instances").unwrap(), "instances");
        assert_eq!(selected("vpc,instance").unwrap(), "vpcs instances");
        assert_eq!(selected("all").unwrap(), "instances vpcs");
        assert_eq!(selected("instance web db").unwrap(), "instance.thecloud.dev/web instance.thecloud.dev/db");
        assert_eq!(selected("instance/web vpc/main").unwrap(), "instance.thecloud.dev/web vpc.thecloud.dev/main");
        assert_eq!(selected("instance,vpc a").unwrap(), "instance.thecloud.dev/a vpc.thecloud.dev/a");
    }

    #[test]
    fn mixtures_and_bad_names_are_usage_errors() {
        for line in ["instance/web db", "instance/", "/web", "instance ..", "instance/a/b"] {
            assert!(matches!(selected(line), Err(Error::Usage(_))), "{line}");
        }
    }

    #[test]
    fn bare_name_has_a_default_kind() {
        assert_eq!(one("web", "instances", &catalog(), "n").unwrap().full(), "instance.thecloud.dev/web");
        assert_eq!(one("vpc/web", "instances", &catalog(), "n").unwrap().full(), "vpc.thecloud.dev/web");
    }

    #[test]
    fn manifest_for_another_namespace_than_asked_for_is_refused_before_anything_is_sent() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\n").unwrap();
        let files = [path.display().to_string()];
        assert!(of_files(&files, false, None).is_ok());
        assert!(of_files(&files, false, Some("shop")).is_ok());
        let error = of_files(&files, false, Some("other")).unwrap_err();
        assert_eq!(error.exit(), crate::error::Exit::Usage);
        assert!(error.to_string().contains("is written for the namespace `shop`, but -n says `other`"), "{error}");
    }
}
