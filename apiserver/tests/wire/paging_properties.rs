//! What holds of pages, whatever is written while they are read.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::{Server, namespace, widget};

const ALL: &str = "/apis/wire.test/v1/widgets";
const NAMESPACES: [&str; 3] = ["a", "b", "c"];

/// A write to one of a few objects, which is there or not.
#[derive(Debug, Clone)]
struct Touch {
    namespace: &'static str,
    name: String,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Put { app: &'static str, color: &'static str },
    Delete,
}

/// What is listed.
#[derive(Debug, Clone)]
struct Wish {
    namespace: Option<&'static str>,
    app: Option<&'static str>,
    color: Option<&'static str>,
    limit: usize,
}

impl Wish {
    fn path(&self) -> String {
        self.namespace.map_or(ALL.to_owned(), |name| format!("/apis/wire.test/v1/namespaces/{name}/widgets"))
    }

    fn selectors(&self) -> String {
        let label = self.app.map(|app| format!("&labelSelector=app%3D{app}")).unwrap_or_default();
        label + &self.color.map(|color| format!("&fieldSelector=spec.color%3D{color}")).unwrap_or_default()
    }

    fn selects(&self, object: &Value) -> bool {
        self.namespace.is_none_or(|namespace| object["metadata"]["namespace"] == namespace)
            && self.app.is_none_or(|app| object["metadata"]["labels"]["app"] == app)
            && self.color.is_none_or(|color| object["spec"]["color"] == color)
    }
}

fn touch() -> impl Strategy<Value = Touch> {
    let put = (prop::sample::select(vec!["one", "two"]), prop::sample::select(vec!["red", "blue"]));
    let what = prop_oneof![3 => put.prop_map(|(app, color)| What::Put { app, color }), 1 => Just(What::Delete)];
    let name = prop::sample::select(vec!["a", "a-b", "aa", "b", "b1", "b.c", "z"]).prop_map(str::to_owned);
    (prop::sample::select(&NAMESPACES[..]), name, what).prop_map(|(namespace, name, what)| Touch {
        namespace,
        name,
        what,
    })
}

fn touches() -> impl Strategy<Value = Vec<Touch>> {
    prop::collection::vec(touch(), 0..8)
}

fn wish() -> impl Strategy<Value = Wish> {
    let app = prop::option::of(prop::sample::select(vec!["one", "two"]));
    let color = prop::option::of(prop::sample::select(vec!["red", "blue"]));
    (prop::option::of(prop::sample::select(&NAMESPACES[..])), app, color, 1..5usize)
        .prop_map(|(namespace, app, color, limit)| Wish { namespace, app, color, limit })
}

async fn write(server: &Server, touches: &[Touch]) {
    for touch in touches {
        let all = format!("/apis/wire.test/v1/namespaces/{}/widgets", touch.namespace);
        let path = format!("{all}/{}", touch.name);
        match touch.what {
            What::Delete => assert!(matches!(server.delete(&path, json!({})).await.code, 200 | 404)),
            What::Put { app, color } => {
                let mut object = widget(&touch.name, json!({"color": color}));
                object["metadata"]["labels"] = json!({"app": app});
                if server.merge(&path, object.clone()).await.code == 404 {
                    server.post(&all, object).await.expect(201);
                }
            }
        }
    }
}

/// The objects by namespace and name at a revision, retold by a watch from the beginning.
async fn state_at(server: &Server, from: u64, to: u64) -> BTreeMap<(String, String), Value> {
    let mut state = BTreeMap::new();
    let mut lines = server.watch(&format!("{ALL}?watch=1&allowWatchBookmarks=true&resourceVersion={from}"), &[]).await;
    // So that something comes behind the last event that is looked for.
    server.post("/apis/wire.test/v1/namespaces/a/widgets", widget("last", json!({"color": "red"}))).await;
    loop {
        let event = lines.next().await.expect("the watch goes on");
        let object = &event["object"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if text(&object["metadata"]["resourceVersion"]).parse::<u64>().unwrap() > to {
            return state;
        }
        let key = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        match event["type"].as_str().unwrap() {
            "ADDED" | "MODIFIED" => _ = state.insert(key, object.clone()),
            "DELETED" => _ = state.remove(&key),
            other => panic!("{other}"),
        }
    }
}

async fn read(before: &[Touch], between: &[Vec<Touch>], wish: &Wish) -> Result<(), TestCaseError> {
    let server = Server::with_widgets().await;
    for other in &NAMESPACES[1..] {
        server.post("/api/v1/namespaces", namespace(other)).await.expect(201);
    }
    let begin = server.storage.revision().0;
    write(&server, before).await;

    let base = format!("{}?limit={}{}", wish.path(), wish.limit, wish.selectors());
    let mut writes = between.iter();
    let mut pages: Vec<Value> = Vec::new();
    let mut token = String::new();
    loop {
        let next = if pages.is_empty() { base.clone() } else { format!("{base}&continue={token}") };
        // What is written while a page is made and before the next is asked for.
        let (page, ()) = tokio::join!(server.get(&next), write(&server, writes.next().map_or(&[], Vec::as_slice)));
        let page = page.expect(200);
        token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        pages.push(page);
        if token.is_empty() {
            break;
        }
    }

    let revision = pages[0]["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let state = state_at(&server, begin, revision.parse().unwrap()).await;
    let expected: Vec<Value> = state.into_values().filter(|object| wish.selects(object)).collect();
    let exact = format!("{}?resourceVersion={revision}&resourceVersionMatch=Exact{}", wish.path(), wish.selectors());
    prop_assert_eq!(&server.get(&exact).await.expect(200)["items"], &json!(expected), "the state of the first page");

    let mut shown = Vec::new();
    for page in &pages {
        let items = page["items"].as_array().unwrap();
        shown.extend(items.iter().cloned());
        let metadata = &page["metadata"];
        prop_assert_eq!(&metadata["resourceVersion"], &json!(revision));
        let is_last = metadata["continue"] == "";
        prop_assert!(is_last || items.len() == wish.limit, "a page in the middle is full");
        let left = expected.len().checked_sub(shown.len()).expect("no page shows too much");
        // Told only where counting costs nothing, as upstream.
        let is_told = !is_last && wish.app.is_none() && wish.color.is_none();
        let told = if is_told { json!(left) } else { Value::Null };
        prop_assert_eq!(metadata.get("remainingItemCount").unwrap_or(&Value::Null), &told);
        prop_assert_eq!(is_last, left == 0);
    }
    prop_assert_eq!(shown, expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pages_put_together_are_one_state(
        before in prop::collection::vec(touch(), 0..24),
        between in prop::collection::vec(touches(), 0..8),
        wish in wish(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(read(&before, &between, &wish))?;
    }
}
