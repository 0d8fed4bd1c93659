//! Decides how every failure reads on the wire: the only place where an error becomes a Kubernetes `Status`.
//!
//! In: what went wrong, in the words of the step that noticed. Out: a `Status` object and its HTTP code.
//! It never decides whether something is wrong.

use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Value, json};

/// The machine-readable reason of a `Status`, as clients switch on it (`metav1.StatusReason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// 400: the request can't be understood.
    BadRequest,
    /// 401: nobody we know.
    Unauthorized,
    /// 403: known, but not allowed; also writes that a lifecycle rule refuses.
    Forbidden,
    /// 404: no such object.
    NotFound,
    /// 405: the resource does not serve this verb.
    MethodNotAllowed,
    /// 406: none of the accepted media types can be made.
    NotAcceptable,
    /// 409: create of something that exists.
    AlreadyExists,
    /// 409: a precondition (revision, uid, field ownership) does not hold.
    Conflict,
    /// 410: a revision too old to be served (list, watch, continue).
    Expired,
    /// 413: the body is larger than the server takes.
    RequestEntityTooLarge,
    /// 415: the body's media type is not understood.
    UnsupportedMediaType,
    /// 422: understood, but the object is not valid.
    Invalid,
    /// 429: too many requests at once; `Retry-After` says when to come back.
    TooManyRequests,
    /// 500: our fault.
    InternalError,
    /// 503: a part that we need is away; try again.
    ServiceUnavailable,
    /// 504: not done in time.
    Timeout,
    /// 507: there is no room for what is written. No word of upstream's: its clients try a 503 again for minutes, and say
    /// nothing until then.
    InsufficientStorage,
    /// 500, and no word for it: upstream gives none either.
    Unknown,
}

impl Reason {
    /// The HTTP status code that goes with the reason.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError | Self::Unknown => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
            Self::InsufficientStorage => 507,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Which kind of mistake a field has, as `metav1.CauseType` spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldErrorKind {
    /// A required value is missing.
    Required,
    /// The value is malformed or out of range.
    Invalid,
    /// The value is of the wrong JSON type.
    TypeInvalid,
    /// The value is not one of a closed set.
    NotSupported,
    /// The value is there twice where it must be unique.
    Duplicate,
    /// The value may not be set (here, now, or together with another).
    Forbidden,
    /// The string or list is too long.
    TooLong,
    /// The list or map has too many entries.
    TooMany,
    /// What a field names does not exist.
    NotFound,
    /// Something of ours went wrong while checking.
    Internal,
}

impl FieldErrorKind {
    /// The cause's `reason` on the wire.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::NotFound => "FieldValueNotFound",
            Self::Internal => "InternalError",
        }
    }
}

/// One thing wrong with one field. `message` is what stands behind `field: ` in Kubernetes' own wording, for example
/// `Invalid value: "x": must be a DNS label` or `Required value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The path, as `spec.ports[0].port`; `<nil>` where upstream has no path.
    pub field: String,
    /// Which kind of mistake.
    pub kind: FieldErrorKind,
    /// The rest of the sentence, starting with the kind in words.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// A failure on its way to the client.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// For machines.
    pub reason: Reason,
    /// For people: a sentence that names the thing, the cause and the way out.
    pub message: String,
    /// The `details` object, as it goes out (name, group, kind, uid, causes, retryAfterSeconds).
    pub details: Map<String, Value>,
    /// Whether `details` goes out even where it is empty: some of upstream's refusals carry such a one.
    pub shows_details: bool,
    /// What the client is told beside it.
    pub warnings: Vec<String>,
    /// Set for a list page whose snapshot is gone: the token to go on with, inconsistently.
    pub continue_token: Option<String>,
}

