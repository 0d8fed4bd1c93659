//! Writers that know what was acknowledged to them, and watchers that know what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apiserver_store_postgres::testing::PostgresServer;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt as _};

/// What a name stands at: its revision and the number that was written.
pub(crate) type Held = BTreeMap<String, (u64, String)>;

/// What was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The name and the number of every write, by its revision.
    writes: BTreeMap<u64, (String, String)>,
    /// Names that may be gone: a deletion was asked for.
    doomed: BTreeSet<String>,
    /// Names that must be gone: the deletion was acknowledged.
    gone: BTreeSet<String>,
}

impl Written {
    pub(crate) fn extend(&mut self, other: Written) {
        for (revision, write) in other.writes {
            let double = self.writes.insert(revision, write);
            assert_eq!(double, None, "revision {revision} was given twice");
        }
        self.doomed.extend(other.doomed);
        self.gone.extend(other.gone);
    }

    /// What was acknowledged last of a name is there, or something later whose answer was lost.
    pub(crate) fn check_held(&self, held: &Held) {
        let last: BTreeMap<&str, (u64, &str)> = self
            .writes
            .iter()
            .map(|(revision, (name, number))| (name.as_str(), (*revision, number.as_str())))
            .collect();
        assert!(last.len() > 20 && self.gone.len() > 5, "{} names, {} gone", last.len(), self.gone.len());
        for (name, (revision, number)) in last {
            match held.get(name) {
                Some((now, _)) if *now > revision => {}
                Some((now, there)) => assert_eq!((*now, there.as_str()), (revision, number), "{name}"),
                None => assert!(self.doomed.contains(name), "{name}, written at {revision}, is gone"),
            }
        }
        for name in &self.gone {
            assert_eq!(held.get(name), None, "{name} was deleted");
        }
    }
}

fn revision(object: &ConfigMap) -> u64 {
    object.resource_version().and_then(|text| text.parse().ok()).expect("a revision is a number")
}

fn number(object: &ConfigMap) -> String {
    object.data.as_ref().and_then(|data| data.get("number")).cloned().unwrap_or_default()
}

fn config_map(name: &str, number: u64) -> ConfigMap {
    let mut object = ConfigMap { data: Some([("number".to_owned(), number.to_string())].into()), ..Default::default() };
    object.metadata.name = Some(name.to_owned());
    object
}

/// Creates, changes and deletes ConfigMaps until told to stop; what fails is done again.
pub(crate) async fn write(
    client: Client,
    writer: usize,
    progress: Arc<Vec<AtomicU64>>,
    stop: Arc<AtomicBool>,
) -> Written {
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let mut written = Written::default();
    let mut round = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let name = format!("load-{writer}-{}", round / 4);
        let tried = match round % 4 {
            0 => api.create(&PostParams::default(), &config_map(&name, round)).await.map(Some),
            3 if round % 8 == 3 => {
                written.doomed.insert(name.clone());
                api.delete(&name, &DeleteParams::default()).await.map(|_| None)
            }
            _ => {
                let patch = serde_json::json!({"data": {"number": round.to_string()}});
                api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.map(Some)
            }
        };
        match tried {
            Ok(Some(object)) => {
                written.writes.insert(revision(&object), (name, number(&object)));
                progress[writer].fetch_add(1, Ordering::Relaxed);
            }
            Ok(None) => {
                written.gone.insert(name);
                progress[writer].fetch_add(1, Ordering::Relaxed);
            }
            // Its fate is unknown, or an earlier one's was: the next name is as good.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    written
}

/// What a watcher was told.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    revision: u64,
    events: BTreeMap<u64, String>,
    /// What lies between is known only by its outcome: the server could not tell it any more, and said so.
    gaps: Vec<(u64, u64)>,
    state: Held,
    resumed: u64,
}

impl Seen {
    pub(crate) fn revision(&self) -> u64 {
        self.0.lock().unwrap().revision
    }

