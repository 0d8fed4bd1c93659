//! `describe`: everything about an object, with what happened to it.

use jiff::Timestamp;
use serde_json::Value;

use super::targets::{self, Named, Selection};
use crate::api::{ApiError, Catalog, Query, Session};
use crate::args::Global;
use crate::args::objects::DescribeArgs;
use crate::connect;
use crate::error::{Error, Exit};
use crate::output::{Screen, describe};

/// Describes the objects.
pub(super) async fn run(args: &DescribeArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let mut missing = false;
    let mut objects = Vec::new();
    match targets::select(&args.targets, &catalog, session.namespace())? {
        Selection::Objects(named) => {
            for one in &named {
                match session.get(&one.path()).await {
                    Ok(object) => objects.push((one.clone(), object)),
                    Err(error) if error.is_not_found() => {
                        screen.error(&error.to_string());
                        missing = true;
                    }
                    Err(error) => return Err(Error::Api(error)),
                }
            }
        }
        Selection::Kinds(kinds) => {
            let namespace = (!args.all_namespaces).then(|| session.namespace());
            let query = Query::new().with_set("labelSelector", args.selector.as_deref());
            for resource in kinds {
                for object in targets::list(&session, &resource, namespace, &query).await? {
                    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
                    let named = Named { resource: resource.clone(), namespace: text("namespace"), name: text("name") };
                    objects.push((named, object));
                }
            }
            if objects.is_empty() {
                screen.note("No resources found.");
            }
        }
    }
    for (index, (_, object)) in objects.iter().enumerate() {
        if index > 0 {
            screen.line("\n")?;
        }
        let happened = happened(&session, object).await?;
        screen.text(&describe::describe(object, &happened, Timestamp::now(), screen.paint()))?;
    }
    if missing { Err(Error::Silent(Exit::NotFound)) } else { Ok(()) }
}

/// The events of an object, oldest first.
pub(super) async fn happened(session: &Session, object: &Value) -> Result<Vec<Value>, ApiError> {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    // Events about objects without a namespace are kept in `default`.
    let namespace = if text("namespace").is_empty() { "default" } else { text("namespace") };
    let selector = format!("involvedObject.name={},involvedObject.uid={}", text("name"), text("uid"));
    let query = Query::new().with("fieldSelector", selector).with("limit", "500");
    let mut list = session.get(&query.on(&format!("/api/v1/namespaces/{namespace}/events"))).await?;
    let mut events = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    describe::in_order(&mut events);
    Ok(events)
}
