//! Chooses the answer's form from `Accept`. An absent header and `*/*` mean JSON; protobuf is never made, except for
//! the OpenAPI v2 document.

use crate::error::{ApiError, Reason};

use super::media::{Media, parse_list};

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
}

impl Encoding {
    /// The answer's `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

/// What the answer shows of an object or list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The object itself.
    Object,
    /// A Table.
    Table,
    /// `PartialObjectMetadata`; not for a list.
    PartialObject,
    /// `PartialObjectMetadataList`; only for a list.
    PartialList,
}

/// The version of what a Table and its like are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetaVersion {
    /// `meta.k8s.io/v1`
    #[default]
    V1,
    /// `meta.k8s.io/v1beta1`, which old clients ask for.
    V1Beta1,
}

impl MetaVersion {
    /// As it stands in a document.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// The form of a resource's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Representation {
    /// JSON or YAML.
    pub encoding: Encoding,
    /// Object, Table or metadata.
    pub shape: Shape,
    /// Of a Table or metadata.
    pub version: MetaVersion,
}

impl Representation {
    /// The object itself as JSON: what a client gets that doesn't say.
    pub const JSON: Self = Self { encoding: Encoding::Json, shape: Shape::Object, version: MetaVersion::V1 };
}

/// The form of `/api` and `/apis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscoveryForm {
    /// `APIVersions` and `APIGroupList`.
    Legacy,
    /// `APIGroupDiscoveryList`, version v2.
    Aggregated,
}

/// The form of the OpenAPI v2 document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentForm {
    /// `application/json`
    Json,
    /// The gnostic protobuf message.
    Protobuf,
}

/// The form of an answer about objects.
///
/// # Errors
/// 406 where nothing that the client accepts can be made.
pub fn accept(header: Option<&str>) -> Result<Representation, ApiError> {
    choice(header).map(|(form, _)| form)
}

/// Whether the form of an answer about objects is asked for with `pretty=1`.
#[must_use]
pub fn accepts_pretty(header: Option<&str>) -> bool {
    choice(header).is_ok_and(|(_, is_pretty)| is_pretty)
}

/// The form, and whether it is to be indented.
fn choice(header: Option<&str>) -> Result<(Representation, bool), ApiError> {
    // Protobuf stands here as upstream has it: clients know these words, and all of them ask for JSON beside it.
    const NAMED: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
    first(header, (Representation::JSON, false), &NAMED, |media| {
        let is_pretty = media.parameter("pretty") == Some("1");
        let encoding = encoding(media)?;
        if media.parameter("stream").is_some_and(|stream| encoding == Encoding::Yaml || stream != "watch") {
            return None;
        }
        let wanted = ["as", "g", "v"].map(|name| media.parameter(name));
        if wanted == [None; 3] {
            return Some((Representation { encoding, ..Representation::JSON }, is_pretty));
        }
        // What can't be made is passed over: the next entry may be plain JSON.
        let [Some(kind), Some("meta.k8s.io"), Some(version)] = wanted else { return None };
        let version = match version {
            "v1" => MetaVersion::V1,
            "v1beta1" => MetaVersion::V1Beta1,
            _ => return None,
        };
        let shape = match kind {
            "Table" => Shape::Table,
            "PartialObjectMetadata" => Shape::PartialObject,
            "PartialObjectMetadataList" => Shape::PartialList,
            _ => return None,
        };
        Some((Representation { encoding, shape, version }, is_pretty))
    })
}

/// The encoding of a refusal: as asked for where that can be made, else JSON.
#[must_use]
pub fn accept_error(header: Option<&str>) -> Encoding {
    accept(header).map_or(Encoding::Json, |form| form.encoding)
}

/// The form of `/api` and `/apis`. Both answer in the same one, or client-go drops the resources.
///
/// # Errors
/// 406 where the client accepts neither form.
pub fn accept_discovery(header: Option<&str>) -> Result<DiscoveryForm, ApiError> {
    first(header, DiscoveryForm::Legacy, &["application/json"], |media| {
        if !media.covers("application/json") {
            return None;
        }
        let parameters = (media.parameter("g"), media.parameter("v"), media.parameter("as"));
        match parameters {
            (Some("apidiscovery.k8s.io"), Some("v2"), Some("APIGroupDiscoveryList")) => Some(DiscoveryForm::Aggregated),
            (_, _, None) => Some(DiscoveryForm::Legacy),
            _ => None,
        }
    })
}

/// The form of `/openapi/v2`.
///
/// # Errors
/// 406 where the client accepts neither form.
pub fn accept_openapi(header: Option<&str>) -> Result<DocumentForm, ApiError> {
    // Both spellings are in use: kube-openapi renamed the type because `@` is not allowed in one.
    const PROTOBUF: [&str; 2] = [
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    ];
    first(header, DocumentForm::Json, &["application/json", PROTOBUF[0]], |media| {
        if media.covers("application/json") {
            Some(DocumentForm::Json)
        } else if PROTOBUF.iter().any(|name| media.essence() == *name) {
            Some(DocumentForm::Protobuf)
        } else {
            None
        }
    })
}

fn encoding(media: &Media) -> Option<Encoding> {
    if media.covers("application/json") {
        Some(Encoding::Json)
    } else if media.covers("application/yaml") {
        Some(Encoding::Yaml)
    } else {
        None
    }
}

/// The first entry, by weight, that a choice can be made for.
fn first<T>(
    header: Option<&str>,
    unsaid: T,
    offered: &[&str],
    choose: impl Fn(&Media) -> Option<T>,
) -> Result<T, ApiError> {
    let Some(header) = header.map(str::trim).filter(|header| !header.is_empty()) else { return Ok(unsaid) };
    parse_list(header).iter().find_map(choose).ok_or_else(|| {
        let message = format!("only the following media types are accepted: {}", offered.join(", "));
        ApiError::new(Reason::NotAcceptable, message)
    })
}
