//! `/api`, `/apis` and below: which groups, versions and resources there are.

use http::header::{self, HeaderMap};
use http::{HeaderValue, Response, StatusCode};

use super::{has_tag, set, text};
use crate::body::{self, full};
use crate::catalog::Edition;
use crate::discovery::{self as documents, AGGREGATED_TYPE};
use crate::error::{ApiError, Reason};
use crate::negotiate::{DiscoveryForm, accept_discovery};
use crate::request::Target;
use crate::response::{Answer, json, no_such_path, of_type};

/// Answers a discovery path.
pub(super) fn answer(edition: &Edition, target: &Target, headers: &HeaderMap) -> Result<Answer, ApiError> {
    let form = accept_discovery(text(headers, &header::ACCEPT));
    let registry = &edition.registry;
    let found = match target {
        Target::CoreVersions if form.clone()? == DiscoveryForm::Aggregated => {
            return Ok(aggregated(edition.documents().api(), headers));
        }
        Target::Groups if form.clone()? == DiscoveryForm::Aggregated => {
            return Ok(aggregated(edition.documents().apis(), headers));
        }
        Target::CoreVersions => Some(documents::api_versions(text(headers, &header::HOST).unwrap_or("localhost"))),
        Target::Groups => Some(documents::group_list(registry)),
        Target::Group(group) => documents::group(registry, group),
        Target::GroupVersion { group, version } => documents::resource_list(registry, group, version),
        Target::Resource(_) | Target::Path(_) => None,
    };
    let is_built_in = match target {
        Target::Group(group) | Target::GroupVersion { group, .. } => registry.is_built_in(group),
        _ => false,
    };
    if found.is_none() && is_built_in {
        return Err(ApiError::generic(Reason::NotFound));
    }
    let mut answer = found.map_or_else(no_such_path, |found| json(StatusCode::OK, &found));
    if matches!(target, Target::CoreVersions | Target::Groups) {
        answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    }
    Ok(answer)
}

/// Clients tell this form from the other by its type, and revalidate it all the time.
fn aggregated(document: &documents::Document, headers: &HeaderMap) -> Answer {
    let mut answer = if has_tag(headers, &document.etag) {
        let mut unchanged = Response::new(full(""));
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        of_type(StatusCode::OK, AGGREGATED_TYPE, body::document(document.body.clone()))
    };
    set(&mut answer, header::ETAG, &document.etag);
    set(&mut answer, header::CACHE_CONTROL, "public");
    set(&mut answer, header::VARY, "Accept");
    answer
}
