//! Decides which writes of a batch happen and which revisions they get.
//!
//! Input: the batch and what its keys hold. Output: a verdict for each write and what is left in `objects` at the
//! end. Pure: every adapter calls this inside its transaction, so all of them agree.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{Accepted, Batch, Change, Committed, Expect, Key, Operation, Rejection, Revision, Write};

/// What a batch comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The answer to the writer.
    pub committed: Committed,
    /// For each write, whether it is accepted and the last accepted one of its key, so that its state is what
    /// `objects` holds afterwards.
    pub last_of_key: Vec<bool>,
}

impl Decision {
    /// The accepted writes in order, each with its place in the batch.
    pub fn accepted(&self) -> impl Iterator<Item = (usize, &Accepted)> {
        self.committed
            .results
            .iter()
            .enumerate()
            .filter_map(|(place, result)| result.as_ref().ok().map(|accepted| (place, accepted)))
    }
}

/// Checks the writes of a batch one after the other, those that are bound together as one. `current` holds, for those
/// keys of the batch that exist, identity and revision.
pub fn decide(base: Revision, batch: &Batch, current: BTreeMap<Key, (Uuid, Revision)>) -> Decision {
    let writes = &batch.writes;
    let mut state: BTreeMap<&Key, (Uuid, Revision)> = BTreeMap::new();
    for write in writes {
        if let Some(found) = current.get(&write.key) {
            state.insert(&write.key, *found);
        }
    }
    let mut revision = base;
    let mut results = Vec::with_capacity(writes.len());
    let mut last_of_key = vec![false; writes.len()];
    let mut last: BTreeMap<&Key, usize> = BTreeMap::new();
    while let Some(unit) = batch.unit_at(results.len()) {
        let verdicts: Vec<_> =
            writes[unit.clone()].iter().map(|write| check(write, state.get(&write.key).copied())).collect();
        let stands = verdicts.iter().all(Result::is_ok);
        for (place, verdict) in unit.zip(verdicts) {
            let write = &writes[place];
            let operation = match verdict {
                Ok(operation) if stands => operation,
                Ok(_) => {
                    results.push(Err(Rejection::Bound));
                    continue;
                }
                Err(rejection) => {
                    results.push(Err(rejection));
                    continue;
                }
            };
            let found = state.get(&write.key).copied();
            revision = revision.next();
            let previous = found.map_or(Revision::ZERO, |(_, previous)| previous);
            let uid = match &write.change {
                Change::Put { uid, .. } => {
                    state.insert(&write.key, (*uid, revision));
                    *uid
                }
                Change::Delete { .. } => {
                    state.remove(&write.key);
                    found.expect("a deletion is accepted only of what exists").0
                }
            };
            if let Some(earlier) = last.insert(&write.key, place) {
                last_of_key[earlier] = false;
            }
            last_of_key[place] = true;
            results.push(Ok(Accepted { revision, previous, uid, operation }));
        }
    }
    Decision { committed: Committed { base, revision, results }, last_of_key }
}

fn check(write: &Write, found: Option<(Uuid, Revision)>) -> Result<Operation, Rejection> {
    match (write.expect, found, &write.change) {
        (Expect::Absent, None, Change::Put { .. }) => Ok(Operation::Create),
        (Expect::Absent, None, Change::Delete { .. }) | (Expect::Revision(_), None, _) => Err(Rejection::NotFound),
        (Expect::Absent, Some((_, current)), _) => Err(Rejection::AlreadyExists { current }),
        (Expect::Revision(expected), Some((_, current)), change) if expected == current => Ok(match change {
            Change::Put { .. } => Operation::Update,
            Change::Delete { .. } => Operation::Delete,
        }),
        (Expect::Revision(_), Some((_, current)), _) => Err(Rejection::Conflict { current }),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::ResourceId;

    const UID: Uuid = Uuid::from_u128(7);

    fn put(name: &str, expect: Expect) -> Write {
        Write {
            key: Key::new(ResourceId::new("", "things"), "default", name),
            expect,
            change: Change::Put { uid: UID, body: b"{}".to_vec() },
        }
    }

    fn delete(name: &str, expect: Expect) -> Write {
        Write { change: Change::Delete { body: b"{}".to_vec() }, ..put(name, expect) }
    }

    fn batch(writes: &[Write], bonds: &[Range<usize>]) -> Batch {
        Batch { bonds: bonds.to_vec(), ..Batch::of(Uuid::nil(), writes.to_vec()) }
    }

    fn revisions(decision: &Decision) -> Vec<Option<u64>> {
        let number = |result: &Result<Accepted, Rejection>| result.as_ref().ok().map(|accepted| accepted.revision.0);
        decision.committed.results.iter().map(number).collect()
    }

    #[test]
    fn rejected_writes_take_no_revision() {
        let writes = [
            put("a", Expect::Absent),
            put("a", Expect::Absent),
            put("b", Expect::Revision(Revision(3))),
            put("c", Expect::Absent),
        ];
        let decision = decide(Revision(10), &batch(&writes, &[]), BTreeMap::new());
        assert_eq!(revisions(&decision), [Some(11), None, None, Some(12)]);
        assert_eq!(decision.committed.revision, Revision(12));
        assert_eq!(decision.committed.results[1], Err(Rejection::AlreadyExists { current: Revision(11) }));
        assert_eq!(decision.committed.results[2], Err(Rejection::NotFound));
    }

    #[test]
    fn second_write_of_a_key_sees_the_first() {
        let writes = [
            put("a", Expect::Revision(Revision(4))),
            put("a", Expect::Revision(Revision(4))),
            delete("a", Expect::Revision(Revision(6))),
            put("a", Expect::Absent),
        ];
        let current = BTreeMap::from([(writes[0].key.clone(), (UID, Revision(4)))]);
        let decision = decide(Revision(5), &batch(&writes, &[]), current);
        assert_eq!(revisions(&decision), [Some(6), None, Some(7), Some(8)]);
        assert_eq!(decision.committed.results[1], Err(Rejection::Conflict { current: Revision(6) }));
        assert_eq!(decision.last_of_key, [false, false, false, true]);
    }

    #[test]
    fn deleting_what_is_absent_is_not_found() {
        let decision = decide(Revision(0), &batch(&[delete("a", Expect::Absent)], &[]), BTreeMap::new());
        assert_eq!(decision.committed.results, [Err(Rejection::NotFound)]);
        assert_eq!(decision.committed.revision, Revision(0));
    }

    #[test]
    fn writes_that_are_bound_together_happen_together_or_not_at_all() {
        let writes = [
            put("a", Expect::Absent),
            put("count", Expect::Revision(Revision(4))),
            // The count has moved on with the first.
            put("b", Expect::Absent),
            put("count", Expect::Revision(Revision(4))),
            // What was refused has left nothing behind.
            put("b", Expect::Absent),
        ];
        let current = BTreeMap::from([(writes[1].key.clone(), (UID, Revision(4)))]);
        let decision = decide(Revision(5), &batch(&writes, &[0..2, 2..4]), current);
        assert_eq!(revisions(&decision), [Some(6), Some(7), None, None, Some(8)]);
        assert_eq!(decision.committed.results[2], Err(Rejection::Bound));
        assert_eq!(decision.committed.results[3], Err(Rejection::Conflict { current: Revision(7) }));
        assert_eq!(decision.last_of_key, [true, true, false, false, true]);
    }
}
