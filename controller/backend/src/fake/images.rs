//! Images at the fake engine: what is on the host, and what the registry has.

use async_trait::async_trait;

use super::View;
use super::faults::Operation;
use crate::{Error, Event, Image, Images, PullError};

/// What a machine does that is started from an image without a command of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// It runs until somebody stops it.
    Runs,
    /// It ends at once with this code.
    Exits(i64),
}

impl Program {
    pub(super) fn exit_code(self) -> Option<i64> {
        match self {
            Self::Runs => None,
            Self::Exits(code) => Some(code),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct FakeImage {
    pub(super) reference: String,
    pub(super) image: Image,
    pub(super) program: Program,
    /// What its disk holds, if that is something of its own.
    pub(super) disk: Option<u64>,
}

impl FakeImage {
    pub(super) fn new(reference: &str, program: Program) -> Self {
        let image = Image {
            id: format!("sha256:{reference}"),
            size_bytes: 2_000_000,
            exposed_ports: Vec::new(),
            entrypoint: Vec::new(),
            command: vec!["run".to_owned()],
            user: String::new(),
        };
        Self { reference: reference.to_owned(), image, program, disk: None }
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.reference == name || self.image.id == name
    }
}

#[async_trait]
impl Images for View {
    async fn resolve(&self, reference: &str) -> Result<Option<Image>, Error> {
        self.perform(Operation::ResolveImage, |world, _| {
            Ok(world.images.values().find(|image| image.is_named(reference)).map(|image| image.image.clone()))
        })
    }

    async fn pull(&self, reference: &str) -> Result<Image, PullError> {
        // Twofold, since a pull fails in its own ways: the outer failure is the engine's, the inner the registry's.
        let pulled = self.perform(Operation::PullImage, |world, _| {
            if world.registry_down {
                return Ok(Err(PullError::Unreachable {
                    reference: reference.to_owned(),
                    source: "the registry does not answer".into(),
                }));
            }
            let image = match world.registry.get(reference) {
                Some(image) => image.clone(),
                None if world.registry_has_all => FakeImage::new(reference, Program::Runs),
                None => return Ok(Err(PullError::NoSuchImage { reference: reference.to_owned() })),
            };
            world.images.insert(reference.to_owned(), image.clone());
            world.happened.push(Event::ImageArrived);
            Ok(Ok(image.image))
        });
        pulled.unwrap_or_else(|source| Err(PullError::Backend { reference: reference.to_owned(), source }))
    }
}
