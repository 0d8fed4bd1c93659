//! The one writer: takes whatever waits, commits it as one transaction, applies it to the cache and answers.
//!
//! There is no timer: while one transaction is being made durable, the next batch gathers by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::cache::Applied;
use crate::{Accepted, Batch, Committed, Expect, Operation, Rejection, Revision, StoreError, StoredChange, Write};

use super::core::{Core, entry_of_body};
use super::now;
use super::pending::{Part, Pending};
use super::stats::add;

/// How long the fate of a lost commit is looked for before its writers are told that it is unknown.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a batch is sealed anew because the keys have changed.
const TRIES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(core: Arc<Core>, mut inbox: mpsc::Receiver<Pending>) {
    loop {
        let first = tokio::select! {
            first = inbox.recv() => first,
            () = core.stop.cancelled() => {
                // What was taken is still written; `recv` ends once the inbox is empty.
                inbox.close();
                inbox.recv().await
            }
        };
        let Some(first) = first else { return };
        let mut bytes = first.size();
        let mut gathered = vec![first];
        while gathered.len() < core.options.batch_writes && bytes < core.options.batch_bytes {
            let Ok(next) = inbox.try_recv() else { break };
            bytes += next.size();
            gathered.push(next);
        }
        commit(&core, gathered).await;
    }
}

async fn commit(core: &Core, gathered: Vec<Pending>) {
    let (mut batch, mut pending) = assemble(core, gathered);
    let mut tries = 1;
    let (known, began, outcome) = loop {
        if batch.writes.is_empty() {
            return;
        }
        let (known, began) = (core.cache.revision(), now());
        match core.store.commit(&batch).await {
            // Nothing was written: with the keys that count by now it will be.
            Err(StoreError::NewKeys) if tries < TRIES => match core.learn_keys().await {
                Ok(_) => (batch, pending) = assemble(core, pending),
                Err(error) => break (known, began, Err(error)),
            },
            outcome => break (known, began, outcome),
        }
        tries += 1;
    };
    let outcome = match outcome {
        Err(StoreError::OutcomeUnknown { source }) => {
            tracing::warn!(error = %source, "the answer to a commit was lost, looking for its outcome");
            find_outcome(core, &batch, known, source).await
        }
        other => other,
    };
    match outcome {
        Ok(committed) => {
            core.counters.committed(batch.writes.len(), now() - began);
            drop(batch);
            acknowledge(core, committed, pending).await;
        }
        Err(error) => {
            if matches!(error, StoreError::NewHistory) {
                core.end_history();
            }
            add(&core.counters.failed_commits, 1);
            tracing::warn!(error = %error, source = error_source(&error), writes = pending.len(), "a commit failed");
            let error = Arc::new(error);
            pending.into_iter().for_each(|candidate| candidate.refuse(&error));
        }
    }
}

/// The writes as the database sees them; those that can't be written are answered.
fn assemble(core: &Core, gathered: Vec<Pending>) -> (Batch, Vec<Pending>) {
    let mut pending = Vec::with_capacity(gathered.len());
    let mut batch = Batch::of(core.epoch, Vec::with_capacity(gathered.len()));
    // Before anything is sealed: what is sealed with newer keys is refused once, what with older ones would be written.
    batch.seal_check = core.master.check();
    for candidate in gathered {
        match candidate.to_writes(core) {
            Ok(writes) => {
                let from = batch.writes.len();
                batch.writes.extend(writes);
                if !candidate.bound.is_empty() {
                    batch.bonds.push(from..batch.writes.len());
                }
                pending.push(candidate);
            }
            Err(error) => candidate.answer(Err(error)),
        }
    }
    (batch, pending)
}

/// Brings the cache to the end of the batch, then answers every writer.
async fn acknowledge(core: &Core, committed: Committed, pending: Vec<Pending>) {
    let mut applied = Vec::new();
    let mut answers = Vec::new();
    let (mut rejected, mut bytes) = (0, 0);
    let mut results = committed.results.into_iter();
    let mut next = || results.next().expect("every write has a result");
    for Pending { own, bound, reply } in pending {
        let own = next().map(|accepted| (own, accepted));
        let bound: Vec<_> = bound.into_iter().map(|part| next().map(|accepted| (part, accepted))).collect();
        match own {
            Ok(own) => {
                let entries = std::iter::once(own).chain(bound.into_iter().flatten()).map(|(part, accepted)| {
                    let Part { key, body, .. } = part;
                    bytes += body.stored().len() as u64;
                    let entry = Arc::new(entry_of_body(key, accepted.uid, accepted.revision, body));
                    applied
                        .push(Applied { entry: Arc::clone(&entry), deleted: accepted.operation == Operation::Delete });
                    entry
                });
                answers.extend(entries.reduce(|own, _| own).map(|own| (reply, own)));
            }
            Err(rejection) => {
                rejected += 1 + bound.len() as u64;
                // Nobody is there to hear it who has stopped waiting.
                let _ = reply.send(Err(rejection.into()));
            }
        }
    }
    add(&core.counters.writes, applied.len() as u64);
    add(&core.counters.written_bytes, bytes);
    core.logged.add(bytes, core.options.keep_changes_bytes);
    add(&core.counters.rejected_writes, rejected);
    if answers.is_empty() {
        return;
    }
    let guard = core.applying.lock().await;
    let mut pause = FIRST_PAUSE;
    while core.cache.revision() < committed.base {
        let Err(error) = core.catch_up(committed.base).await else { break };
        tracing::warn!(error = %error, "changes of others cannot be read, own ones wait for them");
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            // The writers hear that the storage is closed: they cannot know what happened.
            () = core.stop.cancelled() => return,
        }
    }
    core.cache.apply(applied, now());
    drop(guard);
    for (reply, entry) in answers {
        let _ = reply.send(Ok(entry));
    }
}

