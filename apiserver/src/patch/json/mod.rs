//! JSON patch, RFC 6902, with the departures of kube-apiserver that clients rely on: `test` against null passes where
//! nothing is, `replace` sets a missing key, negative indices count from the end.

use serde_json::Value;

use crate::error::{ApiError, Reason};
use crate::schema::{decode, words};

/// More operations than this are refused.
const MAX_OPERATIONS: usize = 10_000;
/// `copy` operations may not add up to more bytes than this: a short patch could otherwise fill the memory.
const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;
/// `move` operations that lead deeper may not add up to more bytes than this.
const MAX_MOVED_BYTES: usize = 64 * 1024 * 1024;
/// No value may lie deeper than this: what walks over objects recurses. It is also the JSON reader's limit.
const MAX_DEPTH: usize = 127;

/// One operation of a patch.
#[derive(Debug, Clone)]
pub struct Operation {
    op: String,
    path: String,
    from: Option<String>,
    value: Value,
}

/// A patch as it was read.
#[derive(Debug)]
pub struct Read {
    /// What it does.
    pub operations: Vec<Operation>,
    /// What a strict reader says of it.
    pub warnings: Vec<String>,
}

/// Reads a patch.
///
/// # Errors
/// 400 where it can't be read, 413 for too many operations.
pub fn read(patch: &[u8]) -> Result<Read, ApiError> {
    let undecodable = |why: &str| ApiError::bad_request(format!("error decoding patch: {why}"));
    let decoded = decode::any_json(patch).map_err(|error| match error.reason {
        Reason::BadRequest => undecodable(&error.message),
        _ => error,
    })?;
    let Value::Array(list) = decoded.value else {
        let kind = words::go_kind(&decoded.value);
        return Err(undecodable(&format!(
            "json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
        )));
    };
    if list.len() > MAX_OPERATIONS {
        let message = format!(
            "Request entity is too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            list.len()
        );
        return Err(ApiError::new(Reason::RequestEntityTooLarge, message));
    }
    let mut warnings: Vec<String> =
        decoded.duplicates.iter().map(|path| format!("json patch duplicate field \"{path}\"")).collect();
    let mut operations = Vec::with_capacity(list.len());
    for (index, item) in list.into_iter().enumerate() {
        let Value::Object(mut fields) = item else {
            let kind = words::go_kind(&item);
            let why = format!("json: cannot unmarshal {kind} into Go value of type handlers.jsonPatchOp");
            return Err(undecodable(&why));
        };
        let mut text = |name: &str| match fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(undecodable(&words::go_mismatch(&other, "jsonPatchOp", name, "string"))),
        };
        let (op, path, from) = (text("op")?, text("path")?, text("from")?);
        let value = fields.remove("value").unwrap_or_default();
        warnings.extend(fields.keys().map(|name| format!("json patch unknown field \"[{index}].{name}\"")));
        operations.push(Operation { op: op.unwrap_or_default(), path: path.unwrap_or_default(), from, value });
    }
    Ok(Read { operations, warnings })
}

/// Applies a patch, or nothing of it.
///
/// # Errors
/// 422 where an operation fails.
pub fn apply(current: &Value, operations: &[Operation]) -> Result<Value, ApiError> {
    let mut document = current.clone();
    let mut spent = Spent::default();
    for (index, operation) in operations.iter().enumerate() {
        step(&mut document, operation, &mut spent).map_err(|why| failed(index, operation, &why))?;
    }
    Ok(document)
}

/// What the operations so far have cost.
#[derive(Default)]
struct Spent {
    copied: usize,
    moved: usize,
}

/// Upstream tells nobody what was wrong; whoever runs the server finds it in the log.
fn failed(index: usize, operation: &Operation, why: &str) -> ApiError {
    tracing::debug!(operation.index = index, operation.path, why, "a JSON patch does not apply");
    ApiError::generic(Reason::Invalid)
}

fn step(document: &mut Value, operation: &Operation, spent: &mut Spent) -> Result<(), String> {
    if operation.path.is_empty() && operation.op == "replace" {
        *document = operation.value.clone();
        return Ok(());
    }
    let path = pointer(&operation.path)?;
    match operation.op.as_str() {
        "add" | "replace" => {
            check_depth(&path, measure(&operation.value).depth)?;
            let put = if operation.op == "add" { add } else { replace };
            put(document, &path, operation.value.clone())
        }
        "remove" => remove(document, &path).map(drop),
        "test" => test(document, &path, &operation.value),
        "move" => {
            let from = pointer(operation.from.as_deref().ok_or("`from` is missing")?)?;
            let value = remove(document, &from)?;
            if path.len() > from.len() {
                let size = measure(&value);
                charge(&mut spent.moved, size.bytes, MAX_MOVED_BYTES)?;
                check_depth(&path, size.depth)?;
            }
            add(document, &path, value)
        }
        "copy" => {
            let from = pointer(operation.from.as_deref().ok_or("`from` is missing")?)?;
            let value = find(document, &from)?.unwrap_or(&Value::Null);
            let size = measure(value);
            charge(&mut spent.copied, size.bytes, MAX_COPIED_BYTES)?;
            check_depth(&path, size.depth)?;
            let value = value.clone();
            add(document, &path, value)
        }
        other => Err(format!("unknown operation \"{other}\"")),
    }
}

