//! Decides what upstream's router refuses of a request for a built-in kind, before any handler sees it. The kinds of
//! definitions pass by that router, and their handlers word the same refusals otherwise.

use http::{HeaderMap, Method, header};

use super::media;
use crate::error::{ApiError, Reason};
use crate::patch::PatchType;
use crate::registry::Kind;

const PRODUCED: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const STREAMED: [&str; 2] = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];

/// Refuses a patch in a language that nobody reads, and a client that accepts nothing that can be made.
///
/// # Errors
/// 415 and 406.
pub fn check_route(method: &Method, headers: &HeaderMap, kind: &Kind, is_list: bool) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let length = text(header::CONTENT_LENGTH);
    let has_body = !matches!(length, "" | "0") || headers.contains_key(header::TRANSFER_ENCODING);
    let names = |list: &str| list.split(',').map(|part| media::bare(part).to_owned()).collect::<Vec<_>>();

    let mut available: Vec<&str> = PRODUCED.to_vec();
    if method == Method::PATCH {
        let given = names(text(header::CONTENT_TYPE));
        let is_known = PatchType::of(kind).iter().any(|patch| given.iter().any(|given| given == patch.media_type()));
        if !is_known && has_body {
            return Err(unreadable("415: Unsupported Media Type".to_owned()));
        }
        if !is_known {
            available.clear();
        }
    }
    if is_list && method == Method::GET {
        available.extend(STREAMED);
    }
    let accepted = text(header::ACCEPT);
    let accepted = if accepted.is_empty() { "*/*" } else { accepted };
    let fits = |name: &String| name == "*/*" || PRODUCED.contains(&name.as_str());
    if !available.is_empty() && names(accepted).iter().any(fits) {
        return Ok(());
    }
    let listed = format!("Available representations: {}", available.join(", "));
    if matches!(*method, Method::POST | Method::PUT | Method::PATCH) && !has_body {
        return Err(unreadable(format!("415: Unsupported Media Type\n\n{listed}")));
    }
    let message = format!("406: Not Acceptable\n\n{listed}");
    Err(ApiError { message, ..ApiError::generic(Reason::NotAcceptable) })
}

fn unreadable(message: String) -> ApiError {
    ApiError { message, ..ApiError::generic(Reason::UnsupportedMediaType) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::registry::builtin;

    fn check(method: Method, headers: &[(&'static str, &'static str)]) -> Result<(), ApiError> {
        let kinds = builtin::kinds();
        let secrets = kinds.iter().find(|kind| kind.plural == "secrets").unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)));
        check_route(&method, &headers.collect(), secrets, true)
    }

    #[test]
    fn what_can_be_made_is_accepted_whatever_stands_beside_it() {
        for accept in ["*/*", "text/html, application/json;q=0.1", "application/yaml", "application/json;as=Table"] {
            assert!(check(Method::GET, &[("accept", accept)]).is_ok(), "{accept}");
        }
        let error = check(Method::GET, &[("accept", "application/*")]).unwrap_err();
        assert!(error.message.starts_with("406: Not Acceptable\n\nAvailable representations: application/json, "));
        assert!(error.message.ends_with("application/vnd.kubernetes.protobuf;stream=watch"));
    }

    #[test]
    fn patches_are_of_a_known_type() {
        let patch =
            |content_type, length| check(Method::PATCH, &[("content-type", content_type), ("content-length", length)]);
        assert!(patch("application/merge-patch+json; charset=utf-8", "2").is_ok());
        assert_eq!(patch("application/json", "2").unwrap_err().message, "415: Unsupported Media Type");
        assert!(patch("application/json", "0").unwrap_err().message.starts_with("415: Unsupported Media Type\n\n"));
    }
}
