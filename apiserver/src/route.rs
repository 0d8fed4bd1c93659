//! Decides whether a path with a method leads anywhere, and what is said where it doesn't. Upstream has two ways to
//! find a handler, and they refuse in different words: a router for its own kinds, and one handler for all definitions'.
//!
//! In: the kinds and a resource path. Out: the kind, nothing (a plain 404), or a refusal. It never looks at an object.

use std::sync::Arc;

use http::{HeaderMap, Method};
use serde_json::Value;

use crate::catalog::Edition;
use crate::error::{ApiError, Reason};
use crate::lifecycle::rules;
use crate::negotiate;
use crate::registry::Kind;
use crate::request::Resource;
use crate::verbs::served::Served;

/// The kind that the path means. `None` for a path of no kind, where no kind of Kubernetes' own could be either.
pub(crate) fn find(
    edition: &Arc<Edition>,
    path: &Resource,
    verb: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Served>, ApiError> {
    let served = Served::find(edition, &path.group, &path.version, &path.plural);
    if edition.registry.is_built_in(&path.group) && served.as_ref().is_none_or(|served| served.kind.is_built_in()) {
        let served = served.ok_or_else(|| ApiError::generic(Reason::NotFound))?;
        check_built_in(&served, path, method, headers)?;
        return Ok(Some(served));
    }
    let Some(served) = served else { return Ok(None) };
    let is_placed = match (served.kind.namespaced, path.namespace.is_empty()) {
        (true, false) | (false, true) => true,
        // All namespaces at once: only to look.
        (true, true) => matches!(verb, "list" | "watch"),
        (false, false) => false,
    };
    if !is_placed {
        return Ok(None);
    }
    check_custom(&served, path, verb)?;
    Ok(Some(served))
}

/// Which methods a path of a built-in kind has; none where there is no such path.
fn methods(served: &Served, path: &Resource) -> Vec<&'static str> {
    let kind: &Kind = &served.kind;
    let has = |verb: &str| kind.verbs.contains(&verb);
    let only = |pairs: &[(&str, &'static str)]| {
        pairs.iter().filter(|(verb, _)| has(verb)).map(|(_, method)| *method).collect::<Vec<_>>()
    };
    if path.goes_on || (!kind.namespaced && !path.namespace.is_empty()) {
        return Vec::new();
    }
    let is_everywhere = kind.namespaced && path.namespace.is_empty();
    match (path.subresource.as_str(), path.name.is_empty()) {
        _ if path.is_watch_path && path.subresource.is_empty() => only(&[("watch", "GET")]),
        ("", true) if is_everywhere => only(&[("list", "GET")]),
        ("", true) => only(&[("list", "GET"), ("create", "POST"), ("deletecollection", "DELETE")]),
        _ if is_everywhere => Vec::new(),
        ("", false) => only(&[("get", "GET"), ("update", "PUT"), ("patch", "PATCH"), ("delete", "DELETE")]),
        ("status", _) if served.version().status => vec!["GET", "PUT", "PATCH"],
        ("scale", _) if served.version().scale.is_some() => vec!["GET", "PUT", "PATCH"],
        ("finalize", _) if rules::is_namespace(kind) => vec!["PUT"],
        ("token", _) if rules::has_tokens(kind) => vec!["POST"],
        ("versions", _) if kind.behaviour.keeps_versions => vec!["GET"],
        (connect, _) if kind.connects.iter().any(|known| known == connect) => vec!["GET", "POST"],
        _ => Vec::new(),
    }
}

fn check_built_in(served: &Served, path: &Resource, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let methods = methods(served, path);
    if methods.is_empty() {
        return Err(ApiError::generic(Reason::NotFound));
    }
    if !methods.contains(&method.as_str()) {
        return Err(ApiError::generic(Reason::MethodNotAllowed));
    }
    let is_connect = served.kind.connects.contains(&path.subresource);
    let is_list = path.name.is_empty() && method == Method::GET;
    if is_connect { Ok(()) } else { negotiate::check_route(method, headers, &served.kind, is_list) }
}

fn check_custom(served: &Served, path: &Resource, verb: &str) -> Result<(), ApiError> {
    let version = served.version();
    let allowed: &[&str] = match path.subresource.as_str() {
        "" => &served.kind.verbs,
        "status" if version.status => &["get", "update", "patch"],
        "scale" if version.scale.is_some() => &["get", "update", "patch"],
        "token" if rules::has_api_keys(&served.kind) => &["create"],
        "password" if rules::has_passwords(&served.kind) => &["create", "delete"],
        connect if served.kind.connects.iter().any(|known| known == connect) => return Ok(()),
        _ => return Err(served.not_found(&path.name)),
    };
    if !allowed.contains(&verb) {
        let resource = &served.kind.resource();
        let message = format!("{verb} is not supported on resources of kind {}", Value::from(resource.to_string()));
        let error = ApiError::new(Reason::MethodNotAllowed, message);
        return Err(error.about(&served.kind.group, &served.kind.plural, ""));
    }
    Ok(())
}
