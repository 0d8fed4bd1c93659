//! The format of a backup: lines of JSON. The first says what it is, then comes one line an object, and the last has
//! the number of objects and the SHA-256 of everything before it, so that one that was cut off is never taken for whole.
//!
//! An object whose resource is kept sealed is sealed here too, with the same key, unless the backup is plain.

use apiserver_store::{Content, Incoming, Key, ResourceId, Revision};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// What the first line says that this is.
pub(super) const FORMAT: &str = "thecloud.dev/backup";
/// The version that is written, and the newest that is read.
pub(super) const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) version: u32,
    /// Whose content it is.
    pub(super) installation: Uuid,
    /// The history that it was taken from.
    pub(super) epoch: Uuid,
    /// The revision at which this was everything.
    pub(super) revision: u64,
    /// When it was taken, RFC 3339.
    pub(super) taken: String,
    /// The version of the program that took it.
    pub(super) product: String,
    /// The name of the key that Secrets are sealed with; absent where they are in the clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sealed_with: Option<String>,
}

/// An object's line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    /// `plural.group`, or the plural alone.
    resource: String,
    /// The object as it is served; its metadata say the rest.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    object: Option<&'a RawValue>,
    /// The object sealed, in base64, and what its metadata would say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sealed {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    namespace: String,
    name: String,
    uid: Uuid,
    resource_version: String,
    body: String,
}

/// What is read of an object's own metadata.
#[derive(Debug, Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    namespace: String,
    name: String,
    uid: Uuid,
    resource_version: String,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trailer {
    pub(super) end: End,
}

/// What the last line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) objects: usize,
    pub(super) sha256: String,
}

/// How a last line begins.
const END: &[u8] = b"{\"end\":";

/// Reads the first line. The error is for whoever sent it.
pub(super) fn read_header(line: &[u8]) -> Result<Header, String> {
    #[derive(Deserialize)]
    struct Kind {
        format: String,
        version: u32,
    }
    let kind: Kind = serde_json::from_slice(line).map_err(|_| "this is no backup of The Cloud".to_owned())?;
    if kind.format != FORMAT {
        return Err("this is no backup of The Cloud".to_owned());
    }
    if kind.version > VERSION {
        return Err(format!(
            "the backup has format version {} and this server reads up to {VERSION}: restore it into a newer one",
            kind.version
        ));
    }
    serde_json::from_slice(line).map_err(|error| format!("the first line is malformed: {error}"))
}

/// The last line, if this is one.
pub(super) fn read_trailer(line: &[u8]) -> Option<Result<End, String>> {
    line.starts_with(END).then(|| {
        let trailer: Result<Trailer, _> = serde_json::from_slice(line);
        trailer.map(|trailer| trailer.end).map_err(|error| format!("the last line is malformed: {error}"))
    })
}

/// Writes an object's line, with its end.
pub(super) fn write_object(key: &Key, uid: Uuid, revision: Revision, content: &Content) -> Vec<u8> {
    let resource = key.resource.to_string();
    let mut line = match content {
        // The body is JSON already; what stands before it needs no library.
        Content::Plain(body) => {
            let name = serde_json::to_vec(&resource).expect("a string can be written");
            [&b"{\"resource\":"[..], &name, b",\"object\":", body, b"}"].concat()
        }
        Content::Sealed(body) => {
            let sealed = Sealed {
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                uid,
                resource_version: revision.to_string(),
                body: STANDARD.encode(body),
            };
            let line = Line { resource, object: None, sealed: Some(sealed) };
            serde_json::to_vec(&line).expect("strings can be written")
        }
    };
    line.push(b'\n');
    line
}

/// Reads an object's line.
pub(super) fn read_object(line: &[u8]) -> Result<Incoming, String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let (plural, group) = line.resource.split_once('.').unwrap_or((&line.resource, ""));
    let resource = ResourceId::new(group, plural);
    let revision = |text: &str| match text.parse() {
        Ok(revision) if revision > 0 => Ok(Revision(revision)),
        _ => Err(format!("`{text}` is no revision")),
    };
    match (line.object, line.sealed) {
        (Some(object), None) => {
            let Named { metadata } = serde_json::from_str(object.get()).map_err(|error| error.to_string())?;
            Ok(Incoming {
                key: Key::new(resource, metadata.namespace, metadata.name),
                uid: metadata.uid,
                revision: revision(&metadata.resource_version)?,
                content: Content::Plain(object.get().to_owned().into()),
            })
        }
        (None, Some(sealed)) => Ok(Incoming {
            key: Key::new(resource, sealed.namespace, sealed.name),
            uid: sealed.uid,
            revision: revision(&sealed.resource_version)?,
            content: Content::Sealed(STANDARD.decode(sealed.body).map_err(|_| "the sealed body is no base64")?),
        }),
        _ => Err("it has neither an object nor a sealed one".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_comes_back_as_it_went() {
        let uid = Uuid::from_u128(7);
        let key = Key::new(ResourceId::new("example.dev", "things"), "a", "x");
        let body = format!(r#"{{"metadata":{{"name":"x","namespace":"a","resourceVersion":"9","uid":"{uid}"}}}}"#);
        for content in [Content::Plain(body.into()), Content::Sealed(b"SEAL...".to_vec())] {
            let line = write_object(&key, uid, Revision(9), &content);
            let expected = Incoming { key: key.clone(), uid, revision: Revision(9), content };
            assert_eq!(read_object(&line), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_object_says_why() {
        for (line, why) in [
            ("{}", "resource"),
            (r#"{"resource":"things"}"#, "neither"),
            (r#"{"resource":"things","object":{"metadata":{"name":"x"}}}"#, "uid"),
            (
                r#"{"resource":"things","object":{"metadata":{"name":"x","uid":"00000000-0000-0000-0000-000000000007","resourceVersion":"0"}}}"#,
                "no revision",
            ),
        ] {
            let error = read_object(line.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn other_files_and_newer_formats_are_told_apart() {
        assert!(read_header(b"kind: Pod").unwrap_err().contains("no backup"));
        assert!(read_header(br#"{"format":"other","version":1}"#).unwrap_err().contains("no backup"));
        let newer = read_header(br#"{"format":"thecloud.dev/backup","version":2}"#).unwrap_err();
        assert!(newer.contains("version 2") && newer.contains("up to 1"), "{newer}");
    }
}
