//! The objects of one kind as the apiserver last told them, shared between all kinds' controllers. One watch a kind
//! however many controllers read it. What we wrote ourselves is in it before the write returns, so that no controller
//! decides from a state older than its own last word.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures::{StreamExt, pin_mut};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use uuid::Uuid;

use super::failure::chain;
use super::index::{Entry, Index};

/// A namespaced name. The namespace of a cluster's object is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// The key of these.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object.
    pub fn of<K: ResourceExt>(object: &K) -> Self {
        Self { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }
}

/// The objects of one kind.
#[derive(Debug)]
pub struct Store<K> {
    objects: RwLock<Objects<K>>,
    complete: watch::Sender<bool>,
}

/// All that is known.
#[derive(Debug)]
struct Objects<K> {
    known: BTreeMap<Key, Known<K>>,
    index: Index<K>,
}

/// One object.
#[derive(Debug)]
struct Known<K> {
    /// The newest state that was heard of.
    object: Arc<K>,
    /// The newest state that was told as a change. It lags behind by our own writes until the watch brings them, and
    /// those are told like anybody's: others wait for them.
    told: Arc<K>,
}

/// How an object changed: what it was, and what it is.
#[derive(Debug)]
pub struct Changed<'a, K> {
    /// Before; `None` when it is new.
    pub old: Option<&'a Arc<K>>,
    /// Now; `None` when it is gone.
    pub new: Option<&'a Arc<K>>,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self::indexed(|_| BTreeSet::new())
    }
}

impl<K> Store<K> {
    /// An empty store whose objects are found by these entries too.
    #[must_use]
    pub fn indexed(entries: fn(&K) -> BTreeSet<Entry>) -> Self {
        let objects = Objects { known: BTreeMap::new(), index: Index::by(entries) };
        Self { objects: RwLock::new(objects), complete: watch::Sender::new(false) }
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Store<K> {
    /// One object.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.read().known.get(&Key::new(namespace, name)).map(|known| known.object.clone())
    }

    /// All objects, by namespace and name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<K>> {
        self.read().known.values().map(|known| known.object.clone()).collect()
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.read().known.keys().cloned().collect()
    }

    /// The objects of a namespace, by name.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        self.read()
            .known
            .range(Key::new(namespace, "")..)
            .take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, known)| known.object.clone())
            .collect()
    }

    /// The objects that are found by this value in this index, by namespace and name.
    #[must_use]
    pub fn by_index(&self, index: &'static str, value: impl Into<String>) -> Vec<Arc<K>> {
        let objects = self.read();
        let entry = (index, value.into());
        let keys = objects.index.keys(&entry);
        keys.filter_map(|key| objects.known.get(key)).map(|known| known.object.clone()).collect()
    }

    /// The uids of all objects.
    #[must_use]
    pub fn uids(&self) -> BTreeSet<Uuid> {
        self.read().known.values().map(|known| uid_of(known.object.as_ref())).collect()
    }

    /// The object of this uid.
    #[must_use]
    pub fn of_uid(&self, uid: Uuid) -> Option<Arc<K>> {
        self.read().known.values().find(|known| uid_of(known.object.as_ref()) == uid).map(|known| known.object.clone())
    }

    /// Waits until the first complete list is here.
    pub async fn complete(&self) {
        // The sender is ours, so that this can't fail while we are borrowed.
        let _ = self.complete.subscribe().wait_for(|complete| *complete).await;
    }

    /// Takes in what the apiserver answered to our own write or read, unless something newer is known. It never
    /// brings back an object that is gone.
    pub fn remember(&self, object: K) {
        let key = Key::of(&object);
        let mut objects = self.write();
        if objects.known.get(&key).is_some_and(|known| known.object.meta().uid == object.meta().uid) {
            objects.renew(&key, object);
        }
    }

    /// Takes in an object from the watch and says what there is to tell: the state told before, and the newest one.
    /// `None` if that was told already.
    fn put(&self, object: K) -> Option<(Option<Arc<K>>, Arc<K>)> {
        let key = Key::of(&object);
        let mut objects = self.write();
        if !objects.known.contains_key(&key) {
            let new = Arc::new(slim(object));
            objects.index.change(&key, None, Some(new.as_ref()));
            objects.known.insert(key, Known { object: new.clone(), told: new.clone() });
            return Some((None, new));
        }
        objects.renew(&key, object);
        let known = objects.known.get_mut(&key)?;
        if revision(known.told.as_ref()) >= revision(known.object.as_ref()) {
            return None;
        }
        let old = std::mem::replace(&mut known.told, known.object.clone());
        Some((Some(old), known.object.clone()))
    }

    /// Forgets an object; gives the state of it that was told last.
    fn take(&self, key: &Key) -> Option<Arc<K>> {
        let mut objects = self.write();
        let known = objects.known.remove(key)?;
        objects.index.change(key, Some(known.object.as_ref()), None);
        Some(known.told)
    }

    fn read(&self) -> RwLockReadGuard<'_, Objects<K>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects<K>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Resource> Objects<K> {
    /// Takes in what is said of an object that is known, if it is newer.
    fn renew(&mut self, key: &Key, object: K) {
        if let Some(known) = self.known.get_mut(key)
            && revision(known.object.as_ref()) < revision(&object)
        {
            let new = Arc::new(slim(object));
            self.index.change(key, Some(known.object.as_ref()), Some(new.as_ref()));
            known.object = new;
        }
    }
}

