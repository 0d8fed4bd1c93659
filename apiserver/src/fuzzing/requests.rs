//! Paths and queries.

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded::Serializer;

use crate::query::{DeleteOptions, ListOptions, Query, WriteKind, WriteOptions};
use crate::request::{Resource, Target};
use crate::router::Plan;

/// A path and a query, as a request line has them: what they mean is the same when it is written anew.
pub fn request(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        if let Some(plan) = Plan::of(&method, path, query) {
            let _refused = plan.timeout();
            plan.resource();
        }
    }
    if let Some(Target::Resource(resource)) = Target::parse(path) {
        let written = written(&resource);
        assert_eq!(Target::parse(&written), Some(Target::Resource(resource)), "{written}");
    }
    let given = Query::parse(query);
    let names: Vec<String> = given.names().map(str::to_owned).collect();
    let mut serializer = Serializer::new(String::new());
    let mut seen: Vec<&str> = Vec::new();
    for name in names.iter().map(String::as_str) {
        if !seen.contains(&name) {
            seen.push(name);
            serializer.extend_pairs(given.all(name).map(|value| (name, value)));
        }
    }
    let again = Query::parse(Some(&serializer.finish()));
    assert_eq!(meaning(&given), meaning(&again));
}

fn written(resource: &Resource) -> String {
    let Resource { group, version, namespace, plural, name, subresource, goes_on, is_watch_path } = resource;
    let mut parts = if group.is_empty() { vec!["api"] } else { vec!["apis", group.as_str()] };
    parts.push(version);
    if *is_watch_path {
        parts.push("watch");
    }
    if !namespace.is_empty() {
        parts.extend(["namespaces", namespace.as_str()]);
    }
    parts.extend([plural, name, subresource].map(String::as_str).into_iter().filter(|part| !part.is_empty()));
    if *goes_on {
        parts.push("more");
    }
    parts.iter().map(|part| format!("/{}", utf8_percent_encode(part, NON_ALPHANUMERIC))).collect()
}

/// All options that a query has, or what is said against them.
fn meaning(query: &Query) -> String {
    let writes = [WriteKind::Create, WriteKind::Update, WriteKind::Patch, WriteKind::Apply];
    let list = ListOptions::parse(query);
    let revision = list.as_ref().ok().map(ListOptions::list_revision);
    let writes = writes.map(|kind| WriteOptions::parse(query, kind));
    format!("{list:?} {revision:?} {:?} {writes:?}", DeleteOptions::parse(None, query))
}
