//! Writes on their way to the sequencer: checked, their revisions dropped, sealed where they must be.

use std::sync::Arc;

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::body::Body;
use crate::{Change, Entry, Expect, Key, StoreError, Write, WriteError};

use super::core::Core;

pub(super) type Answer = Result<Arc<Entry>, WriteError>;

/// A write, and those that happen only together with it.
pub(super) struct Pending {
    pub(super) own: Part,
    pub(super) bound: Vec<Part>,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// One write.
pub(super) struct Part {
    pub(super) key: Key,
    pub(super) expect: Expect,
    pub(super) kind: Kind,
    pub(super) body: Body,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Put(Uuid),
    Delete,
}

impl Pending {
    pub(super) fn new(
        own: Write,
        bound: Vec<Write>,
        reply: oneshot::Sender<Answer>,
        core: &Core,
    ) -> Result<Pending, WriteError> {
        let own = Part::new(own, core)?;
        let bound = bound.into_iter().map(|write| Part::new(write, core)).collect::<Result<_, _>>()?;
        Ok(Pending { own, bound, reply })
    }

    pub(super) fn size(&self) -> usize {
        self.parts().map(|part| part.body.stored().len()).sum()
    }

    /// The writes as the database sees them, its own first.
    pub(super) fn to_writes(&self, core: &Core) -> Result<Vec<Write>, WriteError> {
        self.parts().map(|part| part.to_write(core)).collect()
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.own).chain(&self.bound)
    }

    pub(super) fn refuse(self, error: &Arc<StoreError>) {
        self.answer(Err(WriteError::Unavailable(Arc::clone(error))));
    }

    pub(super) fn answer(self, answer: Answer) {
        // A writer that no longer waits is none of the store's business.
        let _ = self.reply.send(answer);
    }
}

impl Part {
    fn new(write: Write, core: &Core) -> Result<Part, WriteError> {
        let (kind, json) = match write.change {
            Change::Put { uid, body } => (Kind::Put(uid), body),
            Change::Delete { body } => (Kind::Delete, body),
        };
        let limit = core.options.max_object_bytes;
        // What could be put must remain deletable, even if the limit has been lowered since.
        if json.len() > limit && matches!(kind, Kind::Put(_)) {
            return Err(WriteError::TooLarge { size: json.len(), limit });
        }
        let body = Body::parse(&json).map_err(|reason| WriteError::Malformed { reason })?;
        Ok(Part { key: write.key, expect: write.expect, kind, body })
    }

    /// The write as the database sees it.
    ///
    /// A sealed body is bound to the identity of its object. A deletion does not say which one it means, but the
    /// revision that it expects does: the cache knows it, as nobody else could have told the writer.
    fn to_write(&self, core: &Core) -> Result<Write, WriteError> {
        let stored = self.body.stored();
        let sealed = core.is_sealed(&self.key.resource);
        let seal = |uid| {
            let sealed = core.seal(&self.key, uid, stored);
            sealed.map_err(|error| WriteError::Unavailable(Arc::new(error)))
        };
        let change = match (self.kind, sealed) {
            (Kind::Put(uid), true) => Change::Put { uid, body: seal(uid)? },
            (Kind::Put(uid), false) => Change::Put { uid, body: stored.to_vec() },
            (Kind::Delete, true) => Change::Delete { body: seal(self.deleted_uid(core)?)? },
            (Kind::Delete, false) => Change::Delete { body: stored.to_vec() },
        };
        Ok(Write { key: self.key.clone(), expect: self.expect, change })
    }

    fn deleted_uid(&self, core: &Core) -> Result<Uuid, WriteError> {
        let current = core.cache.get(&self.key).ok_or(WriteError::NotFound)?;
        match self.expect {
            Expect::Revision(expected) if expected == current.revision => Ok(current.uid),
            Expect::Revision(_) => Err(WriteError::Conflict { current: current.revision }),
            Expect::Absent => Err(WriteError::AlreadyExists),
        }
    }
}
