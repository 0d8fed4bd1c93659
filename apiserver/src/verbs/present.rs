//! Puts objects into the form that the client asked for: JSON, YAML, a Table, or metadata only.

use apiserver_store::Entry;
use http::StatusCode;
use serde_json::Value;

use super::Call;
use crate::error::{ApiError, Reason};
use crate::negotiate::{Encoding, Shape};
use crate::response::{Answer, encoded, json_bytes, of_type};
use crate::table::{IncludeObject, Printer, partial};

/// One object from the cache.
pub(crate) fn entry(call: &Call, code: StatusCode, entry: &Entry) -> Result<Answer, ApiError> {
    let is_plain = call.form.shape == Shape::Object && call.form.encoding == Encoding::Json;
    if is_plain { Ok(json_bytes(code, call.served.bytes(entry))) } else { value(call, code, call.served.value(entry)) }
}

/// One object that is not in the cache: the outcome of a dry run, or the last state of what is gone.
pub(crate) fn value(call: &Call, code: StatusCode, object: Value) -> Result<Answer, ApiError> {
    let shown = match call.form.shape {
        Shape::Object => object,
        Shape::PartialObject => partial(&object, call.form.version),
        Shape::PartialList => {
            let what = "you requested PartialObjectMetadataList, but the requested object is not a list";
            return Err(ApiError::new(Reason::NotAcceptable, format!("{what} ({})", call.served.go_type(""))));
        }
        Shape::Table => {
            let include = IncludeObject::parse(call.query.text("includeObject"))?;
            Printer::new(call.served.version(), call.form.version).single(
                &object,
                include,
                call.state.config.clock.now(),
            )
        }
    };
    document(call, code, &shown)
}

/// Any JSON document in the encoding that the client asked for.
pub(crate) fn document(call: &Call, code: StatusCode, document: &Value) -> Result<Answer, ApiError> {
    Ok(of_type(code, call.form.encoding.content_type(), encoded(call.form.encoding, document)))
}
