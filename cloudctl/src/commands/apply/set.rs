//! Decides what of a set is pruned, and keeps the set's parent true. The parent names every kind and namespace that may hold
//! members before the first of them is applied, and only those that do after the last was pruned: cut off anywhere, the next
//! run finds all. Only objects that bear the set's label, in the kinds and namespaces of the set, are ever deleted.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::api::{ApiError, Catalog, Patch, Query, Resource, Session};
use crate::apply_set::{Extent, PART_OF, Parent, SET_MANAGER, group_kind};
use crate::commands::failures::Failures;
use crate::commands::targets::{self, Named};
use crate::error::Error;
use crate::manifests::{Manifest, rank};
use crate::output::Screen;

/// A set, from before it is applied until it is pruned.
pub(crate) struct Set<'a> {
    session: &'a Session,
    at: Named,
    parent: Parent,
    before: Extent,
    after: Extent,
    dry_run: bool,
    /// The identities of what is given now.
    given: BTreeSet<String>,
}

/// A member that is no longer given.
pub(crate) struct Stray {
    /// Which.
    pub(crate) named: Named,
    /// As it is.
    pub(crate) object: Value,
}

impl<'a> Set<'a> {
    /// The set of a name: `NAME` and `secret/NAME` are a Secret, as for kubectl, `configmap/NAME` a ConfigMap.
    pub(crate) async fn open(
        session: &'a Session,
        catalog: &Catalog,
        word: &str,
        dry_run: bool,
    ) -> Result<Self, Error> {
        let at = targets::one(word, "secrets", catalog, session.namespace())?;
        let kind = at.resource.kind.clone();
        if !at.resource.group.is_empty() || !["Secret", "ConfigMap"].contains(&kind.as_str()) {
            return Err(Error::Usage(format!(
                "a {kind} cannot stand for an apply set; write NAME or secret/NAME for a Secret, configmap/NAME for a ConfigMap"
            )));
        }
        let parent = Parent { kind, namespace: at.namespace.clone(), name: at.name.clone() };
        let before = match session.get(&at.path()).await {
            Ok(object) => parent.extent(&object).map_err(|why| Error::Failed(format!("{}: {why}", at.full())))?,
            Err(error) if error.is_not_found() => Extent { kinds: Some(BTreeSet::new()), namespaces: BTreeSet::new() },
            Err(error) => return Err(error.into()),
        };
        let after = Extent { kinds: Some(BTreeSet::new()), namespaces: BTreeSet::new() };
        Ok(Self { session, at, parent, before, after, dry_run, given: BTreeSet::new() })
    }

    /// Looks at all that will be applied, and refuses what cannot be a member.
    pub(crate) fn take_in(&mut self, manifests: &[Manifest], catalog: &Catalog) -> Result<(), Error> {
        for manifest in manifests {
            let namespace = manifest.namespace.as_deref().unwrap_or_else(|| self.session.namespace());
            if group_kind(&manifest.api_version, &manifest.kind) == self.parent.kind
                && (manifest.name.as_str(), namespace) == (&*self.parent.name, &*self.parent.namespace)
            {
                let what = self.at.full();
                return Err(Error::Usage(format!(
                    "{}: {what} stands for the set, so it cannot be in it",
                    manifest.origin
                )));
            }
            let label = &manifest.object["metadata"]["labels"][PART_OF];
            if !label.is_null() && *label != self.parent.id() {
                return Err(Error::Usage(format!(
                    "{}: {} `{}` has the label {PART_OF} of another set; take it out of the YAML",
                    manifest.origin, manifest.kind, manifest.name
                )));
            }
            let resource = catalog.of_manifest(&manifest.api_version, &manifest.kind);
            // A kind that is not known yet may have namespaces.
            let namespaced = resource.is_none_or(|resource| resource.namespaced);
            self.after.add(&manifest.api_version, &manifest.kind, namespaced.then_some(namespace));
        }
        Ok(())
    }

    /// Notes on the server where members may be from now on.
    pub(crate) async fn announce(&self) -> Result<(), ApiError> {
        self.write(&self.before.and(&self.after)).await
    }

    /// Makes a wish that of a member.
    pub(crate) fn mark(&self, wish: &mut Value) {
        label(wish, &self.parent.id());
    }

