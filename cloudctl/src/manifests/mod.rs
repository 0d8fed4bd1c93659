//! Reads YAML into objects, and remembers from which file, document and line each came. Decides what counts as a manifest;
//! whether its fields make sense is the server's business. It never sends anything.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use crate::error::Exit;

mod intent;
mod order;
mod split;

pub(crate) use intent::{LAST_APPLIED, intent};
pub(crate) use order::{rank, sort};

/// The most that a server takes in one request.
const MOST_BYTES_A_DOCUMENT: usize = 3 * 1024 * 1024;
/// The most that is read from one file or from standard input.
const MOST_BYTES_A_FILE: u64 = 64 * 1024 * 1024;
/// The most events that aliases may repeat: far more than people do, and little enough to be refused in no time.
const MOST_REPEATED: usize = 50_000;
const MOST_NODES: usize = 500_000;
const MOST_DEPTH: usize = 64;
/// What standard input is called in messages.
const STDIN: &str = "standard input";
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Where an object was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The file, or `standard input`.
    pub(crate) file: String,
    /// Which document of the file, from 1.
    pub(crate) document: usize,
    /// The line of the file on which it begins.
    pub(crate) line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, document {} (line {})", self.file, self.document, self.line)
    }
}

/// One object as a user wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// Where.
    pub(crate) origin: Origin,
    /// Its `apiVersion`.
    pub(crate) api_version: String,
    /// Its `kind`.
    pub(crate) kind: String,
    /// Its `metadata.name`.
    pub(crate) name: String,
    /// Its `metadata.namespace`.
    pub(crate) namespace: Option<String>,
    /// All of it.
    pub(crate) object: Value,
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ManifestError {
    /// It cannot be read.
    #[error("{file} cannot be read: {source}")]
    Read {
        /// The file or folder.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A folder holds nothing to read.
    #[error("{folder} holds no .yaml, .yml or .json file{}", if *.deeper { "; -R reads the folders in it, too" } else { "" })]
    EmptyFolder {
        /// The folder.
        folder: String,
        /// Whether it holds folders that were not looked into.
        deeper: bool,
    },
    /// Nothing was found in all the files.
    #[error("{files} holds no object")]
    Nothing {
        /// What was read.
        files: String,
    },
    /// The file is larger than anything a person writes.
    #[error("{file} has more than {} MiB", MOST_BYTES_A_FILE >> 20)]
    FileTooLarge {
        /// The file.
        file: String,
    },
    /// A document is larger than the server takes.
    #[error("{origin}: the document has {mebibytes:.1} MiB; the server takes at most 3 MiB")]
    DocumentTooLarge {
        /// Which document.
        origin: Origin,
        /// Its size.
        mebibytes: f64,
    },
    /// It is not YAML.
    #[error("{}, document {}, line {line}, column {column}: {reason}", .origin.file, .origin.document)]
    Syntax {
        /// Which document.
        origin: Origin,
        /// The line of the file.
        line: usize,
        /// The column.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// It is YAML, but no object of the API.
    #[error("{origin}: {reason}")]
    NoObject {
        /// Which document.
        origin: Origin,
        /// What is missing.
        reason: String,
    },
    /// It looks like an address.
    #[error("`{address}` is an address; fetch it first: `curl -fsSL {address} | cloudctl apply -f -`")]
    Address {
        /// The address.
        address: String,
    },
}

impl ManifestError {
    /// With which code the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            Self::Address { .. } => Exit::Usage,
            _ => Exit::Failed,
        }
    }
}

/// Reads files, folders and standard input (`-`), in the order given; a folder in the order of its names.
pub(crate) fn read(paths: &[PathBuf], recursive: bool) -> Result<Vec<Manifest>, ManifestError> {
    let mut manifests = Vec::new();
    for path in paths {
        let text = path.to_string_lossy();
        if text.starts_with("http://") || text.starts_with("https://") {
            return Err(ManifestError::Address { address: text.into_owned() });
        }
        if text == "-" {
            let file = STDIN.to_owned();
            let content = bounded(io::stdin().lock(), &file)?;
            manifests.extend(parse(&file, &content)?);
            continue;
        }
        for file in files(path, recursive)? {
            let shown = file.display().to_string();
            let opened = fs::File::open(&file).map_err(|source| ManifestError::Read { file: shown.clone(), source })?;
            manifests.extend(parse(&shown, &bounded(opened, &shown)?)?);
        }
    }
    if manifests.is_empty() {
        let name = |path: &PathBuf| if path == Path::new("-") { STDIN.to_owned() } else { path.display().to_string() };
        let names: Vec<_> = paths.iter().map(name).collect();
        return Err(ManifestError::Nothing { files: names.join(", ") });
    }
    Ok(manifests)
}

/// The objects in a text of one or several documents.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let mut manifests = Vec::new();
    for document in split::documents(text) {
        let origin = Origin { file: file.to_owned(), document: document.number, line: document.line };
        if document.text.len() > MOST_BYTES_A_DOCUMENT {
            let mebibytes = document.text.len() as f64 / f64::from(1 << 20);
            return Err(ManifestError::DocumentTooLarge { origin, mebibytes });
        }
        let value = parsed(&document.text, &origin, document.offset)?;
        objects(value, &origin, &mut manifests)?;
    }
    Ok(manifests)
}

