//! Decides how one object is applied: what it was before, who has to hand fields over, what the server made of the wish.
//! Nothing is merged here; the server does that, and names the managers whose fields would change.

use serde_json::Value;

use super::hand_over::{self, From};
use super::{refusal, set};
use crate::api::{ApiError, FIELD_MANAGER, Patch, Query, Session};
use crate::apply_set::PART_OF;
use crate::commands::targets::Named;
use crate::error::Error;
use crate::manifests::{LAST_APPLIED, Manifest, intent};

/// How often a hand-over is worked out again when somebody wrote in between.
const ATTEMPTS: usize = 10;

/// How objects are applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Let the server work it out, without keeping it.
    pub(crate) dry_run: bool,
    /// Take the fields that others manage.
    pub(crate) force: bool,
}

/// An object before and after.
#[derive(Debug)]
pub(crate) struct Applied {
    /// As it was; `None` when there was none.
    pub(crate) before: Option<Value>,
    /// As it is now, or would be.
    pub(crate) after: Value,
}

/// What a manifest asks for, as it is sent.
pub(crate) fn wish(manifest: &Manifest, named: &Named) -> Value {
    let namespace = named.resource.namespaced.then_some(named.namespace.as_str());
    intent(&manifest.object, namespace, named.resource.has("status"))
}

/// Applies one object.
pub(crate) async fn apply(session: &Session, named: &Named, wish: &Value, manner: Manner) -> Result<Applied, Error> {
    let mut attempt = 1;
    loop {
        match try_apply(session, named, wish.clone(), manner).await {
            Err(Error::Api(error)) if attempt < ATTEMPTS && error.is_conflict() && error.taken_fields().is_empty() => {
                attempt += 1;
            }
            result => return result,
        }
    }
}

async fn try_apply(session: &Session, named: &Named, mut wish: Value, manner: Manner) -> Result<Applied, Error> {
    let before = match session.get(&named.path()).await {
        Ok(before) => Some(before),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(before) = &before {
        if before["metadata"]["deletionTimestamp"].is_string() {
            session.screen().warning(&format!("{} is being deleted; the change will go with it", named.full()));
        }
        stay_in_set(before, &mut wish, named, manner)?;
        if let (false, Some(patch)) = (manner.dry_run, hand_over::patch(before, From::Ourselves)) {
            hand(session, named, &patch).await?;
        }
    }
    let send = async |force: bool| {
        let query = Query::new()
            .with("fieldManager", FIELD_MANAGER)
            .with("fieldValidation", "Strict")
            .with_set("force", force.then_some("true"))
            .with_set("dryRun", manner.dry_run.then_some("All"));
        session.patch(&query.on(&named.path()), Patch::Apply, &wish).await
    };
    let after = match send(manner.force).await {
        // Tried out without the hand-over that would come first.
        Err(error) if manner.dry_run && only_ours(&error) => send(true).await,
        result => result,
    };
    let mut after = match after {
        Ok(after) => after,
        Err(error) => return Err(refusal::told(session, named, error).await),
    };
    let pending =
        |object: &Value| [From::Ourselves, From::Others].into_iter().find_map(|from| hand_over::patch(object, from));
    if manner.dry_run {
        if let (Some(before), true) = (&before, pending(&after).is_some())
            && let Some(last) = hand_over::last_applied(before)
        {
            hand_over::without_unwished(&mut after, &last, &wish);
        }
    } else if let Some(patch) = hand_over::patch(&after, From::Others) {
        hand(session, named, &patch).await?;
        after = send(manner.force).await?;
    }
    Ok(Applied { before, after })
}

async fn hand(session: &Session, named: &Named, patch: &Value) -> Result<(), ApiError> {
    let query = Query::new().with("fieldManager", FIELD_MANAGER);
    session.patch(&query.on(&named.path()), Patch::Json, patch).await.map(drop)
}

/// Whether only we ourselves stand in the way, under the name of an older apply.
fn only_ours(error: &ApiError) -> bool {
    let taken = error.taken_fields();
    !taken.is_empty() && taken.iter().all(|(_, manager)| hand_over::is_ours(manager))
}

/// An apply that is not told of a set doesn't take the object out of the one it is in, and one that is doesn't take it out of
/// another.
fn stay_in_set(before: &Value, wish: &mut Value, named: &Named, manner: Manner) -> Result<(), Error> {
    let Some(member_of) = before["metadata"]["labels"][PART_OF].as_str() else { return Ok(()) };
    match wish["metadata"]["labels"][PART_OF].as_str() {
        None if labelled_by_us(before) => set::label(wish, member_of),
        Some(wanted) if wanted != member_of && !manner.force => {
            return Err(Error::Failed(format!(
                "{} belongs to another apply set (its label {PART_OF} is `{member_of}`)\nTake it out of that set's files, or take it over with --force-conflicts.",
                named.full()
            )));
        }
        _ => {}
    }
    Ok(())
}

fn labelled_by_us(object: &Value) -> bool {
    let field = format!("f:{PART_OF}");
    object["metadata"]["managedFields"].as_array().into_iter().flatten().any(|entry| {
        entry["manager"] == FIELD_MANAGER
            && entry["operation"] == "Apply"
            && entry["fieldsV1"]["f:metadata"]["f:labels"].get(&field).is_some()
    })
}

/// An object without the bookkeeping that says nothing about a change.
pub(crate) fn substance(object: &Value, named: &Named) -> Value {
    let mut object = object.clone();
    if let (true, Some(map)) = (named.resource.has("status"), object.as_object_mut()) {
        map.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"] {
            metadata.remove(key);
        }
        let emptied = metadata.get_mut("annotations").and_then(Value::as_object_mut).is_some_and(|annotations| {
            annotations.remove(LAST_APPLIED);
            annotations.is_empty()
        });
        if emptied {
            metadata.remove("annotations");
        }
    }
    object
}