impl<K> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Keeps the store as the apiserver tells it, and tells each change on. Never ends.
    pub async fn follow(&self, api: Api<K>, mut on_change: impl FnMut(Changed<'_, K>) + Send) {
        let events = watcher(api, watcher::Config::default()).default_backoff();
        pin_mut!(events);
        let mut listed = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(object)) => {
                    listed.insert(Key::of(&object));
                    self.tell_put(object, &mut on_change);
                }
                Ok(watcher::Event::InitDone) => {
                    for key in self.keys().into_iter().filter(|key| !listed.contains(key)) {
                        if let Some(old) = self.take(&key) {
                            on_change(Changed { old: Some(&old), new: None });
                        }
                    }
                    listed.clear();
                    self.complete.send_replace(true);
                }
                Ok(watcher::Event::Apply(object)) => self.tell_put(object, &mut on_change),
                Ok(watcher::Event::Delete(object)) => {
                    let old = self.take(&Key::of(&object)).unwrap_or_else(|| Arc::new(object));
                    on_change(Changed { old: Some(&old), new: None });
                }
                Err(error) => {
                    tracing::warn!(kind = %K::kind(&()), error = chain(&error), "the watch was cut off and is made again");
                }
            }
        }
    }

    fn tell_put(&self, object: K, on_change: &mut impl FnMut(Changed<'_, K>)) {
        if let Some((old, new)) = self.put(object) {
            on_change(Changed { old: old.as_ref(), new: Some(&new) });
        }
    }
}

/// An object's uid; nil if it has none or it is no UUID, which no object of an apiserver is.
#[must_use]
pub fn uid_of<K: Resource>(object: &K) -> Uuid {
    object.meta().uid.as_deref().and_then(|uid| uid.parse().ok()).unwrap_or_default()
}

/// Revisions are numbers in one total order (<https://github.com/kubernetes/enhancements/issues/5504>).
fn revision<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Nobody here reads who set which field, which is often more than the rest of the object.
fn slim<K: Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn object(name: &str, revision: u64) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some("default".to_owned()),
                uid: Some(Uuid::from_u128(1).to_string()),
                resource_version: Some(revision.to_string()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    #[test]
    fn our_own_write_is_told_once_the_watch_brings_news_and_nothing_older_replaces_it() {
        let store = Store::default();
        assert!(store.put(object("a", 5)).is_some());
        store.remember(object("a", 9));
        let (old, new) = store.put(object("a", 7)).unwrap();
        assert_eq!(old.unwrap().resource_version().as_deref(), Some("5"));
        assert_eq!(new.resource_version().as_deref(), Some("9"));
        assert!(store.put(object("a", 9)).is_none(), "it was told already");
        assert_eq!(store.get("default", "a").unwrap().resource_version().as_deref(), Some("9"));
        assert!(store.put(object("a", 10)).is_some());
    }

    #[test]
    fn our_own_write_never_brings_back_what_is_gone() {
        let store = Store::default();
        store.remember(object("a", 9));
        assert!(store.get("default", "a").is_none());
    }

    #[test]
    fn an_object_is_found_by_what_it_says_now_also_by_our_own_write_and_not_once_it_is_gone() {
        let store = Store::indexed(|map: &ConfigMap| {
            map.labels().get("colour").map(|colour| ("colour", colour.clone())).into_iter().collect()
        });
        let coloured = |name: &str, revision: u64, colour: &str| {
            let mut made = object(name, revision);
            made.metadata.labels = Some([("colour".to_owned(), colour.to_owned())].into());
            made
        };
        let found =
            |value: &str| -> Vec<String> { store.by_index("colour", value).iter().map(|map| map.name_any()).collect() };
        store.put(coloured("b", 1, "red"));
        store.put(coloured("a", 2, "red"));
        store.put(object("c", 3));
        assert_eq!(found("red"), ["a", "b"]);
        store.remember(coloured("a", 4, "blue"));
        store.put(coloured("a", 2, "red"));
        assert_eq!((found("red"), found("blue")), (vec!["b".to_owned()], vec!["a".to_owned()]));
        store.put(object("a", 5));
        store.take(&Key::new("default", "b"));
        assert_eq!((found("red").len(), found("blue").len()), (0, 0));
    }

    #[test]
    fn a_namespace_ends_where_the_next_begins() {
        let store = Store::default();
        for (namespace, name) in [("a", "x"), ("a", "y"), ("ab", "x"), ("b", "x")] {
            let mut made = object(name, 1);
            made.metadata.namespace = Some(namespace.to_owned());
            store.put(made);
        }
        assert_eq!(store.in_namespace("a").len(), 2);
        assert_eq!(store.in_namespace("ab").len(), 1);
    }
}
