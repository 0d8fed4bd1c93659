//! How answers are put together: headers, warnings and errors. The bytes of objects come from elsewhere.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use crate::body::{ResponseBody, document, full};
use crate::error::{ApiError, Reason};
use crate::negotiate::Encoding;
use crate::yaml;

/// An answer on its way out.
pub(crate) type Answer = Response<ResponseBody>;

pub(crate) const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// An answer with a body of any type.
pub(crate) fn of_type(code: StatusCode, content_type: &'static str, body: ResponseBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    answer
}

/// A JSON document that is bytes already.
pub(crate) fn json_bytes(code: StatusCode, bytes: impl Into<Bytes>) -> Answer {
    of_type(code, JSON, document(bytes))
}

/// A JSON document.
pub(crate) fn json(code: StatusCode, value: &Value) -> Answer {
    of_type(code, JSON, encoded(Encoding::Json, value))
}

/// Plain text.
pub(crate) fn text(code: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = of_type(code, TEXT, full(text));
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// What a path gets that leads nowhere.
pub(crate) fn no_such_path() -> Answer {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// An error as the client gets it.
pub(crate) fn error(error: &ApiError, form: Encoding) -> Answer {
    let code = StatusCode::from_u16(error.reason.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let status = error.to_status();
    let mut answer = of_type(code, form.content_type(), encoded(form, &status));
    if let Some(seconds) = error.details.get("retryAfterSeconds").and_then(Value::as_u64) {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    warn(&mut answer, &error.warnings);
    answer
}

/// What the warnings of an answer may add up to, and one of them where there are more; upstream cuts them off here too.
const WARNINGS: usize = 4 << 10;
const WARNING: usize = 256;

/// Adds one `Warning` header for each sentence.
pub(crate) fn warn(answer: &mut Answer, sentences: &[String]) {
    let mut left = WARNINGS;
    let longest = if sentences.iter().map(String::len).sum::<usize>() > WARNINGS { WARNING } else { WARNINGS };
    for sentence in sentences {
        let sentence: String = sentence.chars().take(longest).collect();
        let Some(rest) = left.checked_sub(sentence.len()) else { return };
        left = rest;
        let escaped: String = sentence
            .chars()
            .flat_map(|letter| {
                let escape = matches!(letter, '"' | '\\').then_some('\\');
                escape.into_iter().chain((!letter.is_control()).then_some(letter))
            })
            .collect();
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{escaped}\"").as_bytes()) {
            answer.headers_mut().append(header::WARNING, value);
        }
    }
}

/// An error that asks the client to come back in a second.
pub(crate) fn retry_later(reason: Reason, message: &str) -> ApiError {
    let mut error = ApiError::new(reason, message);
    error.details.insert("retryAfterSeconds".into(), 1.into());
    error
}

/// A document in an encoding. JSON is one line, with its end, as upstream's is.
pub(crate) fn encoded(encoding: Encoding, value: &Value) -> ResponseBody {
    match encoding {
        Encoding::Json => document(to_bytes(value)),
        Encoding::Yaml => full(yaml::to_string(value)),
    }
}

/// Compact JSON.
pub(crate) fn to_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a JSON value has string keys and finite numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted() {
        let mut answer = no_such_path();
        warn(&mut answer, &["unknown field \"spec.bogus\"".into()]);
        assert_eq!(answer.headers()[header::WARNING], "299 - \"unknown field \\\"spec.bogus\\\"\"");
    }

    #[test]
    fn retry_after_is_a_header_too() {
        let busy = retry_later(Reason::TooManyRequests, "too many requests, please try again later.");
        let answer = error(&busy, Encoding::Json);
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
    }
}