fn charge(spent: &mut usize, bytes: usize, limit: usize) -> Result<(), String> {
    *spent += bytes;
    if *spent > limit { Err(format!("such operations add up to more than {limit} bytes")) } else { Ok(()) }
}

fn check_depth(path: &[String], depth: usize) -> Result<(), String> {
    if path.len() + depth > MAX_DEPTH {
        Err(format!("the document would nest deeper than {MAX_DEPTH}"))
    } else {
        Ok(())
    }
}

struct Size {
    /// How many containers lie inside each other.
    depth: usize,
    /// About as many bytes as the text has.
    bytes: usize,
}

fn measure(value: &Value) -> Size {
    let inside = |sizes: &mut dyn Iterator<Item = Size>| {
        sizes.fold(Size { depth: 1, bytes: 2 }, |sum, size| Size {
            depth: sum.depth.max(size.depth + 1),
            bytes: sum.bytes + size.bytes + 1,
        })
    };
    match value {
        Value::Array(items) => inside(&mut items.iter().map(measure)),
        Value::Object(fields) => inside(&mut fields.iter().map(|(key, value)| {
            let size = measure(value);
            Size { bytes: size.bytes + key.len() + 3, ..size }
        })),
        Value::String(text) => Size { depth: 0, bytes: text.len() + 2 },
        _ => Size { depth: 0, bytes: 8 },
    }
}

/// The path's keys. The whole document (an empty path) can be replaced, but nothing else.
fn pointer(path: &str) -> Result<Vec<String>, String> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err("the path does not start with \"/\"".to_owned());
    };
    Ok(rest.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect())
}

/// The container of the path's last key.
fn container<'a>(document: &'a mut Value, keys: &[String]) -> Result<&'a mut Value, String> {
    let mut at = document;
    for key in keys {
        at = match at {
            Value::Object(fields) => fields.get_mut(key).filter(|value| !value.is_null()),
            Value::Array(items) => match existing(key, items.len()) {
                Ok(index) => items.get_mut(index),
                Err(_) => None,
            },
            _ => None,
        }
        .ok_or_else(|| format!("the document has nothing at \"{key}\""))?;
    }
    Ok(at)
}

fn parent_and_key<'a, 'k>(document: &'a mut Value, path: &'k [String]) -> Result<(&'a mut Value, &'k str), String> {
    let (key, parents) = path.split_last().ok_or("the path is empty")?;
    Ok((container(document, parents)?, key))
}

/// The value at the path; `None` where its parent is an object without the key.
fn find<'a>(document: &'a mut Value, path: &[String]) -> Result<Option<&'a Value>, String> {
    let (parent, key) = parent_and_key(document, path)?;
    match parent {
        Value::Object(fields) => Ok(fields.get(key)),
        Value::Array(items) => {
            let index = existing(key, items.len())?;
            Ok(items.get(index))
        }
        _ => Err(not_a_container()),
    }
}

fn add(document: &mut Value, path: &[String], value: Value) -> Result<(), String> {
    let (parent, key) = parent_and_key(document, path)?;
    match parent {
        Value::Object(fields) => {
            fields.insert(key.to_owned(), value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index = existing(key, items.len() + 1)?;
            items.insert(index, value);
        }
        _ => return Err(not_a_container()),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &[String]) -> Result<Value, String> {
    let (parent, key) = parent_and_key(document, path)?;
    match parent {
        Value::Object(fields) => fields.remove(key).ok_or_else(|| format!("the key \"{key}\" does not exist")),
        Value::Array(items) => {
            let index = existing(key, items.len())?;
            Ok(items.remove(index))
        }
        _ => Err(not_a_container()),
    }
}

fn replace(document: &mut Value, path: &[String], value: Value) -> Result<(), String> {
    let (parent, key) = parent_and_key(document, path)?;
    match parent {
        Value::Object(fields) => {
            fields.insert(key.to_owned(), value);
        }
        Value::Array(items) => {
            let index = existing(key, items.len())?;
            items[index] = value;
        }
        _ => return Err(not_a_container()),
    }
    Ok(())
}

fn test(document: &mut Value, path: &[String], expected: &Value) -> Result<(), String> {
    let found = find(document, path)?.unwrap_or(&Value::Null);
    if equal(found, expected) { Ok(()) } else { Err("the value is another".to_owned()) }
}

/// Equality of JSON values; `1` and `1.0` are one number.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => left == right,
    }
}

/// An index below `len`; negative ones count from the end.
fn existing(key: &str, len: usize) -> Result<usize, String> {
    let index: i64 = key.parse().map_err(|_| format!("\"{key}\" is not an index"))?;
    let index = if index < 0 { index + i64::try_from(len).unwrap_or(i64::MAX) } else { index };
    usize::try_from(index).ok().filter(|index| *index < len).ok_or_else(|| format!("the index {key} is out of bounds"))
}

fn not_a_container() -> String {
    "the parent is neither an object nor a list".to_owned()
}

#[cfg(test)]
mod tests;