impl ApiError {
    /// An error with a reason and a sentence, without details.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            details: Map::new(),
            shows_details: false,
            warnings: Vec::new(),
            continue_token: None,
        }
    }

    /// 400 with a sentence.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// 500 with what failed. The cause is logged by the caller, never sent.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Reason::InternalError, format!("Internal error occurred: {}", message.into()))
    }

    /// A refusal in the words that upstream has for a reason where nothing more is known, if it has any.
    #[must_use]
    pub fn generic(reason: Reason) -> Self {
        let message = match reason {
            Reason::NotFound => "the server could not find the requested resource",
            Reason::MethodNotAllowed => "the server does not allow this method on the requested resource",
            Reason::Invalid => "the server rejected our request due to an error in our request",
            _ => "",
        };
        Self { shows_details: true, ..Self::new(reason, message) }
    }

    /// 404 for an object that does not exist.
    #[must_use]
    pub fn not_found(group: &str, plural: &str, name: &str) -> Self {
        Self::new(Reason::NotFound, format!("{} \"{name}\" not found", qualified(group, plural)))
            .about(group, plural, name)
    }

    /// 409 for the creation of an object that exists.
    #[must_use]
    pub fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        Self::new(Reason::AlreadyExists, format!("{} \"{name}\" already exists", qualified(group, plural)))
            .about(group, plural, name)
    }

    /// 409 for a precondition that does not hold.
    #[must_use]
    pub fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified(group, plural));
        Self::new(Reason::Conflict, message).about(group, plural, name)
    }

    /// 409 for a write based on an old revision.
    #[must_use]
    pub fn modified(group: &str, plural: &str, name: &str) -> Self {
        Self::conflict(
            group,
            plural,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 403 for something that a rule of the object's life cycle refuses.
    #[must_use]
    pub fn forbidden(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", qualified(group, plural))
        } else {
            format!("{} \"{name}\" is forbidden: {why}", qualified(group, plural))
        };
        Self::new(Reason::Forbidden, message).about(group, plural, name)
    }

    /// 422 with one cause a field. `kind` is the Kind (not the plural), as upstream has it.
    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        // What is found twice is a cause twice, but is said once.
        let mut said: Vec<String> = Vec::new();
        let mut known = HashSet::new();
        for error in errors.iter().map(ToString::to_string) {
            if known.insert(error.clone()) {
                said.push(error);
            }
        }
        let listed = match said.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = qualified(group, kind);
        let mut error =
            Self::new(Reason::Invalid, format!("{qualified} \"{name}\" is invalid: {listed}")).about(group, kind, name);
        let causes =
            errors.iter().map(|e| json!({"reason": e.kind.reason(), "message": e.message, "field": e.field})).collect();
        error.details.insert("causes".into(), Value::Array(causes));
        error
    }

    /// Names what the error is about. `kind` is the plural, or the Kind for [`Reason::Invalid`].
    #[must_use]
    pub fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        for (field, value) in [("group", group), ("kind", kind), ("name", name)] {
            if !value.is_empty() {
                self.details.insert(field.into(), value.into());
            }
        }
        self
    }

    /// The `Status` object as the client gets it.
    #[must_use]
    pub fn to_status(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".into(), token.clone().into());
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
            "code": self.reason.code(),
        });
        if self.reason != Reason::Unknown {
            status["reason"] = self.reason.to_string().into();
        }
        if self.shows_details || !self.details.is_empty() {
            status["details"] = Value::Object(self.details.clone());
        }
        status
    }
}

/// `plural.group`, or the bare plural in the core group.
fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_found_reads_as_kubernetes_words_it() {
        let status = ApiError::not_found("thecloud.dev", "instances", "web").to_status();
        assert_eq!(status["message"], "instances.thecloud.dev \"web\" not found");
        assert_eq!(status["reason"], "NotFound");
        assert_eq!(status["code"], 404);
        assert_eq!(status["details"], json!({"group": "thecloud.dev", "kind": "instances", "name": "web"}));
    }

    #[test]
    fn several_field_errors_are_listed_in_brackets_with_a_cause_each() {
        let errors = [
            FieldError { field: "spec.a".into(), kind: FieldErrorKind::Required, message: "Required value".into() },
            FieldError {
                field: "spec.b".into(),
                kind: FieldErrorKind::Invalid,
                message: "Invalid value: 1: too small".into(),
            },
        ];
        let status = ApiError::invalid("g", "Widget", "w", &errors).to_status();
        assert_eq!(
            status["message"],
            "Widget.g \"w\" is invalid: [spec.a: Required value, spec.b: Invalid value: 1: too small]"
        );
        assert_eq!(status["details"]["causes"][1]["reason"], "FieldValueInvalid");
    }
}
