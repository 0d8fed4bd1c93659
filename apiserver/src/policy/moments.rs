//! When policies are asked: a case is only put together where there are any.

use apiserver_store::Entry;
use serde_json::{Value, json};

use super::case::{Case, Operation, Requester};
use super::check;
use crate::error::ApiError;
use crate::query::{DeleteOptions, Propagation, WriteOptions};
use crate::state::State;
use crate::verbs::scale::scale;
use crate::verbs::served::Served;
use crate::warnings::Warnings;

/// Asks whether an object may be made, in this namespace and of this name as it was given.
pub(crate) fn check_create(
    state: &State,
    served: &Served,
    place: (&str, &str),
    object: &Value,
    options: &WriteOptions,
) -> Result<(), ApiError> {
    let Some(requester) = asked(state, served, options.by.as_ref()) else { return Ok(()) };
    check(
        state,
        &Case {
            requester,
            served,
            operation: Operation::Create,
            namespace: place.0,
            name: place.1.to_owned(),
            object: Some(object.clone()),
            old: None,
            options: written(options),
            dry_run: options.dry_run,
            warnings: &options.warnings,
        },
    )
}

/// Asks whether an object may become another: the new one with its owners of fields and the revision that it is based on.
pub(crate) fn check_update(
    state: &State,
    served: &Served,
    current: &Entry,
    new: (&Value, Option<&Value>, &Value),
    options: &WriteOptions,
) -> Result<(), ApiError> {
    let Some(requester) = asked(state, served, options.by.as_ref()) else { return Ok(()) };
    let (mut object, old) = (new.0.clone(), served.value(current));
    object["metadata"]["resourceVersion"] = new.2.clone();
    if let Some(fields) = new.1 {
        object["metadata"]["managedFields"] = fields.clone();
    }
    let shown = |object: Value| match &served.version().scale {
        Some(paths) if requester.subresource == "scale" => scale(paths, &object),
        _ => object,
    };
    check(
        state,
        &Case {
            requester,
            served,
            operation: Operation::Update,
            namespace: &current.key.namespace,
            name: current.key.name.clone(),
            object: Some(shown(object)),
            old: Some(shown(old)),
            options: written(options),
            dry_run: options.dry_run,
            warnings: &options.warnings,
        },
    )
}

/// Asks whether an object may be deleted.
pub(crate) fn check_delete(
    state: &State,
    served: &Served,
    current: &Entry,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let Some(requester) = asked(state, served, options.by.as_ref()) else { return Ok(()) };
    let mut meant = json!({});
    if let Some(propagation) = options.propagation {
        meant["propagationPolicy"] = match propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        }
        .into();
    }
    check(
        state,
        &Case {
            requester,
            served,
            operation: Operation::Delete,
            namespace: &current.key.namespace,
            // Who deletes many names none.
            name: requester.name.clone(),
            object: None,
            old: Some(served.value(current)),
            options: meant,
            dry_run: options.dry_run,
            warnings: &options.warnings,
        },
    )
}

/// Asks whether something may be done with an object that is no change of it: a session, or a token.
pub(crate) fn check_use(
    state: &State,
    served: &Served,
    (operation, namespace): (Operation, &str),
    object: Value,
    (requester, warnings): (&Requester, &Warnings),
) -> Result<(), ApiError> {
    let Some(requester) = asked(state, served, Some(requester)) else { return Ok(()) };
    check(
        state,
        &Case {
            requester,
            served,
            operation,
            namespace,
            name: requester.name.clone(),
            object: Some(object),
            old: None,
            options: json!({}),
            dry_run: false,
            warnings,
        },
    )
}

/// Asks whether what is kept beside an object may be made, or taken away: a password, a key. Nobody is shown the secret itself.
pub(crate) fn check_beside(
    state: &State,
    served: &Served,
    current: &Entry,
    operation: Operation,
    options: &WriteOptions,
) -> Result<(), ApiError> {
    let Some(requester) = asked(state, served, options.by.as_ref()) else { return Ok(()) };
    let shown = Some(served.value(current));
    let (object, old) = if operation == Operation::Delete { (None, shown) } else { (shown, None) };
    check(
        state,
        &Case {
            requester,
            served,
            operation,
            namespace: &current.key.namespace,
            name: current.key.name.clone(),
            object,
            old,
            options: written(options),
            dry_run: options.dry_run,
            warnings: &options.warnings,
        },
    )
}

/// Who is to be judged, if there is anything to judge by.
fn asked<'a>(state: &State, served: &Served, by: Option<&'a Requester>) -> Option<&'a Requester> {
    by.filter(|_| state.policies.concern(state.storage(), &served.kind))
}

fn written(options: &WriteOptions) -> Value {
    let mut written = json!({});
    if let Some(manager) = &options.manager {
        written["fieldManager"] = manager.as_str().into();
    }
    written
}