    fn told(&self, event: &WatchEvent<ConfigMap>) {
        let mut told = self.0.lock().unwrap();
        let (object, gone) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
            WatchEvent::Deleted(object) => (object, true),
            WatchEvent::Bookmark(bookmark) => {
                let now: u64 = bookmark.metadata.resource_version.parse().expect("a revision is a number");
                assert!(now >= told.revision, "a bookmark goes back from {} to {now}", told.revision);
                told.revision = now;
                return;
            }
            WatchEvent::Error(_) => return,
        };
        let now = revision(object);
        assert!(now > told.revision, "{} comes at {now}, after {}", object.name_any(), told.revision);
        told.revision = now;
        told.events.insert(now, object.name_any());
        if gone {
            told.state.remove(&object.name_any());
        } else {
            told.state.insert(object.name_any(), (now, number(object)));
        }
    }

    /// Every acknowledged write was told, and what was told adds up to what is there.
    pub(crate) fn check(&self, written: &Written, held: &Held) {
        let told = self.0.lock().unwrap();
        let mut in_gaps = 0;
        for (revision, (name, _)) in &written.writes {
            let in_gap = told.gaps.iter().any(|(from, to)| from < revision && revision <= to);
            in_gaps += usize::from(in_gap);
            assert!(in_gap || told.events.get(revision) == Some(name), "{name} at {revision} was not told");
        }
        assert_eq!(&told.state, held, "what was told adds up to something else");
        assert!(told.events.len() > 100, "{} events", told.events.len());
        eprintln!(
            "{} events, resumed {} times, {} gaps with {in_gaps} of {} writes",
            told.events.len(),
            told.resumed,
            told.gaps.len(),
            written.writes.len()
        );
    }
}

/// Watches for ever, resuming after the last revision; lists again only where the server says that it must.
pub(crate) async fn watch(client: Client, seen: Arc<Seen>) {
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let mut must_list = true;
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if must_list {
            let Ok(list) = api.list(&ListParams::default()).await else { continue };
            let now = list.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).expect("a revision");
            let mut told = seen.0.lock().unwrap();
            assert!(now >= told.revision, "a list at {now} is older than {}", told.revision);
            let gap = (told.revision, now);
            told.gaps.push(gap);
            told.revision = now;
            told.state = held(&list.items);
            must_list = false;
        }
        let from = seen.revision();
        let parameters = WatchParams::default().timeout(60);
        let Ok(events) = api.watch(&parameters, &from.to_string()).await else { continue };
        seen.0.lock().unwrap().resumed += 1;
        let mut events = events.boxed();
        while let Some(Ok(event)) = events.next().await {
            if let WatchEvent::Error(status) = &event {
                assert_eq!(status.code, 410, "{status:?}");
                must_list = true;
                break;
            }
            seen.told(&event);
        }
    }
}

fn held(items: &[ConfigMap]) -> Held {
    let ours = items.iter().filter(|item| item.name_any().starts_with("load-"));
    ours.map(|item| (item.name_any(), (revision(item), number(item)))).collect()
}

/// Writes once more, after everybody has ended, and returns the revision: all that was done lies before it, also what was
/// deleted and has no revision that its writer knows.
pub(crate) async fn end(client: &Client, written: &mut Written) -> u64 {
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let object = api.create(&PostParams::default(), &config_map("load-end", 0)).await.expect("the last write");
    written.writes.insert(revision(&object), (object.name_any(), number(&object)));
    revision(&object)
}

/// What there is now.
pub(crate) async fn list(client: &Client) -> Held {
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    held(&api.list(&ListParams::default()).await.expect("the list").items)
}

/// Declares a kind.
pub(crate) async fn declare(client: &Client, plural: &str) {
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    let definition = serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.three.test")},
        "spec": {
            "group": "three.test",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural.trim_end_matches('s'), "kind": format!("K{plural}")},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    });
    let definition = serde_json::from_value(definition).expect("an object");
    api.create(&PostParams::default(), &definition).await.expect("the definition is taken");
}

/// When the last of the servers has begun to serve a kind.
pub(crate) async fn served_by_all(clients: &[Client], plural: &str) -> Instant {
    let path = format!("/apis/three.test/v1/namespaces/default/{plural}");
    for client in clients {
        let served = async {
            loop {
                let request = http::Request::get(&path).body(Vec::new()).expect("a request");
                if client.request_text(request).await.is_ok() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), served).await.expect("the kind is served");
    }
    Instant::now()
}

/// Cuts every connection of every apiserver to its database.
pub(crate) async fn cut_connections(server: &PostgresServer) {
    let cut = server.cut_connections().await;
    assert!(cut >= 6, "only {cut} connections were there to be cut");
}