    /// Remembers that an object is given.
    pub(crate) fn keep(&mut self, object: &Value) {
        self.given.extend(object["metadata"]["uid"].as_str().map(str::to_owned));
    }

    /// Whether it is the namespace that the set's parent is in.
    pub(crate) fn is_home(&self, manifest: &Manifest) -> bool {
        manifest.kind == "Namespace" && manifest.api_version == "v1" && manifest.name == self.parent.namespace
    }

    /// The members that are no longer given and not on their way out, those that use others first.
    pub(crate) async fn strays(&self, catalog: &Catalog) -> Result<Vec<Stray>, Error> {
        let holds = |resource: &&Resource| {
            let kind = group_kind(&resource.api_version(), &resource.kind);
            resource.can("list") && self.before.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
        };
        let places = catalog.preferred().filter(holds).flat_map(|resource| {
            let namespaces: Vec<Option<&str>> = if resource.namespaced {
                self.before.namespaces.iter().map(|namespace| Some(namespace.as_str())).collect()
            } else {
                vec![None]
            };
            namespaces.into_iter().map(move |namespace| (resource, namespace))
        });
        let query = Query::new().with("labelSelector", format!("{PART_OF}={}", self.parent.id()));
        let lists = places.map(|(resource, namespace)| {
            let query = &query;
            async move {
                let objects = targets::list(self.session, resource, namespace, query).await?;
                Ok::<_, ApiError>((resource, namespace, objects))
            }
        });
        let mut strays = Vec::new();
        // An object may be found under several kinds, as Events are.
        let mut seen = self.given.clone();
        for (resource, namespace, objects) in try_join_all(lists).await? {
            for object in objects {
                let metadata = &object["metadata"];
                let uid = metadata["uid"].as_str().unwrap_or_default().to_owned();
                let member = metadata["labels"][PART_OF] == self.parent.id();
                if !member || metadata["deletionTimestamp"].is_string() || !seen.insert(uid) {
                    continue;
                }
                let name = metadata["name"].as_str().unwrap_or_default().to_owned();
                let namespace = namespace.unwrap_or_default().to_owned();
                strays.push(Stray { named: Named { resource: resource.clone(), namespace, name }, object });
            }
        }
        strays.sort_by_key(|stray| std::cmp::Reverse(rank(&stray.named.resource.kind)));
        Ok(strays)
    }

    /// Deletes the strays, and notes where the set has members now.
    pub(crate) async fn prune(
        &self,
        catalog: &Catalog,
        failures: &mut Failures<'_>,
        mut tell: impl FnMut(&Named) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let query = Query::new().with_set("dryRun", self.dry_run.then_some("All"));
        for Stray { named, object } in self.strays(catalog).await? {
            let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
                // Another object of that name is not the one that was found.
                "preconditions": {"uid": object["metadata"]["uid"]}});
            match self.session.delete(&query.on(&named.path()), &options).await {
                Ok(_) => tell(&named)?,
                Err(error) if error.is_not_found() || error.is_conflict() => {}
                Err(error) => failures.add_other(&format!("{} cannot be pruned", named.full()), &error.into()),
            }
        }
        if self.dry_run {
            return Ok(());
        }
        // What could not be pruned is found again next time.
        let extent = if failures.is_empty() { self.after.clone() } else { self.before.and(&self.after) };
        Ok(self.write(&extent).await?)
    }

    async fn write(&self, extent: &Extent) -> Result<(), ApiError> {
        let query = Query::new()
            .with("fieldManager", SET_MANAGER)
            .with("fieldValidation", "Strict")
            // What stands on the parent is this manager's alone.
            .with("force", "true")
            .with_set("dryRun", self.dry_run.then_some("All"));
        self.session.patch(&query.on(&self.at.path()), Patch::Apply, &self.parent.wish(extent)).await.map(drop)
    }
}

/// Labels an object as member of a set. Labels that are none are left for the server to refuse.
pub(super) fn label(object: &mut Value, id: &str) {
    let labels =
        object["metadata"].as_object_mut().map(|metadata| metadata.entry("labels").or_insert_with(|| json!({})));
    if let Some(labels) = labels.and_then(Value::as_object_mut) {
        labels.insert(PART_OF.to_owned(), json!(id));
    }
}

/// The words for a set that is left as it is because not all of it could be applied.
pub(crate) fn left_alone(screen: &Screen) {
    screen.note("Nothing is pruned until everything can be applied.");
}