/// Learns what became of a batch whose answer was lost: an empty batch waits for its end, the log tells the outcome.
async fn find_outcome(
    core: &Core,
    batch: &Batch,
    known: Revision,
    lost: Box<dyn std::error::Error + Send + Sync>,
) -> Result<Committed, StoreError> {
    let barrier = Batch::of(core.epoch, Vec::new());
    let deadline = now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        let looked = match core.store.commit(&barrier).await {
            Ok(after) => find_in_log(core, batch, known, after.revision).await,
            Err(error) => Err(error),
        };
        match looked {
            Ok(Some(committed)) => return Ok(committed),
            Ok(None) => return Err(StoreError::unavailable("commit", lost)),
            // The log that could tell is gone.
            Err(StoreError::NewHistory) => return Err(StoreError::OutcomeUnknown { source: lost }),
            Err(error) if now() >= deadline || core.stop.is_cancelled() => {
                tracing::error!(error = %error, writes = batch.writes.len(), "the outcome of a commit stays unknown");
                return Err(StoreError::OutcomeUnknown { source: lost });
            }
            Err(_) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Looks between `known` and `until` for the changes that the batch made.
async fn find_in_log(
    core: &Core,
    batch: &Batch,
    known: Revision,
    until: Revision,
) -> Result<Option<Committed>, StoreError> {
    let mut found: Vec<StoredChange> = Vec::new();
    let mut after = known;
    while after < until {
        let page = core.store.changes(after, 1_000).await?;
        let Some(last) = page.last() else { break };
        after = last.revision;
        for change in page {
            match change.batch {
                Some(id) if id == batch.id => found.push(change),
                // Another batch begins: ours, if seen, is complete.
                Some(_) if !found.is_empty() => return Ok(Some(reconstruct(batch, &found))),
                Some(_) => {}
                None if !found.is_empty() => found.push(change),
                None => {}
            }
        }
    }
    Ok((!found.is_empty()).then(|| reconstruct(batch, &found)))
}

/// Matches the changes of a batch, which are in order, to its writes.
fn reconstruct(batch: &Batch, changes: &[StoredChange]) -> Committed {
    let mut rest = changes.iter().peekable();
    let is_bound = |place: usize| batch.bonds.iter().any(|bond| bond.contains(&place));
    let results = batch.writes.iter().enumerate().map(|(place, write)| {
        match rest.next_if(|change| made(write, change)) {
            Some(change) => Ok(Accepted {
                revision: change.revision,
                previous: change.previous,
                uid: change.uid,
                operation: change.operation,
            }),
            // Which of them was at fault is lost.
            None if is_bound(place) => Err(Rejection::Bound),
            None => Err(rejection(write, changes)),
        }
    });
    let results = results.collect();
    Committed {
        base: changes.first().map_or(Revision::ZERO, |first| first.revision.before()),
        revision: changes.last().map_or(Revision::ZERO, |last| last.revision),
        results,
    }
}

fn made(write: &Write, change: &StoredChange) -> bool {
    use crate::Change::{Delete, Put};
    let same_expectation = match write.expect {
        Expect::Absent => change.previous == Revision::ZERO,
        Expect::Revision(expected) => change.previous == expected,
    };
    let same_change = match (&write.change, change.operation) {
        (Put { uid, .. }, Operation::Create | Operation::Update) => *uid == change.uid,
        (Delete { .. }, Operation::Delete) => true,
        _ => false,
    };
    same_expectation && same_change && write.key == change.key && write.change.body() == change.body
}

/// The reason was lost with the answer; what the batch itself did to the key is the best that can be said.
fn rejection(write: &Write, changes: &[StoredChange]) -> Rejection {
    let last = changes.iter().rfind(|change| change.key == write.key);
    match (write.expect, last) {
        (Expect::Absent, Some(change)) => Rejection::AlreadyExists { current: change.revision },
        (Expect::Absent, None) => Rejection::AlreadyExists { current: Revision::ZERO },
        (Expect::Revision(_), Some(change)) if change.operation != Operation::Delete => {
            Rejection::Conflict { current: change.revision }
        }
        (Expect::Revision(_), Some(_)) => Rejection::NotFound,
        (Expect::Revision(expected), None) => Rejection::Conflict { current: expected },
    }
}

fn error_source(error: &StoreError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}