/// A text that is any one value; `name` is what it is called in messages.
pub(crate) fn value(name: &str, text: &str) -> Result<Value, ManifestError> {
    let origin = Origin { file: name.to_owned(), document: 1, line: 1 };
    parsed(text, &origin, 0)
}

/// A file, or with `-` standard input, that is any one value.
pub(crate) fn read_value(path: &str) -> Result<Value, ManifestError> {
    if path == "-" {
        return value(STDIN, &bounded(io::stdin().lock(), STDIN)?);
    }
    let opened = fs::File::open(path).map_err(|source| ManifestError::Read { file: path.to_owned(), source })?;
    value(path, &bounded(opened, path)?)
}

fn parsed(text: &str, origin: &Origin, offset: usize) -> Result<Value, ManifestError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MOST_NODES,
            max_events: 4 * MOST_NODES,
            max_depth: MOST_DEPTH,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: MOST_REPEATED,
            // One anchor used a hundred times is fine; the limits above and below are absolute.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_REPEATED },
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((origin.line, 1), |place| (offset + place.line() as usize, place.column() as usize));
        ManifestError::Syntax { origin: origin.clone(), line, column, reason: reason(&error.to_string()) }
    })
}

/// The parser's own words, without the place that it puts in front or behind.
fn reason(text: &str) -> String {
    if ["budget breached", "replay limit", "recursion limit"].iter().any(|limit| text.contains(limit)) {
        return "the document nests too deeply, or its aliases repeat too much".to_owned();
    }
    let first = text.lines().next().unwrap_or(text).trim();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let without_front = match first.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest,
        _ => first,
    };
    let without_back = without_front.rfind(" at line ").map_or(without_front, |at| &without_front[..at]);
    // Advice for those who call the parser, not for those who write YAML.
    let without_advice = without_back.find(", set ").map_or(without_back, |at| &without_back[..at]);
    without_advice.to_owned()
}

fn objects(value: Value, origin: &Origin, manifests: &mut Vec<Manifest>) -> Result<(), ManifestError> {
    let missing = |reason: &str| ManifestError::NoObject { origin: origin.clone(), reason: reason.to_owned() };
    if value.is_null() {
        return Ok(());
    }
    if !value.is_object() {
        return Err(missing("this is not an object; it needs apiVersion, kind and metadata"));
    }
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let api_version = text(&value["apiVersion"]).ok_or_else(|| missing("`apiVersion` is missing"))?;
    let kind = text(&value["kind"]).ok_or_else(|| missing("`kind` is missing"))?;
    if kind == "List" && value["items"].is_array() {
        let mut value = value;
        for item in value["items"].as_array_mut().into_iter().flatten() {
            objects(item.take(), origin, manifests)?;
        }
        return Ok(());
    }
    let metadata = &value["metadata"];
    let Some(name) = text(&metadata["name"]) else {
        let hint = if metadata["generateName"].is_string() {
            "`metadata.name` is missing; with generateName there would be a new object each time"
        } else if metadata["name"].is_null() {
            "`metadata.name` is missing"
        } else {
            "`metadata.name` must be a string; put it in quotes"
        };
        return Err(missing(&format!("{kind}: {hint}")));
    };
    if !metadata["namespace"].is_null() && !metadata["namespace"].is_string() {
        return Err(missing(&format!("{kind} `{name}`: `metadata.namespace` must be a string; put it in quotes")));
    }
    let namespace = text(&metadata["namespace"]);
    manifests.push(Manifest { origin: origin.clone(), api_version, kind, name, namespace, object: value });
    Ok(())
}

fn bounded(reader: impl io::Read, file: &str) -> Result<String, ManifestError> {
    let mut bytes = Vec::new();
    reader
        .take(MOST_BYTES_A_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| ManifestError::Read { file: file.to_owned(), source })?;
    if bytes.len() as u64 > MOST_BYTES_A_FILE {
        return Err(ManifestError::FileTooLarge { file: file.to_owned() });
    }
    String::from_utf8(bytes).map_err(|error| {
        let source = io::Error::new(io::ErrorKind::InvalidData, error.utf8_error());
        ManifestError::Read { file: file.to_owned(), source }
    })
}

/// The files that a path stands for.
fn files(path: &Path, recursive: bool) -> Result<Vec<PathBuf>, ManifestError> {
    let failed = |source| ManifestError::Read { file: path.display().to_string(), source };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found = Vec::new();
    let mut deeper = false;
    walk(path, recursive, &mut found, &mut deeper)?;
    if found.is_empty() {
        return Err(ManifestError::EmptyFolder { folder: path.display().to_string(), deeper });
    }
    Ok(found)
}

fn walk(folder: &Path, recursive: bool, found: &mut Vec<PathBuf>, deeper: &mut bool) -> Result<(), ManifestError> {
    let failed = |source| ManifestError::Read { file: folder.display().to_string(), source };
    let mut entries: Vec<_> = fs::read_dir(folder).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // A link to a folder is not followed: it could lead back here.
        if entry.file_type().map_err(failed)?.is_dir() {
            if recursive {
                walk(&path, recursive, found, deeper)?;
            } else {
                *deeper = true;
            }
        } else if path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known)) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
