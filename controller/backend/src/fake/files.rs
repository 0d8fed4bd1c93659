//! File sets at the fake engine.

use std::path::PathBuf;

use async_trait::async_trait;
use uuid::Uuid;

use super::View;
use super::faults::Operation;
use super::world::OwnedFiles;
use crate::{Error, FileSet, Files, Owner};

#[async_trait]
impl Files for View {
    async fn list(&self) -> Result<Vec<Uuid>, Error> {
        self.perform(Operation::ListFiles, |world, installation| {
            let ours = world.files.range((installation, Uuid::nil())..=(installation, Uuid::max()));
            Ok(ours.map(|((_, uid), _)| *uid).collect())
        })
    }

    async fn ensure(&self, owner: &Owner, sets: &[FileSet]) -> Result<(), Error> {
        self.perform(Operation::EnsureFiles, |world, _| {
            sets.iter().try_for_each(FileSet::check_paths)?;
            let place = (owner.installation, owner.uid);
            if sets.is_empty() {
                world.files.remove(&place);
            } else {
                let sets = sets.iter().map(|set| (set.name.clone(), set.files.clone())).collect();
                world.files.insert(place, OwnedFiles { owner: owner.clone(), sets });
            }
            Ok(())
        })
    }

    async fn refresh(&self, owner: &Owner, sets: &[FileSet]) -> Result<(), Error> {
        self.perform(Operation::EnsureFiles, |world, _| {
            sets.iter().try_for_each(FileSet::check_paths)?;
            let Some(owned) = world.files.get_mut(&(owner.installation, owner.uid)) else { return Ok(()) };
            for set in sets {
                owned.sets.entry(set.name.clone()).and_modify(|files| files.clone_from(&set.files));
            }
            Ok(())
        })
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::RemoveFiles, |world, installation| {
            world.files.remove(&(installation, owner));
            Ok(())
        })
    }

    fn directory(&self, _owner: Uuid, _name: &str) -> Option<PathBuf> {
        None
    }
}
