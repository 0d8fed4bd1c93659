//! File sets at the fake engine.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use uuid::Uuid;

use super::View;
use super::faults::Operation;
use super::world::{OwnedFiles, World};
use crate::{Error, FileSet, Files, Owner};

#[async_trait]
impl Files for View {
    async fn list(&self) -> Result<Vec<Uuid>, Error> {
        self.perform(Operation::ListFiles, |world, installation| {
            let ours = world.files.range((installation, Uuid::nil())..=(installation, Uuid::max()));
            Ok(ours.map(|((_, uid), _)| *uid).collect())
        })
    }

    async fn ensure(&self, set: &FileSet) -> Result<(), Error> {
        self.perform(Operation::EnsureFiles, |world, _| {
            set.check_paths()?;
            owned(world, &set.owner).sets.insert(set.name.clone(), set.files.clone());
            Ok(())
        })
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::RemoveFiles, |world, installation| {
            world.files.remove(&(installation, owner));
            Ok(())
        })
    }
}

pub(super) fn owned<'world>(world: &'world mut World, owner: &Owner) -> &'world mut OwnedFiles {
    world.files.entry((owner.installation, owner.uid)).or_insert_with(|| OwnedFiles {
        owner: owner.clone(),
        sets: BTreeMap::new(),
        empty: BTreeSet::new(),
    })
}
