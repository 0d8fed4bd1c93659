//! What a restore asks of a database: to gather other content beside its own, and then to swap the two at once.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{Meta, Revision, StoreError, StoredObject};

/// Content on its way into a store. Dropped before [`Staging::commit`], it leaves no trace.
#[async_trait]
pub trait Staging: Send {
    /// Takes further objects. Each key comes once; revisions are those of where they come from.
    async fn put(&mut self, objects: Vec<StoredObject>) -> Result<(), StoreError>;

    /// Puts what was gathered in the place of everything, in one transaction. The log is forgotten.
    ///
    /// # Errors
    /// [`StoreError::NewHistory`] if [`Replacement::replaces`] is not what is there.
    async fn commit(self: Box<Self>, replacement: &Replacement) -> Result<Meta, StoreError>;
}

/// What a store becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The epoch of the content that goes.
    pub replaces: Uuid,
    /// The new history.
    pub epoch: Uuid,
    /// Whose content it is.
    pub installation: Uuid,
    /// Tells whether a sealing key is the right one for it.
    pub seal_check: Option<Vec<u8>>,
    /// Where the store that the objects come from stood; none of them is newer.
    pub revision: Revision,
    /// Every revision grows by this, or by the present revision of the store if that is more, so that no number is
    /// given twice in either history.
    pub advance: u64,
    /// What [`Meta::restored`] says afterwards.
    pub restored: String,
}

impl Replacement {
    /// By how much revisions grow in a store that stands at `present`.
    #[must_use]
    pub fn offset(&self, present: Revision) -> u64 {
        self.advance.max(present.0)
    }

    /// The meta data of a store that stood at `present`.
    #[must_use]
    pub fn meta(&self, present: Revision) -> Meta {
        let revision = Revision(self.revision.0 + self.offset(present));
        Meta {
            revision,
            compacted: revision,
            epoch: self.epoch,
            installation: self.installation,
            seal_check: self.seal_check.clone(),
            restored: Some(self.restored.clone()),
        }
    }
}
