//! Decides whether data is where it must be: an object's as long as nobody deletes it, and what an object has left behind until
//! it is adopted or purged.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::storage::volume::Volume;
use crds::storage::volume_snapshot::VolumeSnapshot;
use kube::api::ListParams;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::judge::uid;
use super::leaving::place;
use super::step::Step;
use crate::cloud::{Cloud, INSTALLATION};
use crate::objects::Reached;

/// The data that is known. A number stands for what it is.
#[derive(Debug, Default)]
pub(super) struct Kept {
    present: BTreeMap<Uuid, u64>,
    left: BTreeMap<Uuid, Left>,
}

/// Data that shall outlive its object.
#[derive(Debug, Clone)]
struct Left {
    kind: String,
    name: String,
    number: u64,
}

/// An object that may have data.
struct Holder {
    uid: Uuid,
    kind: String,
    name: String,
    deleted: bool,
    /// The uid of the data that it adopts.
    adopts: Option<Uuid>,
    holds: Option<u64>,
}

impl Kept {
    /// Before the user does this.
    pub(super) async fn before(&mut self, cloud: &Cloud, step: &Step) -> Result<(), String> {
        let (Step::Leave(thing) | Step::Purge(thing)) = step else { return Ok(()) };
        let Some((kind, name)) = place(thing) else { return Ok(()) };
        let holders = holders(cloud).await?;
        let holder = holders.iter().find(|holder| holder.kind == kind && holder.name == name);
        match (step, holder) {
            (Step::Leave(_), Some(Holder { uid, deleted: false, holds: Some(number), .. })) => {
                let left = Left { kind: kind.to_owned(), name, number: *number };
                self.left.insert(*uid, left);
            }
            // From now on it may be gone; what has an object is not purged.
            (Step::Purge(_), None) => self.left.retain(|_, left| left.kind != kind || left.name != name),
            _ => {}
        }
        Ok(())
    }

    /// Nothing is lost or exchanged.
    pub(super) async fn is_whole(&mut self, cloud: &Cloud) -> Result<(), String> {
        let holders = holders(cloud).await?;
        let mut present = BTreeMap::new();
        for holder in &holders {
            let Some(number) = holder.holds else {
                if !holder.deleted && self.present.contains_key(&holder.uid) {
                    return Err(format!("the data of {} is gone", holder.name));
                }
                continue;
            };
            let origin = holder.adopts.and_then(|origin| self.left.remove(&origin));
            if origin.as_ref().is_some_and(|origin| origin.number != number) {
                return Err(format!("{} has adopted other data than was left", holder.name));
            }
            if let Some(origin) = origin {
                self.left.insert(holder.uid, origin);
            }
            if !holder.deleted {
                if self.present.get(&holder.uid).is_some_and(|known| *known != number) {
                    return Err(format!("the data of {} is not what it was", holder.name));
                }
                present.insert(holder.uid, number);
            }
        }
        self.present = present;
        for (uid, left) in &self.left {
            if held(cloud, &left.kind, *uid) != Some(left.number) {
                return Err(format!("the data that {} `{}` has left is lost", left.kind, left.name));
            }
        }
        Ok(())
    }
}

/// All of them, with what they hold at one moment.
async fn holders(cloud: &Cloud) -> Result<Vec<Holder>, String> {
    let mut holders = Vec::new();
    list::<Volume>(cloud, &mut holders, |volume| volume.spec.source.as_ref()?.retained.as_ref()).await?;
    list::<VolumeSnapshot>(cloud, &mut holders, |snapshot| snapshot.spec.retained.as_ref()).await?;
    list::<InstanceSnapshot>(cloud, &mut holders, |snapshot| snapshot.spec.retained.as_ref()).await?;
    for holder in &mut holders {
        holder.holds = held(cloud, &holder.kind, holder.uid);
    }
    Ok(holders)
}

async fn list<K>(cloud: &Cloud, holders: &mut Vec<Holder>, adopts: impl Fn(&K) -> Option<&String>) -> Result<(), String>
where
    K: Reached + Resource + Clone + Debug + DeserializeOwned,
{
    let objects = cloud.api::<K>().list(&ListParams::default()).await.map_err(|error| error.to_string())?;
    holders.extend(objects.items.iter().filter_map(|object| {
        Some(Holder {
            uid: uid(object)?,
            kind: K::kind(&()).into_owned(),
            name: object.name_any(),
            deleted: object.meta().deletion_timestamp.is_some(),
            adopts: adopts(object).and_then(|uid| uid.parse().ok()),
            holds: None,
        })
    }));
    Ok(())
}

fn held(cloud: &Cloud, kind: &str, uid: Uuid) -> Option<u64> {
    match kind {
        "Volume" => cloud.engine.volume_incarnation(INSTALLATION, uid),
        "VolumeSnapshot" => cloud.engine.snapshot_incarnation(INSTALLATION, uid),
        _ => cloud.engine.snapshot_disk(INSTALLATION, uid),
    }
}
