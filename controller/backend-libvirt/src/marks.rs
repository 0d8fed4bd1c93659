//! The marks of a machine, kept in its domain's metadata: whose it is, and what libvirt doesn't remember itself.

use controller_backend::{Attachment, MachineId, Mount, Owner, PublishedPort, Resources, machine_name};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use virt::domain::Domain;
use virt::error::ErrorNumber;
use virt_sys as sys;

use crate::domain_xml::escape;
use crate::engine::CallError;

/// The namespace of our metadata.
pub(crate) const URI: &str = "https://thecloud.dev/libvirt/1";
const KEY: &str = "cloud";
/// The element that holds them in a definition.
pub(crate) const ELEMENT: &str = "cloud:machine";

/// What a domain bears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Marks {
    /// The domain that bears them, by its uuid; `None` of one that was made before this was noted.
    #[serde(default)]
    pub(crate) id: Option<Uuid>,
    pub(crate) owner: Owner,
    pub(crate) spec_hash: String,
    pub(crate) created_at: Timestamp,
    /// The uid of the image's owner, and the id of its content.
    pub(crate) image: Uuid,
    pub(crate) image_id: String,
    pub(crate) attachment: Option<Attachment>,
    pub(crate) published: Vec<PublishedPort>,
    pub(crate) resources: Resources,
    /// The volumes that it mounts, by owner's uid, sorted.
    #[serde(default)]
    pub(crate) volumes: Vec<Uuid>,
    /// What it mounts at its next start; `None` of one that was made before this was noted.
    #[serde(default)]
    pub(crate) mounts: Option<Vec<Mount>>,
    /// Those volumes that are devices, or were while it has run: it may still have one that it shall not.
    #[serde(default)]
    pub(crate) devices: Vec<Uuid>,
    /// Whether its disks are there: false until all of it was made.
    pub(crate) complete: bool,
}

impl Marks {
    /// The element that stands in the domain's XML.
    pub(crate) fn element(&self) -> String {
        format!("<{KEY}:machine xmlns:{KEY}='{URI}'>{}</{KEY}:machine>", self.text())
    }

    fn text(&self) -> String {
        // The types have no maps with other keys than text, which is all that could fail.
        escape(&serde_json::to_string(self).unwrap_or_default())
    }

    /// Writes them anew into a domain that is there. While it runs it keeps beside them those that it was started with.
    pub(crate) fn write(&self, domain: &Domain) -> Result<(), CallError> {
        let element = format!("<machine>{}</machine>", self.text());
        let kind = sys::VIR_DOMAIN_METADATA_ELEMENT as i32;
        domain.set_metadata(kind, Some(&element), Some(KEY), Some(URI), sys::VIR_DOMAIN_AFFECT_CONFIG)?;
        Ok(())
    }
}

/// The marks of a domain, if it bears any and is the one that they were made for: a copy of it made by hand has another
/// uuid. Its name may be another by now.
pub(crate) fn read(domain: &Domain) -> Result<Option<Marks>, CallError> {
    let kind = sys::VIR_DOMAIN_METADATA_ELEMENT as i32;
    let element = match domain.get_metadata(kind, Some(URI), sys::VIR_DOMAIN_AFFECT_CONFIG) {
        Ok(element) => element,
        Err(error) if error.code() == ErrorNumber::NoDomainMetadata => return Ok(None),
        // One that somebody made without a definition has none that could be asked for.
        Err(error) if error.code() == ErrorNumber::OperationInvalid => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (name, uuid) = (domain.get_name()?, domain.get_uuid()?);
    let is_meant = |marks: &Marks| marks.id.map_or_else(|| machine_name(&marks.owner) == name, |id| id == uuid);
    Ok(parse(&element).filter(is_meant))
}

/// The marks that a domain bears which runs, as they were when it was started.
pub(crate) fn of_run(domain: &Domain) -> Result<Option<Marks>, CallError> {
    let kind = sys::VIR_DOMAIN_METADATA_ELEMENT as i32;
    match domain.get_metadata(kind, Some(URI), sys::VIR_DOMAIN_AFFECT_LIVE) {
        Ok(element) => Ok(parse(&element)),
        // It has just ended.
        Err(error) if matches!(error.code(), ErrorNumber::NoDomainMetadata | ErrorNumber::OperationInvalid) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The id of a domain.
pub(crate) fn id(domain: &Domain) -> Result<MachineId, CallError> {
    Ok(MachineId(domain.get_uuid_string()?))
}

fn parse(element: &str) -> Option<Marks> {
    let (_, rest) = element.split_once('>')?;
    let (text, _) = rest.split_once('<')?;
    serde_json::from_str(&unescape(text)).ok()
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

/// Those of some machine, for tests.
#[cfg(test)]
pub(crate) fn sample() -> Marks {
    let uid = Uuid::from_u128;
    Marks {
        id: Some(uid(1)),
        owner: Owner {
            installation: uid(1),
            kind: "Instance".to_owned(),
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            uid: uid(2),
        },
        spec_hash: "a-b".to_owned(),
        created_at: Timestamp::UNIX_EPOCH,
        image: uid(3),
        image_id: "sha256:0".to_owned(),
        attachment: None,
        published: Vec::new(),
        resources: Resources { cpu_millis: 1000, memory_bytes: 1 << 30, max_memory_bytes: None },
        volumes: Vec::new(),
        mounts: Some(Vec::new()),
        devices: Vec::new(),
        complete: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_as_they_were_written() {
        let volume = Uuid::from_u128(4);
        let marks = Marks { volumes: vec![volume], devices: vec![volume], ..sample() };
        let marks = Marks { owner: Owner { name: "we<b&'\"".to_owned(), ..marks.owner }, ..marks };
        assert_eq!(parse(&marks.element()), Some(marks));
        assert_eq!(parse("<machine/>"), None);
    }
}
